"""Forks monitors and exec sessions; run by file path, ends with the last of them.

It imports everything they need once, so that all it forks share that memory.  Whoever
connects gets a fork, which makes ready what it can and waits for its request: this process
reads none itself, so nothing of one container is in the memory of the next.  It keeps no
descriptor but its socket and the ends of pipes by which it sees those it forked end.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import marshal
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from core.containers.supervision.child import Forked

BACKLOG = 128
START_MS = 40
"""What a start may take."""
TAKEN = b"t"
"""The first byte of a report: the request has been read, whoever asked must not ask again."""


def main(path: str, first: _socket.socket) -> None:
    """Serve `first` and whoever connects to `path`, until all that came of it ended."""
    # Loaded here once, not in every fork.
    from core.containers.runtime import plan
    from core.containers.supervision import (  # noqa: F401
        child,
        exec_session,
        monitor,
        surroundings,
    )
    from core.linux import process

    if plan.this_host().rootless:
        # The first process plans when it imports nothing any more.
        from core.containers.runtime import delegation  # noqa: F401

        _enter_own_cgroup()
    child.leave_caller((first.fileno(),))
    process.set_title(f"limpet: spawner at {path}")
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps for us
    # What is here stays: no fork shall copy pages because the collector marks them.
    gc.disable()
    gc.freeze()
    poll = select.poll()
    poll.register(_fork(first), 0)  # no more than hang-ups
    surroundings.note_code()
    try:
        listener = _listen(path)
    except OSError:  # a full /run: this one front end is served all the same
        poll.poll()
        return
    inode = os.stat(path).st_ino
    _serve_all(listener, poll)
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        pass
    # Who has connected meanwhile sees the end, and starts another.


def _enter_own_cgroup() -> None:
    """Move to where this user has cgroups of his own: from elsewhere he cannot fill them."""
    pid = os.fork()
    if pid == 0:
        try:
            from core.containers.runtime import cgroups, delegation

            if not cgroups.layout():
                delegation.enter_scope()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _listen(path: str) -> _socket.socket:
    """Return a socket that listens at a path, in the place of whoever did."""
    from core.linux.sockets import by_descriptor

    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    own = f"{path}.{os.getpid()}"
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    by_descriptor(own, listener.bind)
    listener.listen(BACKLOG)
    os.rename(own, path)
    return listener


def _serve_all(listener: _socket.socket, poll: select.poll) -> None:
    """Fork for each connection until there is none and every fork has ended.

    `poll` has the pipe of the first, as `_fork` returns it.
    """
    poll.register(listener.fileno(), select.POLLIN)
    alive = 1
    while ready := poll.poll(None if alive else 0):
        for fd, _ in ready:
            if fd == listener.fileno():
                accepted, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - all that the lean socket module has
                poll.register(_fork(_socket.socket(fileno=accepted)), 0)
                alive += 1
            else:
                poll.unregister(fd)
                os.close(fd)
                alive -= 1


def _fork(channel: _socket.socket) -> int:
    """Fork for a connection; returns the pipe that hangs up when the fork has ended."""
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            _serve(channel, write)
        finally:
            os._exit(1)
    channel.close()
    os.close(write)
    return read


def _serve(channel: _socket.socket, life: int) -> NoReturn:
    """Take one request and become what it asks for.

    What it will start is forked ahead, and waits for its plan.  `life` is open as long as
    this process.
    """
    from core.containers.supervision import (
        child,
        exec_session,
        monitor,
        protocol,
        request,
        surroundings,
    )
    from core.linux import process
    from core.privileges import is_rootless

    ahead, _, later = protocol.receive(channel).decode().partition(" ")
    if later:
        _give_way(channel)
    if surroundings.has_new_code():
        os._exit(0)  # whoever asked starts a spawner that has it, too
    child.leave_caller((channel.fileno(), life))
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    forked = _try_fork(ahead, own)
    received = request.receive(channel)
    channel.close()
    if received is None:
        os._exit(0)
    (kind, job, owned), (report, *others) = received
    os.write(report, TAKEN)
    owner = others.pop(0) if owned else -1
    lock = others.pop(0) if others else -1
    shared = job.get("pid_namespace", 0)
    if (kind != ahead or shared) and isinstance(forked, child.Forked):
        child.abandon(forked)
        if kind != "monitor" and not is_rootless():
            process.setns(own, process.CLONE_NEWPID)
        forked = _try_fork(kind, own, shared)
    if not isinstance(forked, child.Forked):
        os.write(report, marshal.dumps(("error", "pid namespace", *forked, 125)))
        os._exit(0)
    if kind == "monitor":
        monitor.run(job, forked, report, owner, lock)
    exec_session.run(job, forked, report, owner)


def _give_way(channel: _socket.socket) -> None:
    """Leave the processors to what has just been started, unless the next request is there."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    poll.poll(START_MS)


def _try_fork(kind: str, own: int, shared: int = 0) -> Forked | tuple[int, str]:
    """Fork a container's first process, in the pid namespace it is to have, or an exec's.

    `own` and `shared` as in `child.fork_first`.  Returns errno and text where the host does
    not let us.
    """
    from core.containers.runtime import enter, init
    from core.containers.supervision import child

    if kind != "monitor":
        return child.fork(enter.run)
    try:
        return child.fork_first(init.run, own, shared)
    except OSError as error:
        return error.errno or 0, str(error.strerror)


if __name__ == "__main__":
    # Its own folder must not be one: `signals` and `names` are no packages of the world's.
    sys.path[:] = sys.argv[3].split(os.pathsep)
    from core.lean_import import install

    install()
    if os.fork() == 0:
        main(sys.argv[2], _socket.socket(fileno=int(sys.argv[1])))
