"""Forks the process that becomes a container's or an exec's program, and sees it start.

The other end of the talk on the sync socket is `core.containers.init` or `.enter`.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os

from core.containers import protocol
from core.containers.init import FAILED, GO, MAX_MESSAGE, READY, TTY
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    Program = Callable[[dict[str, Any], tuple[int, int, int] | None, int], NoReturn]

CALMED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
"""Signals that are for the container or the front end, never for what stands between."""


class StartFailed(Exception):
    """There is no program; `args` are stage, errno (or 0), text and exit code."""


class Child(Record):
    """A started process and our ends of its stdio; -1 where there is none."""

    pid: int
    stdin: int
    stdout: int
    stderr: int
    master: int
    """Of its terminal."""


def keep_only(fds: Iterable[int]) -> None:
    """Close every descriptor above 2 but these."""
    first = 3
    for fd in sorted(fds):
        if fd >= first:
            os.closerange(first, fd)
            first = fd + 1
    os.closerange(first, 1 << 30)


def leave_caller(keep: Iterable[int]) -> None:
    """Let go of the caller's session, terminal, directory, descriptors and signals."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(null, number)
    keep_only(keep)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    for number in CALMED:
        # A handler, not SIG_IGN: that would be inherited through execve.
        _signal.signal(number, lambda *_: None)


def start(
    program: Program,
    launch: dict[str, Any],
    *,
    stdin: bool,
    tty: bool,
    ready: Callable[[int], None] | None = None,
) -> Child:
    """Fork, run `program` in the child and wait until it has called execve.

    `ready(pid)` is called when the namespaces exist.  Raises StartFailed.
    """
    ours, theirs = protocol.pair()
    stdio, ends = (None, (-1, -1, -1)) if tty else _pipes(stdin=stdin)
    pid = os.fork()
    if pid == 0:
        try:
            for number in CALMED:
                _signal.signal(number, _signal.SIG_DFL)
            keep_only((theirs.fileno(), *(stdio or ())))
            program(launch, stdio, theirs.detach())
        finally:
            os._exit(125)
    theirs.close()
    for fd in stdio or ():
        os.close(fd)
    try:
        with protocol.Closing(ours):
            master = _talk(ours, pid, ready)
    except StartFailed:
        for fd in ends:
            if fd >= 0:
                os.close(fd)
        raise
    return Child(pid, *ends, master)


def _pipes(*, stdin: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    if stdin:
        in_read, in_write = os.pipe()
    else:
        in_read, in_write = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    return (in_read, out_write, err_write), (in_write, out_read, err_read)


def _talk(channel: _socket.socket, pid: int, ready: Callable[[int], None] | None) -> int:
    """Answer the child until it is gone into execve; returns the terminal's master or -1."""
    master = -1
    while True:
        try:
            message, ancillary, _, _ = channel.recvmsg(
                MAX_MESSAGE, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            continue  # its last message comes after this, see protocol.receive
        if not message:
            return master
        if message == READY:
            try:
                if ready is not None:
                    ready(pid)
            except OSError as error:
                _reap(pid)
                raise StartFailed("network", error.errno or 0, str(error), 125) from error
            channel.send(GO)
        elif message == TTY:
            master = int.from_bytes(ancillary[0][2][:4], "little")
        elif message.startswith(FAILED):
            _reap(pid)
            if master >= 0:
                os.close(master)
            raise StartFailed(*marshal.loads(message[len(FAILED) :]))  # noqa: S302 - our own child


def _reap(pid: int) -> None:
    os.kill(pid, _signal.SIGKILL)
    os.waitpid(pid, 0)


def exit_code(status: int) -> int:
    """Return a wait status as a shell shows it: 128 and the signal for a killed process."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
