"""Processes and their privileges: namespaces, pidfds, prctl(2)."""

from __future__ import annotations

import _signal
import errno
import os
import sys

from core.linux.libc import address, c_int, c_ulong, check, function, syscall

CLONE_NEWTIME, CLONE_FS, CLONE_PARENT = 0x80, 0x200, 0x8000
CLONE_NEWNS, CLONE_NEWCGROUP = 0x20000, 0x2000000
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x4000000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
NAMESPACE_FLAGS = {
    "mount": CLONE_NEWNS, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC, "network": CLONE_NEWNET,
}  # fmt: skip
"""By OCI's names, of what is made by the process that is to be in it."""
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
NR_CLOSE_RANGE, NR_PIDFD_OPEN, NR_PIDFD_SEND_SIGNAL = 436, 434, 424
NR_SIGNALFD4 = {"x86_64": 289}.get(os.uname().machine, 74)
SFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
SIGNAL_INFO_BYTES = 128
CLOSE_RANGE_CLOEXEC = 4
NR_KEYCTL = {"x86_64": 250}.get(os.uname().machine, 219)
NR_CLONE = {"x86_64": 56}.get(os.uname().machine, 220)
KEYCTL_JOIN_SESSION_KEYRING = 1

_unshare = function("unshare", c_int)
_setns = function("setns", c_int, c_int)
_prctl_call = function("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_sethostname = function("sethostname", c_ulong, c_ulong)
_setdomainname = function("setdomainname", c_ulong, c_ulong)

try:
    import _prctl
except ImportError:  # a server without a compiler: the same calls go through libc
    _prctl = None


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """Call prctl(2); through python-prctl where it knows the option, else through libc."""
    if _prctl is not None and not (arg4 or arg5) and option in _PRCTL_KNOWS:
        result = _prctl.prctl(option, arg2)
        return int(result or 0)
    return check(_prctl_call(option, arg2, arg3, arg4, arg5), "prctl")


_PRCTL_KNOWS = frozenset(
    (
        PR_SET_PDEATHSIG,
        PR_SET_DUMPABLE,
        PR_SET_KEEPCAPS,
        PR_SET_CHILD_SUBREAPER,
        PR_SET_NO_NEW_PRIVS,
        PR_CAPBSET_DROP,
    )
)


def clone_parent() -> int:
    """Fork as fork(2) does, but into a sibling: it is this process's parent's child, clone(2).

    Only for a process with one thread, for neither Python nor libc hears of it.
    """
    return syscall("clone", NR_CLONE, CLONE_PARENT | _signal.SIGCHLD)


def unshare(flags: int) -> None:
    """Call unshare(2)."""
    check(_unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Call setns(2) with a namespace's descriptor or a pidfd."""
    check(_setns(fd, kind), "setns")


def sethostname(name: str) -> None:
    """Call sethostname(2)."""
    text = bytearray(os.fsencode(name))
    check(_sethostname(address(text) if text else 0, len(text)), "sethostname", name)


def setdomainname(name: str) -> None:
    """Call setdomainname(2)."""
    text = bytearray(os.fsencode(name))
    check(_setdomainname(address(text) if text else 0, len(text)), "setdomainname", name)


def set_title(title: str, pid: int = 0) -> None:
    """Show `title` as the command line of this process, cut off where there is no room.

    Or as that of process `pid`, of which this one is a fork.  What the words and the environment
    were is gone from /proc/PID afterwards; of the environment PATH is kept, for programs that
    are started.  proc_pid_stat(5), fields 48 to 51
    """
    start, end = _title or _clear_title()
    text = title.encode("utf-8", "surrogateescape")[: end - start - 1]
    memory = os.open(f"/proc/{pid or 'self'}/mem", os.O_WRONLY | os.O_CLOEXEC)
    os.pwrite(memory, text.ljust(end - start, b"\0"), start)
    os.close(memory)


def _clear_title() -> tuple[int, int]:
    path = os.environ.get("PATH")
    os.environ.clear()
    if path is not None:
        os.environ["PATH"] = path
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    _title[:] = int(fields[45]), int(fields[48])  # the environment follows the words
    return _title[0], _title[1]


_title: list[int] = []
"""Where words and environment of this process are in its memory."""


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """Call close_range(2)."""
    syscall("close_range", NR_CLOSE_RANGE, first, last, flags)


def open_process(pid: int, ticks: int) -> int:
    """Return an O_PATH descriptor of /proc/PID; OSError (ESRCH) unless it started at `ticks`."""
    folder = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stat = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            started = int(os.read(stat, 4096).rpartition(b")")[2].split()[19])
        finally:
            os.close(stat)
        if started != ticks:
            raise OSError(errno.ESRCH, "the process has ended", f"process {pid}")
    except BaseException:
        os.close(folder)
        raise
    return folder


def pidfd_open(pid: int) -> int:
    """Call pidfd_open(2); returns a descriptor that becomes readable when the process ends."""
    return syscall("pidfd_open", NR_PIDFD_OPEN, pid, 0, path=f"process {pid}")


def pidfd_send_signal(fd: int, number: int) -> None:
    """Call pidfd_send_signal(2)."""
    syscall("pidfd_send_signal", NR_PIDFD_SEND_SIGNAL, fd, number, 0, 0)


def signalfd(number: int) -> int:
    """Block a signal and return a descriptor that becomes readable when it comes (signalfd(2)).

    Each read of SIGNAL_INFO_BYTES takes one; who is forked inherits the block.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (number,))
    mask = bytearray((1 << (number - 1)).to_bytes(8, sys.byteorder))
    return syscall("signalfd", NR_SIGNALFD4, -1, address(mask), len(mask), SFD_NONBLOCK_CLOEXEC)


def join_session_keyring() -> None:
    """Leave the inherited session keyring for an empty one (keyctl(2)), where there are keys."""
    try:
        syscall("keyctl", NR_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, 0)
    except OSError as error:
        # Out of quota is as docker treats it: the container has no way to a keyring then.
        if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EDQUOT):
            raise
