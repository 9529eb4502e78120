"""The two doors to a monitor: fork it here, or have the spawner fork it.

A one-shot command has one thread and little in memory, so it forks.  A front end that
stays has many threads; a fork of it would copy their locks in whatever state they are
(measured: most such children hang), so a small process of its own does it.
"""

from __future__ import annotations

import marshal
import os

from core.errors import HostError, RunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, Protocol

    class Launcher(Protocol):
        """Starts monitors and exec sessions."""

        def launch(self, kind: str, job: dict[str, Any], owner: int) -> None:
            """Start one and return when its program runs; `kind` is `monitor` or `exec`.

            `owner` is the descriptor of its end of a socket, or -1; the caller keeps its
            own copy.  Raises RunError with docker's exit code.
            """

        def close(self) -> None:
            """End what the launcher itself needs; nothing that it started."""


SPAWNER = os.path.join(os.path.dirname(__file__), "spawner.py")
INLINE_BYTES = 64 << 10
"""Larger requests travel as a memory file: a SEQPACKET message has a limit."""


def make_launcher(kind: str) -> Launcher:
    """Return the door for a kind of front end: `fork` or `spawner`."""
    return SpawnerLauncher() if kind == "spawner" else ForkLauncher()


class ForkLauncher:
    """For a process with one thread."""

    def launch(self, kind: str, job: dict[str, Any], owner: int) -> None:
        """Fork."""
        read, write = os.pipe()
        try:
            if os.fork() == 0:
                become(kind, job, write, owner)
        finally:
            os.close(write)
        _wait_report(read)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


def become(kind: str, job: dict[str, Any], report: int, owner: int) -> None:
    """Turn a freshly forked process into a monitor or an exec session; never returns."""
    try:
        if kind == "monitor":
            from core.containers import monitor

            monitor.run(job, report, owner)
        else:
            from core.containers import exec_session

            exec_session.run(job, report, owner)
    finally:
        os._exit(1)


class SpawnerLauncher:
    """For a process with threads; several may launch at the same time."""

    def __init__(self) -> None:
        from _thread import allocate_lock

        self._lock = allocate_lock()
        self._socket: _socket.socket | None = None
        self._pid = 0

    def launch(self, kind: str, job: dict[str, Any], owner: int) -> None:
        """Send a request to the spawner, which is started when it is not there."""
        read, write = os.pipe()
        try:
            with self._lock:
                self._send(marshal.dumps((kind, job)), (write, *((owner,) if owner >= 0 else ())))
        except OSError as error:
            os.close(read)
            raise HostError(f"cannot reach the spawner: {error}", errno=error.errno or 0) from error
        finally:
            os.close(write)
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

    def _send(self, request: bytes, fds: tuple[int, ...]) -> None:
        try:
            self._try_send(request, fds)
        except (BrokenPipeError, ConnectionResetError):
            self._end()  # somebody killed it; containers do not depend on it
            self._try_send(request, fds)

    def _try_send(self, request: bytes, fds: tuple[int, ...]) -> None:
        if self._socket is None:
            self._socket, self._pid = _start_spawner()
        if len(request) <= INLINE_BYTES:
            _send_with_fds(self._socket, b"i" + request, fds)
            return
        memory = os.memfd_create("launch", os.MFD_CLOEXEC)
        try:
            with open(memory, "wb", closefd=False) as file:
                file.write(request)
            _send_with_fds(self._socket, b"m", (memory, *fds))
        finally:
            os.close(memory)


def _send_with_fds(channel: _socket.socket, message: bytes, fds: tuple[int, ...]) -> None:
    import _socket
    import sys

    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    channel.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])


def _start_spawner() -> tuple[_socket.socket, int]:
    import signal
    import sys

    from core.containers import protocol

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
    _, stage, _, text, exit_code = message
    if exit_code in (126, 127):
        raise RunError(text, exit_code=exit_code, hint="the program must be in the image")
    raise RunError(f"{stage}: {text}", exit_code=exit_code)
