"""Does what is much work for a monitor, in a process of its own that ends when it is done.

A start takes most of limpet's code, and the memory that it writes to is not given back:
a page is written to when anything on it is so much as called.  So a monitor forks a deputy
for it, which goes on as the monitor would until the container has settled, then hands all it
knows over and ends.  Whatever is to outlive it, it forks as a sibling: children of the monitor
(`process.clone_parent`).
"""

from __future__ import annotations

import _signal
import os
import select

from core.containers.supervision import protocol, request
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any


class Principal:
    """The monitor, as its deputy sees it."""

    def __init__(self, channel: _socket.socket) -> None:
        self._channel = channel

    def fileno(self) -> int:
        """Return the descriptor by which it is reached."""
        return self._channel.fileno()

    def wait(self, pid: int) -> int:
        """Return the wait status of one of the monitor's children; it is reaped then."""
        request.send(self._channel, pid)
        received = request.receive(self._channel)
        if received is None:
            os._exit(1)  # we end with it in any case
        return int(received[0])

    def hand_over(self, values: Any, fds: list[int]) -> None:
        """Give the monitor plain values and descriptors; returns when it has taken over.

        Raises OSError; nothing is handed over then.
        """
        first, *others = range(0, len(fds), request.MAX_FDS)
        begun = values, len(fds)
        request.send(self._channel, begun, tuple(fds[first : first + request.MAX_FDS]))
        for start in others:
            request.send(self._channel, None, tuple(fds[start : start + request.MAX_FDS]))
        request.receive(self._channel)
        if _signal.SIGTERM in _signal.sigpending():  # passed on to us when we heard it no more
            os.kill(os.getppid(), _signal.SIGTERM)


class Deputy:
    """The one at work, as its monitor sees it."""

    def __init__(self, pid: int, channel: _socket.socket, ended: dict[int, int]) -> None:
        """`ended`: children that the monitor has reaped already, and their wait statuses."""
        self._pid = pid
        self._channel = channel
        self._ended = ended
        self._values: Any = None
        self.fds: list[int] = []
        """What it has handed over so far."""
        self._count = -1
        self.has_ended = False
        """Without having handed anything over."""

    def fileno(self) -> int:
        """Return the descriptor by which it is heard."""
        return self._channel.fileno()

    def attend(self, terminated: int) -> tuple[Any, list[int]] | None:
        """Reap for it until it hands values and descriptors over; None when it ends before.

        It hears of a SIGTERM to this process, of which the signalfd `terminated` tells.
        """
        poll = select.poll()
        poll.register(terminated, select.POLLIN)
        poll.register(self._channel.fileno(), select.POLLIN)
        while len(self.fds) != self._count:
            self.hear(poll.poll()[0][0])
            if self.has_ended:
                return None
        return self._values, self.fds

    def hear(self, fd: int) -> None:
        """Do what is to be done as there is something to read: of it, or else of the signalfd."""
        if fd != self._channel.fileno():
            os.read(fd, process.SIGNAL_INFO_BYTES)
            os.kill(self._pid, _signal.SIGTERM)  # not reaped yet, so it is still this one
            return
        received = request.receive(self._channel)
        if received is None:
            self.has_ended = True
            return
        message, more = received
        if isinstance(message, int):
            request.send(self._channel, self._wait(message))
            return
        if message is not None:
            (self._values, self._count), self.fds = message, []  # for what did not come about
        self.fds += more

    def _wait(self, pid: int) -> int:
        if pid in self._ended:
            return self._ended.pop(pid)
        try:
            return os.waitpid(pid, 0)[1]
        except ChildProcessError:
            return 0  # it ended long ago, and nobody asked

    def dismiss(self) -> None:
        """Let it end: what it had is taken over."""
        self.leave()
        os.waitpid(self._pid, 0)

    def leave(self) -> None:
        """Hear it no more: this process is not its monitor."""
        self._channel.close()


def reap(pid: int, ended: dict[int, int]) -> None:
    """Collect the children that have ended; the wait status of process `pid` goes into `ended`."""
    try:
        found, status = os.waitpid(-1, os.WNOHANG)
        while found:
            if found == pid:
                ended[pid] = status
            found, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass


def fork(ended: dict[int, int]) -> Deputy | Principal:
    """Fork a deputy of this process, which never outlives it; `ended` as a Deputy has it."""
    monitor = os.getpid()
    ours, theirs = protocol.pair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Deputy(pid, ours, ended)
    ours.close()
    process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
    if os.getppid() != monitor:
        os._exit(1)  # it was too late for that
    return Principal(theirs)
