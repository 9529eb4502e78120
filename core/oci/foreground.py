"""Waits for a program that this process started, passing signals and a terminal on."""

from __future__ import annotations

import _signal
import _socket
import os
import select

from core.containers.supervision import protocol
from core.linux import process, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

PASSED_ON = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1,
             _signal.SIGUSR2, _signal.SIGCONT)  # fmt: skip
PIECE = 32 << 10


class Foreground:
    """A program of this process's; made before it is started."""

    def __init__(self, *, tty: bool) -> None:
        # The stage between ends: the program becomes this process's own child.
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        self._ours: _socket.socket | None = None
        self.console = -1
        """The socket to give to who makes the terminal; -1 without one."""
        if tty:
            self._ours, theirs = protocol.pair()
            self.console = theirs.detach()

    def wait(self, pid: int) -> int:
        """Return the program's exit code, 128 and the signal if one killed it."""
        for number in PASSED_ON:
            _signal.signal(number, _pass_to(pid))
        ended = process.pidfd_open(pid)
        try:
            if self._ours is not None:
                os.close(self.console)
                _, ancillary, _, _ = self._ours.recvmsg(
                    4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC
                )
                self._relay(int.from_bytes(ancillary[0][2][:4], "little"), ended)
            while True:
                found, status = os.waitpid(-1, 0)
                if found == pid:
                    code = os.waitstatus_to_exitcode(status)
                    return 128 - code if code < 0 else code
        finally:
            os.close(ended)

    def _relay(self, master: int, ended: int) -> None:
        """Carry bytes between this terminal and the program's until the program has ended."""
        saved: list[Any] = []
        if os.isatty(0):
            saved = terminal.make_raw(0)
            _copy_size(master)
            _signal.signal(_signal.SIGWINCH, lambda *_: _copy_size(master))
        poll = select.poll()
        for fd in (0, master, ended):
            poll.register(fd, select.POLLIN)
        try:
            while True:
                ready = {fd for fd, _ in poll.poll()}
                if master in ready:
                    if not _carry(master, 1):
                        poll.unregister(master)
                elif ended in ready:
                    return
                elif 0 in ready and not _carry(0, master):
                    poll.unregister(0)
        finally:
            if saved:
                terminal.restore(0, saved)
            os.close(master)


def _carry(source: int, target: int) -> bool:
    """Carry what is there; False at the end."""
    try:
        data = os.read(source, PIECE)
    except OSError:
        return False  # EIO: the last process has closed the terminal
    while data:
        data = data[os.write(target, data) :]
        if not data:
            return True
    return False


def _copy_size(master: int) -> None:
    try:
        terminal.set_size(master, *terminal.get_size(0))
    except OSError:
        pass


def _pass_to(pid: int) -> Any:
    def handler(number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    return handler
