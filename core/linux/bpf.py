"""Programs that the kernel runs for a cgroup.  bpf(2)"""

from __future__ import annotations

import os

from core.linux.libc import address, syscall

NR_BPF = {"x86_64": 321}.get(os.uname().machine, 280)
BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8
BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE = 15, 6
# docker's systems attach so, too: a nested container may add rules, never take ours away.
BPF_F_ALLOW_MULTI = 2


def load_device_program(program: bytes) -> int:
    """Load a BPF_PROG_TYPE_CGROUP_DEVICE program (8 bytes an instruction); returns a descriptor.

    Raises OSError: EPERM without CAP_BPF, EINVAL or EACCES for a program the kernel refuses.
    """
    code, license_text = bytearray(program), bytearray(b"MIT\0")
    attributes = bytearray(
        BPF_PROG_TYPE_CGROUP_DEVICE.to_bytes(4, "little")
        + (len(program) // 8).to_bytes(4, "little")
        + address(code).to_bytes(8, "little")
        + address(license_text).to_bytes(8, "little")
        + bytes(48)
    )
    return syscall("bpf", NR_BPF, BPF_PROG_LOAD, address(attributes), len(attributes))


def attach_device_program(cgroup_fd: int, program_fd: int) -> None:
    """Make a loaded program judge every use of a device in a cgroup, for the cgroup's life."""
    words = (cgroup_fd, program_fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)
    attributes = bytearray(b"".join(word.to_bytes(4, "little") for word in words))
    syscall("bpf", NR_BPF, BPF_PROG_ATTACH, address(attributes), len(attributes))
