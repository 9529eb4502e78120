"""Stops every system call that changes something lasting, for the harness to decide about.

A process tree under the trap waits at each of them (seccomp_unotify(2)).  The call goes on,
fails, or its process is killed there: so each call is a place where a fault can strike, and
its name says which: `rename blobs/sha256/*`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import select
import socket
import struct
import threading

from core.linux import seccomp
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEW_LISTENER, WAIT_KILLABLE = 8, 32
ALLOW, NOTIFY, CONTINUE = 0x7FFF0000, 0x7FC00000, 1
RECV, SEND = 0xC0502100, 0xC0182101
X86_64 = 0xC000003E
PATH, FILE = "path", "file"
CALLS = {
    18: ("pwrite", FILE, 0), 59: ("execve", PATH, 0), 74: ("fsync", FILE, 0),
    75: ("fdatasync", FILE, 0), 77: ("ftruncate", FILE, 0), 82: ("rename", PATH, 1),
    83: ("mkdir", PATH, 0), 84: ("rmdir", PATH, 0), 86: ("link", PATH, 1),
    87: ("unlink", PATH, 0), 155: ("pivot_root", PATH, 0), 161: ("chroot", PATH, 0),
    165: ("mount", PATH, 1), 258: ("mkdirat", PATH, 1), 263: ("unlinkat", PATH, 1),
    264: ("renameat", PATH, 3), 265: ("linkat", PATH, 3), 272: ("unshare", "", 0),
    306: ("syncfs", FILE, 0), 308: ("setns", FILE, 0), 316: ("renameat2", PATH, 3),
    424: ("pidfd_send_signal", "", 0), 429: ("move_mount", PATH, 3),
}  # fmt: skip
"""Name, and which argument says what it is done to: by number, on x86-64."""
SYNCS = ("fsync", "fdatasync", "syncfs")


class Call(Record):
    """One call that waits."""

    name: str
    pid: int


class Trap:
    """A thread that answers for every process under the trap, until `close`.

    `decide(call)` is asked for each while `watching`; it returns an errno for the call to fail
    with, or 0.  A process it has killed needs no answer.
    """

    def __init__(self, root: str) -> None:
        self.watching = False
        self.decide: Callable[[Call], int] = lambda call: 0
        self._root = root
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._wake_read, self._wake_write = os.pipe()
        self._program = _program()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def enter(self) -> None:
        """Put this process, just forked, and all its children under the trap."""
        listener = seccomp.load(self._program, NEW_LISTENER | WAIT_KILLABLE)
        socket.send_fds(self._theirs, [b"+"], [listener])
        os.close(listener)

    def close(self) -> None:
        """End; what still runs under the trap has its calls refused from now on."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._ours.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        listeners: set[int] = set()
        while True:
            for fd, event in poll.poll():
                if fd == self._wake_read:
                    for listener in listeners:
                        os.close(listener)
                    return
                if fd == self._ours.fileno():
                    _, fds, _, _ = socket.recv_fds(self._ours, 1, 1)
                    listeners.update(fds)
                    poll.register(fds[0], select.POLLIN)
                elif event & select.POLLIN:
                    self._answer(fd)
                else:  # its last process has ended
                    poll.unregister(fd)
                    listeners.discard(fd)
                    os.close(fd)

    def _answer(self, listener: int) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(listener, RECV, asked)
        except OSError:
            return  # it was killed meanwhile
        id_, pid, _, number = struct.unpack_from("<QIIi", asked)
        error = 0
        if self.watching:
            error = self.decide(Call(self._name(number, pid, asked), pid))
        flags = 0 if error else CONTINUE
        try:
            fcntl.ioctl(listener, SEND, bytearray(struct.pack("<QqiI", id_, 0, -error, flags)))
        except OSError:
            return  # it was killed at this call

    def _name(self, number: int, pid: int, asked: bytearray) -> str:
        name, kind, place = CALLS[number]
        value = struct.unpack_from("<Q", asked, 32 + 8 * place)[0]
        try:
            if kind == PATH:
                with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                    memory.seek(value)
                    path = memory.read(200).partition(b"\0")[0].decode("utf-8", "replace")
            elif kind == FILE:
                path = os.readlink(f"/proc/{pid}/fd/{ctypes.c_int(value & 0xFFFFFFFF).value}")
            else:
                path = ""
        except (OSError, ValueError, OverflowError):
            path = "?"
        path = path.removeprefix(self._root).removesuffix(" (deleted)")
        path = re.sub(r"[0-9a-f]{6,}|[0-9]+", "*", "/".join(path.split("/")[-3:]))
        return f"{name} {path}".rstrip()


def _program() -> bytes:
    """Return the filter: wait at the calls of CALLS, let all others go."""
    numbers = list(CALLS)
    code = [(0x20, 0, 0, 4), (0x15, 0, len(numbers) + 1, X86_64), (0x20, 0, 0, 0)]
    code += [(0x15, len(numbers) - n, 0, number) for n, number in enumerate(numbers)]
    code += [(0x06, 0, 0, ALLOW), (0x06, 0, 0, NOTIFY)]
    return b"".join(struct.pack("<HBBI", *one) for one in code)
