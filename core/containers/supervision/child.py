"""Forks the process that becomes a container's or an exec's program, and sees it start.

Forked ahead, it waits for its plan.  The other end of the talk on their socket is
`core.containers.runtime.init` or `.enter`.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import select

from core.containers.runtime import copies
from core.containers.runtime.init import FAILED, GO, MAX_MESSAGE, READY, TTY, make_network
from core.containers.supervision import protocol, request
from core.linux import process
from core.privileges import is_rootless
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


class Forked(Record):
    """A process that waits for its plan."""

    pid: int
    channel: _socket.socket


class Told(Record):
    """A process that has got its plan."""

    pid: int
    channel: _socket.socket
    ends: tuple[int, int, int]
    """Ours of its stdio, as in Child."""


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


def keep_three(low: int, middle: int, high: int) -> None:
    """Close every descriptor above 2 but these, whose order does not matter.

    By no more than comparisons: what `keep_only` calls would take 50 KB of a monitor's own.
    """
    if low > middle:
        low, middle = middle, low
    if middle > high:
        middle, high = high, middle
    if low > middle:
        low, middle = middle, low
    os.closerange(3, low)
    os.closerange(low + 1, middle)
    os.closerange(middle + 1, high)
    os.closerange(high + 1, 1 << 30)


def leave_caller(keep: Iterable[int]) -> None:
    """Let go of the caller's session, terminal, directory, descriptors and signals."""
    if os.getsid(0) != os.getpid():
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


def fork_first(program: Program, own: int, shared: int, *, with_network: bool = False) -> Forked:
    """Fork a container's first process, as `fork` does, in the pid namespace it is to have.

    It is the child of this one's parent, the monitor, which alone can wait for it.  `own` is
    the descriptor of this process's namespace.  `shared` is 0 for a new one, -1 for this
    process's, else a process whose one it joins.  `with_network`: it makes its network namespace
    while it waits, which must not be if it is to share this process's.  Raises OSError.
    """
    if is_rootless():
        return _fork_between(program, shared, with_network=with_network)
    process.setns(own, process.CLONE_NEWPID)  # what was chosen last may take no more
    _choose_pid_namespace(shared)
    return fork(program, process.clone_parent, copies.FIRST, with_network=with_network)


def _choose_pid_namespace(shared: int) -> None:
    if shared > 0:
        peer = process.pidfd_open(shared)
        process.setns(peer, process.CLONE_NEWPID)
        os.close(peer)
    elif shared == 0:
        process.unshare(process.CLONE_NEWPID)


def _fork_between(program: Program, shared: int, *, with_network: bool) -> Forked:
    """Let a sibling choose the namespace and fork: an ordinary user cannot return to his own."""
    ours, theirs = protocol.pair()
    read, write = os.pipe()
    between = process.clone_parent()
    if between == 0:
        try:
            _choose_pid_namespace(shared)
            pid = process.clone_parent()
            if pid == 0:
                _wait_for_plan(program, theirs, copies.FIRST, with_network=with_network)
            os.write(write, marshal.dumps((pid, 0, "")))
        except OSError as error:
            os.write(write, marshal.dumps((0, error.errno or 0, str(error.strerror))))
        finally:
            os._exit(0)
    os.close(write)
    theirs.close()
    told = os.read(read, 4096)
    os.close(read)
    pid, number, text = marshal.loads(told) if told else (0, 0, "it ended at once")  # noqa: S302 - our own child
    if not pid:
        raise OSError(number, text)
    return Forked(pid, ours)


def fork(
    program: Program,
    fork: Callable[[], int] = os.fork,
    kind: int = -1,
    *,
    with_network: bool = False,
) -> Forked:
    """Fork a process that runs `program` once `start` tells it what; it ends with this one.

    `kind` is what it is to `copies`, if anything; `with_network` as in `fork_first`.
    """
    ours, theirs = protocol.pair()
    pid = fork()
    if pid == 0:
        _wait_for_plan(program, theirs, kind, with_network=with_network)
    theirs.close()
    return Forked(pid, ours)


