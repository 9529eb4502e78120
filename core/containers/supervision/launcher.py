"""The front end's end of the spawner: starts monitors and exec sessions.

A front end never forks them itself: the app has many threads, and a fork of it would copy
their locks in whatever state they are (measured: most such children hang); a one-shot
command is bigger than a monitor may be.  So a small process of its own does it.  One that
runs is asked, for what it forks shares its memory; else one is started, while the command is
still reading what to do.
"""

from __future__ import annotations

import errno
import marshal
import os

from core.errors import MEND_LAYERS, HostError, PortTaken, RunError
from core.linux import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

LATER = " later"
"""Said behind the kind by whoever has just made a request: the next need not be ready at once."""
DOCTOR = "limpet doctor checks this host"
PROGRAM = "the program must be in the image, and so must its working directory"
GONE = (BrokenPipeError, ConnectionResetError)
SPAWNER = os.path.join(os.path.dirname(__file__), "spawner.py")


class Launcher:
    """Starts monitors and exec sessions; several threads may at the same time."""

    def __init__(self, directory: str) -> None:
        """`directory` is where spawners listen."""
        from _thread import allocate_lock

        self._directory = directory
        self._lock = allocate_lock()
        self._door: tuple[_socket.socket, str] | None = None
        """A connection whose request has not been made yet, and what is to be asked for there: a
        fork is getting ready for it."""
        self._again = True
        self._pid = 0
        """Of the process between, which starts a spawner that is nobody's child."""

    def prepare(self, kind: str = "monitor") -> None:
        """See to a spawner, so that all is ready by the time of the first launch, of that kind.

        Only for a process with one thread, and early: what is in memory now stays in the
        memory of every monitor.
        """
        self._again = False
        path = self._path()
        self._door = (_knock(path, kind) or self._open(path, kind, _fork_spawner)), kind

    def launch(
        self,
        kind: str,
        job: dict[str, Any],
        owner: int,
        lock: int = -1,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Start a `monitor` or an `exec` session and return when its program runs.

        `owner` is the descriptor of its end of a socket, or -1; the caller keeps its own
        copy.  `lock` is that of a file lock which a monitor holds until its container runs,
        should the caller be killed before; -1 for none.  `meanwhile` is called while the
        program is being started.  Raises RunError with docker's exit code.
        """
        fds = tuple(fd for fd in (owner, lock) if fd >= 0)
        try:
            report = self._send(kind, (job, owner >= 0), fds)
            meanwhile()
            if not _is_taken(report):  # the spawner ended, or was killed: nothing has begun
                os.close(report)
                report = self._send(kind, (job, owner >= 0), fds, anew=True)
                if not _is_taken(report):
                    raise OSError(errno.ECONNRESET, "it has ended")
        except OSError as error:
            raise HostError(f"cannot reach the spawner: {error}", errno=error.errno or 0) from error
        try:
            _wait_report(report)
        finally:
            if self._again:
                with self._lock:
                    if self._door is None and (door := _knock(self._path(), kind + LATER)):
                        self._door = door, kind

    def close(self) -> None:
        """Let go of the spawner; containers go on, and it for as long as they do."""
        with self._lock:
            if self._door is not None:
                self._door[0].close()
                self._door = None
            self._reap()

    def _send(
        self, kind: str, request: tuple[Any, bool], fds: tuple[int, ...], *, anew: bool = False
    ) -> int:
        """Make a request; returns the descriptor of the report.  Raises OSError.

        `anew`: of a spawner that this process starts now.
        """
        with self._lock:
            ready, self._door = self._door, None
        if ready is not None and (anew or kind != ready[1]):
            ready[0].close()
        elif ready is not None:
            try:
                return self._try_send(ready[0], request, fds)
            except GONE:
                pass  # somebody killed it; containers do not depend on it
        with self._lock:
            path = self._path()
            if not anew and (door := _knock(path, kind)):
                try:
                    return self._try_send(door, request, fds)
                except GONE:
                    pass  # its code is no longer that on the disk, or its last container has ended
            return self._try_send(self._open(path, kind, _start_spawner), request, fds)

    def _try_send(self, door: _socket.socket, value: tuple[Any, bool], fds: tuple[int, ...]) -> int:
        from core.containers.supervision import protocol, request

        read, write = os.pipe()
        try:
            with protocol.Closing(door):
                request.send(door, value, (write, *fds))
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        return read

    def _path(self) -> str:
        """Return where a spawner listens that may serve this process."""
        from core.containers.supervision import surroundings

        return f"{self._directory}/{surroundings.name()}"

    def _open(
        self, path: str, kind: str, start: Callable[[str, _socket.socket], int]
    ) -> _socket.socket:
        """Start a spawner that will listen at a path; returns as `_knock` does.  Raises OSError."""
        from core.containers.supervision import protocol

        self._reap()
        door, theirs = protocol.pair()
        with protocol.Closing(theirs):
            door.send(kind.encode())
            self._pid = start(path, theirs)
        return door

    def _reap(self) -> None:
        if self._pid:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
            self._pid = 0


def _knock(path: str, kind: str) -> _socket.socket | None:
    """Connect to a spawner that is there for a launch of a kind; None when there is none."""
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sockets.by_descriptor(path, channel.connect)
        channel.send(kind.encode())
    except OSError:
        channel.close()
        return None
    return channel


def _fork_spawner(path: str, first: _socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            if os.fork():
                os._exit(0)
            from core.containers.supervision import spawner

            spawner.main(path, first)
        finally:
            os._exit(0)
    return pid


def _start_spawner(path: str, first: _socket.socket) -> int:
    import signal
    import sys

    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # Without `site` it cannot find packages itself: python-prctl lies where ours lie, or beside.
    modules = os.pathsep.join(path for path in sys.path if path)
    words = [sys.executable, "-I", "-S", "-E", SPAWNER, "3", path, modules]
    try:
        return os.posix_spawn(
            sys.executable,
            words,
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, first.fileno(), 3),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGCHLD, signal.SIGPIPE],
        )
    finally:
        os.close(null)


def _is_taken(fd: int) -> bool:
    """Wait until somebody has read the request; False when nobody will."""
    return bool(os.read(fd, 1))


def _wait_report(fd: int) -> None:
    """Read the report of what was started until its end; RunError when it did not start."""
    parts = []
    try:
        while part := os.read(fd, 64 << 10):
            parts.append(part)
    finally:
        os.close(fd)
    if not parts:
        raise RunError("the monitor ended before the container started", hint=DOCTOR)
    message = marshal.loads(b"".join(parts))  # noqa: S302 - written by our own child
    if message[0] == "ok":
        return
    _, stage, number, text, exit_code = message
    if exit_code in (126, 127):
        raise RunError(text, exit_code=exit_code, hint=_remedy(stage, number, PROGRAM))
    if number == errno.EADDRINUSE:
        raise PortTaken(f"{stage}: {text}", exit_code=exit_code, hint="ss -lnp shows who has it")
    raise RunError(f"{stage}: {text}", exit_code=exit_code, hint=_remedy(stage, number, DOCTOR))


def _remedy(stage: str, number: int, otherwise: str) -> str:
    if stage == "user":
        return "names are looked up in the image; numbers, as in --user 1000:1000, are not"
    if stage == "network" and not number:
        return f"--network none starts it without one; {DOCTOR}"
    if number == errno.ESRCH:
        return "limpet ps -a shows what became of the container"
    if number == errno.ENOENT and stage.startswith("volume"):
        return "a volume-subpath must be there already: make it from a container with all of it"
    if number == errno.ENOENT and stage.startswith("overlay"):
        return MEND_LAYERS
    if number == errno.ENODEV and stage.startswith("overlay"):
        return "this kernel has no overlayfs; try: modprobe overlay"
    if number == errno.EPERM:
        return "a privilege is missing; limpet doctor tells which"
    if number == errno.ENOSPC:
        return "a limit of the host is reached: df, sysctl user.max_mnt_namespaces"
    return otherwise
