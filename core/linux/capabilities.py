"""Capabilities: names, and the sets of this process.  capabilities(7)"""

from __future__ import annotations

import os

from core.linux import process
from core.linux.libc import address, syscall

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip
"""By number, without CAP_ (linux/capability.h)."""
ALL = (1 << 64) - 1
VERSION_3 = 0x20080522
NR_CAPSET = {"x86_64": 126}.get(os.uname().machine, 91)


def mask(names: tuple[str, ...] | list[str]) -> int:
    """Return the bits of capabilities named with or without CAP_; ValueError for an unknown one."""
    return sum(1 << NAMES.index(name.removeprefix("CAP_")) for name in set(names))


def last() -> int:
    """Return the number of the highest capability that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_bounding(keep: int, highest: int) -> None:
    """Take everything but the bits of `keep` from the bounding set.

    A capability that this process lacks is dropped as well as others: what matters is that
    no later execve can gain it.
    """
    for number in range(highest + 1):
        if not keep >> number & 1:
            process.prctl(process.PR_CAPBSET_DROP, number)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Call capset(2) for this thread."""
    header = bytearray(VERSION_3.to_bytes(4, "little") + bytes(4))
    low = [value & 0xFFFFFFFF for value in (effective, permitted, inheritable)]
    high = [value >> 32 for value in (effective, permitted, inheritable)]
    data = bytearray(b"".join(value.to_bytes(4, "little") for value in (*low, *high)))
    syscall("capset", NR_CAPSET, address(header), address(data))


def permitted() -> int:
    """Return this process's permitted set."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"CapPrm:"):
                return int(line.split()[1], 16)
    return 0


def raise_ambient(number: int) -> None:
    """Add a capability, permitted and inheritable already, to the ambient set."""
    process.prctl(process.PR_CAP_AMBIENT, process.PR_CAP_AMBIENT_RAISE, number)
