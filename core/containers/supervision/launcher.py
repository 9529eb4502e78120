"""The front end's end of the spawner: starts monitors and exec sessions.

A front end never forks them itself: the app has many threads, and a fork of it would copy
their locks in whatever state they are (measured: most such children hang); a one-shot
command is bigger than a monitor may be.  So a small process of its own does it, which is
started while the command is still reading what to do.
"""

from __future__ import annotations

import errno
import marshal
import os

from core.errors import HostError, RunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

SPAWNER = os.path.join(os.path.dirname(__file__), "spawner.py")


class Launcher:
    """Starts monitors and exec sessions; several threads may at the same time."""

    def __init__(self) -> None:
        from _thread import allocate_lock

        self._lock = allocate_lock()
        self._socket: _socket.socket | None = None
        self._pid = 0

    def prepare(self, kind: str = "monitor") -> None:
        """Fork the spawner, so that it is ready by the time of the first launch, of that kind.

        Only for a process with one thread, and early: what is in memory now stays in the
        memory of every monitor.
        """
        self._socket, self._pid = _fork_spawner(kind)

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
        read, write = os.pipe()
        try:
            with self._lock:
                fds = (write, *(fd for fd in (owner, lock) if fd >= 0))
                self._send((kind, job, owner >= 0), fds)
        except OSError as error:
            os.close(read)
            raise HostError(f"cannot reach the spawner: {error}", errno=error.errno or 0) from error
        finally:
            os.close(write)
        meanwhile()
        _wait_report(read)

    def close(self) -> None:
        """Let the spawner end; containers go on."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            os.waitpid(self._pid, 0)

    def _send(self, job: tuple[str, Any, bool], fds: tuple[int, ...]) -> None:
        try:
            self._try_send(job, fds)
        except (BrokenPipeError, ConnectionResetError):
            self._end()  # somebody killed it; containers do not depend on it
            self._try_send(job, fds)

    def _try_send(self, job: tuple[str, Any, bool], fds: tuple[int, ...]) -> None:
        from core.containers.supervision import request

        if self._socket is None:
            self._socket, self._pid = _start_spawner()
        request.send(self._socket, job, fds)


def _fork_spawner(kind: str) -> tuple[_socket.socket, int]:
    from core.containers.supervision import protocol

    ours, theirs = protocol.pair()
    pid = os.fork()
    if pid == 0:
        try:
            from core.containers.supervision import spawner

            spawner.main(theirs, kind)
        finally:
            os._exit(0)
    theirs.close()
    return ours, pid


def _start_spawner() -> tuple[_socket.socket, int]:
    import signal
    import sys

    from core.containers.supervision import protocol

    ours, theirs = protocol.pair()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # Without `site` it cannot find packages itself: python-prctl lies where ours lie, or beside.
    modules = os.pathsep.join(path for path in sys.path if path)
    words = [sys.executable, "-I", "-S", "-E", SPAWNER, "3", modules]
    try:
        pid = os.posix_spawn(
            sys.executable,
            words,
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGCHLD, signal.SIGPIPE],
        )
    finally:
        os.close(null)
        theirs.close()
    return ours, pid


def _wait_report(fd: int) -> None:
    """Read the report of what was started until its end; RunError when it did not start."""
    parts = []
    try:
        while part := os.read(fd, 64 << 10):
            parts.append(part)
    finally:
        os.close(fd)
    if not parts:
        raise RunError(
            "the monitor ended before the container started", hint="limpet doctor checks this host"
        )
    message = marshal.loads(b"".join(parts))  # noqa: S302 - written by our own child
    if message[0] == "ok":
        return
    _, stage, number, text, exit_code = message
    if exit_code in (126, 127):
        raise RunError(text, exit_code=exit_code, hint="the program must be in the image")
    raise RunError(f"{stage}: {text}", exit_code=exit_code, hint=_remedy(stage, number))


def _remedy(stage: str, number: int) -> str:
    if number == errno.ENODEV and stage.startswith("overlay"):
        return "this kernel has no overlayfs; try: modprobe overlay"
    if number == errno.EPERM:
        return "a privilege is missing; limpet doctor tells which"
    if number == errno.ENOSPC:
        return "a limit of the host is reached: df, sysctl user.max_mnt_namespaces"
    return "limpet doctor checks this host"
