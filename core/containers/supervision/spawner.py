"""Forks monitors and exec sessions; run by file path, ends with the last of them.

It imports everything they need once, so that all it forks share that memory.  Whoever
connects and says what kind of thing it will want gets a fork, which makes ready what it can
and waits for its request: this process reads none itself, so nothing of one container is in the
memory of the next.  It keeps no
descriptor but its socket and the ends of pipes by which it sees those it forked end.

The process that has loaded all this becomes the monitor of the first container, and forks the
spawner when somebody else wants one, or that container has run for a moment: so they share
what they have made ready by then.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from core.containers.supervision.deputy import Deputy

    Serve = Callable[[bytes, int, int], NoReturn]

BACKLOG = 128
ALONE_MS = 200
"""A container that runs so long will be neither the only one nor the last."""
GIVE_WAY_S = 0.004
"""So long the processors are left to what has just been started."""
LATER = b" later"
"""Behind the kind of what a front end will want: it has just made a request, and may not soon
make another."""
MAX_KIND = 32
NEVER = float("inf")


def main(path: str, first: _socket.socket) -> None:
    """Serve `first` and whoever connects to `path`, until all that came of it ended."""
    # Loaded here once, not in every fork.
    from core.containers.runtime import cgroups, plan
    from core.containers.supervision import child, monitor, serving, surroundings, watch
    from core.linux import process

    if plan.this_host().rootless:
        # The first process plans when it imports nothing any more.
        from core.containers.runtime import delegation  # noqa: F401

        _enter_own_cgroup()
    child.leave_caller((first.fileno(),))
    process.set_title(f"limpet: spawner at {path}")
    # What is here stays: no fork shall copy pages because the collector marks them.
    gc.disable()
    gc.freeze()
    terminated = process.signalfd(_signal.SIGTERM)  # for those that are forked
    alive: dict[int, int] = {}

    def serve(kind: bytes, door: int, life: int) -> NoReturn:
        serving.serve(kind, door, life, terminated)

    kind, at_work = os.read(first.fileno(), MAX_KIND), None
    read = life = -1
    if kind == serving.MONITOR:
        read, life = os.pipe()
        at_work = _fork_deputy(first, life, terminated)
    else:
        _fork(kind, first.detach(), serve, alive)
    surroundings.note_code()
    try:
        listener = _listen(path)
    except OSError:  # a full /run: this one front end is served all the same
        if at_work is not None:
            os.close(read)
            watch.keep(at_work, life, terminated, monitor.go_on)
        os.wait()
        return
    inode = os.stat(path).st_ino
    if at_work is None or _part(at_work, life, terminated, listener, path):
        if at_work is not None:
            os.close(life)
            alive[read] = 0
        _serve_all(listener, alive, serve, path, prepared=at_work is not None)
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        pass
    listener.close()  # who has connected meanwhile sees the end, and starts another
    if _has_child() and os.fork():
        os._exit(0)  # the first container's deputy was killed: the container ends with its monitor
    cgroups.leave()
    _leave_networks(os.path.dirname(os.path.dirname(path)))


def _has_child() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _leave_networks(run: str) -> None:
    """Take bridges and tables away, if there are some; `run` is the run-time directory."""
    from core.paths import Paths

    paths = Paths("", run)
    try:
        if os.listdir(paths.bridges):
            from core.containers.supervision import leaving

            leaving.leave(paths)
    except OSError:
        pass  # none was ever made, or the next limpet that looks does it


def _fork_deputy(first: _socket.socket, life: int, terminated: int) -> Deputy:
    """Let a deputy of this process, which is a monitor now, do what the first front end wants."""
    from core.containers.supervision import deputy, serving

    forked = deputy.fork({})
    if isinstance(forked, deputy.Principal):
        try:
            serving.take(serving.MONITOR, first.detach(), life, terminated, forked)
        finally:
            os._exit(1)
    first.close()
    return forked


def _part(at_work: Deputy, life: int, terminated: int, listener: _socket.socket, path: str) -> bool:
    """Be the first container's monitor until there is to be a spawner, then both.

    True in the spawner; the monitor does not return.  False when that has ended, and nobody
    wants a spawner.
    """
    from core.containers.runtime import copies
    from core.containers.supervision import monitor, watch
    from core.linux import process

    _attend(at_work, terminated, listener)
    if at_work.has_ended and not _is_wanted(listener):
        return False
    _rehearse(path)
    try:
        is_monitor = process.clone_parent() != 0
    except OSError:
        is_monitor = True  # a full host: the next front end starts a spawner
    if is_monitor:
        _name_monitor()
        copies.forget()  # what starts containers from now on is forked by the other
        watch.keep(at_work, life, terminated, monitor.go_on)
    os.setsid()
    process.set_title(f"limpet: spawner at {path}")
    at_work.leave()
    return True


def _name_monitor() -> None:
    from core.linux import process

    try:
        process.set_title("limpet: monitor")  # its deputy will say of which container
    except OSError:
        pass  # a full host


def _attend(at_work: Deputy, terminated: int, listener: _socket.socket) -> None:
    """Attend a deputy until it has ended, or there is to be a spawner."""
    poll, until = select.poll(), time.monotonic() + ALONE_MS / 1000
    for fd in (at_work.fileno(), terminated, listener.fileno()):
        poll.register(fd, select.POLLIN)
    while not at_work.has_ended and (left := until - time.monotonic()) > 0:
        for fd, _ in poll.poll(int(left * 1000) + 1):
            if fd == listener.fileno():
                poll.unregister(fd)
                until = min(until, time.monotonic() + GIVE_WAY_S)
            else:
                at_work.hear(fd)


def _is_wanted(listener: _socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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


def _rehearse(path: str) -> None:
    from core.containers.runtime import copies
    from core.containers.supervision import rehearsal

    try:
        rehearsal.rehearse(f"{path}.rehearsal")
    except OSError:
        pass  # a full /run: it only saves memory
    copies.prepare()
    gc.collect()
    gc.freeze()


def _serve_all(
    listener: _socket.socket, alive: dict[int, int], serve: Serve, path: str, *, prepared: bool
) -> None:
    """Fork for each connection until there is none and every fork has ended.

    `alive` has the first, as `_fork` notes it.  Before there is a second, all is made ready,
    when the first has been let alone; with `prepared`, that is so already.
    """
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    for fd in alive:
        poll.register(fd, 0)  # no more than hang-ups
    doors: dict[int, tuple[float, bytes]] = {}
    """What nothing has been forked for yet: when that is due, and what will be wanted."""
    while True:
        otherwise = 0 if not alive else -1 if prepared else ALONE_MS
        ready = poll.poll(_left_ms(doors) if doors else otherwise)
        if not (ready or alive or doors):
            return
        for fd, _ in ready:
            if fd == listener.fileno():
                door, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - all that the lean socket module has
                poll.register(door, select.POLLIN)
                doors[door] = NEVER, b""
            elif fd in doors:
                doors[fd] = _hear(fd, doors[fd][1])
            else:
                poll.unregister(fd)
                os.close(fd)
                if pid := alive.pop(fd):
                    os.waitpid(pid, 0)
        due = [door for door, (when, _) in doors.items() if when <= time.monotonic()]
        if not prepared and (due or not ready):
            _rehearse(path)
            prepared = True
        for door in due:
            poll.unregister(door)
            poll.register(_fork(doors.pop(door)[1], door, serve, alive), 0)


def _hear(door: int, kind: bytes) -> tuple[float, bytes]:
    """Read what will be wanted, unless that is known already and the request has come."""
    if kind:
        return 0, kind
    kind = os.read(door, MAX_KIND)
    in_haste = not kind.endswith(LATER)
    return 0 if in_haste else time.monotonic() + GIVE_WAY_S, kind.removesuffix(LATER)


def _left_ms(doors: dict[int, tuple[float, bytes]]) -> int:
    """Return the time until something is due; -1 if nobody can say."""
    first = min(when for when, _ in doors.values())
    return -1 if first == NEVER else max(0, int((first - time.monotonic()) * 1000) + 1)


def _fork(kind: bytes, door: int, serve: Serve, alive: dict[int, int]) -> int:
    """Fork for a connection; returns the pipe that hangs up when the fork has ended.

    That goes into `alive` with its PID, which is 0 there for who is not this one's child.
    """
    read, write = os.pipe()
    alive[read] = os.fork()
    if not alive[read]:
        try:
            serve(kind, door, write)
        finally:
            os._exit(1)
    os.close(door)
    os.close(write)
    return read


if __name__ == "__main__":
    # Its own folder must not be one: `signals` and `names` are no packages of the world's.
    sys.path[:] = sys.argv[3].split(os.pathsep)
    from core.lean_import import install

    install()
    if os.fork() == 0:
        main(sys.argv[2], _socket.socket(fileno=int(sys.argv[1])))