def _wait_for_plan(
    program: Program, channel: _socket.socket, kind: int, *, with_network: bool
) -> NoReturn:
    try:
        _settle((channel.fileno(),))
        copies.take(kind)
        has_network = with_network and make_network()
        received = request.receive(channel)
        if received is not None:
            plan, stdio = received
            if has_network:
                plan["has_network"] = True
            program(plan, tuple(stdio) or None, channel.detach())  # type: ignore[arg-type]
    finally:
        os._exit(125)


def _settle(keep: Iterable[int]) -> None:
    """Take signals as any program does, and keep only these descriptors."""
    for number in CALMED:
        _signal.signal(number, _signal.SIG_DFL)
    keep_only(keep)


def abandon(forked: Forked) -> None:
    """End a process that nobody told what to do."""
    forked.channel.close()


def start(forked: Forked, plan: dict[str, Any], *, stdin: bool, tty: bool) -> Child:
    """Give a forked process its plan and wait until it has called execve.  Raises StartFailed."""
    return see_start(tell(forked, plan, stdin=stdin, tty=tty))


def tell(forked: Forked, plan: dict[str, Any], *, stdin: bool, tty: bool) -> Told:
    """Give a forked process its plan; it sets to work."""
    stdio, ends = ((), (-1, -1, -1)) if tty else _pipes(stdin=stdin)
    request.send(forked.channel, plan, stdio)
    for fd in stdio:
        os.close(fd)
    return Told(forked.pid, forked.channel, ends)


def see_start(
    told: Told,
    meanwhile: Callable[[], None] = lambda: None,
    ready: Callable[[int], None] = lambda pid: None,
    going: Callable[[], None] = lambda: None,
) -> Child:
    """Wait until a process has called execve.

    `meanwhile()` is called while it makes its namespaces, `ready(pid)` when it has, `going()`
    while it does the rest.  Raises StartFailed.
    """
    try:
        with protocol.Closing(told.channel):
            _host_side(told.channel, told.pid, "prepare", meanwhile)
            master = _talk(told.channel, told.pid, ready, going)
    except StartFailed:
        for fd in told.ends:
            if fd >= 0:
                os.close(fd)
        raise
    return Child(told.pid, *told.ends, master)


def _pipes(*, stdin: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    if stdin:
        in_read, in_write = os.pipe()
    else:
        in_read, in_write = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    return (in_read, out_write, err_write), (in_write, out_read, err_read)


def _host_side(channel: _socket.socket, pid: int, stage: str, work: Callable[[], object]) -> None:
    try:
        work()
    except OSError as error:
        _reap(pid)
        # A child that has failed is gone, which alone makes our side fail: what it said counts.
        said = _last_word(channel)
        text = str(error) if error.errno else str(error.strerror or error)
        raise said or StartFailed(stage, error.errno or 0, text, 125) from error


def _last_word(channel: _socket.socket) -> StartFailed | None:
    """Return why a process that is gone could not start, None if it did not say."""
    while message := protocol.receive(channel):
        if message.startswith(FAILED):
            return _failure(message)
    return None


def _failure(message: bytes) -> StartFailed:
    return StartFailed(*marshal.loads(message[len(FAILED) :]))  # noqa: S302 - our own child


def _talk(
    channel: _socket.socket, pid: int, ready: Callable[[int], None], going: Callable[[], None]
) -> int:
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
            _host_side(channel, pid, "network", lambda: ready(pid))
            _host_side(channel, pid, "network", lambda: channel.send(GO))
            _host_side(channel, pid, "network", going)
        elif message == TTY:
            master = int.from_bytes(ancillary[0][2][:4], "little")
        elif message.startswith(FAILED):
            _reap(pid)
            if master >= 0:
                os.close(master)
            raise _failure(message)


def _reap(pid: int) -> None:
    """Kill a child, or a sibling, whom the parent reaps; it has ended then."""
    poll, end = select.poll(), process.pidfd_open(pid)
    poll.register(end, select.POLLIN)
    os.kill(pid, _signal.SIGKILL)
    poll.poll()
    os.close(end)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def exit_code(status: int) -> int:
    """Return a wait status as a shell shows it: 128 and the signal for a killed process."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
