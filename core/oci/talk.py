"""What the calls of a runtime share: their flags, and how they talk with a container's stages.

Small: `state`, `start` and `kill` load it, and nothing of what `create` takes.
"""

from __future__ import annotations

import _socket
import marshal
import os

from core.errors import HostError, RunError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MESSAGE = 64 << 10
PLACE, MAPS, PID, READY, CREATED, FAILED, LOG, GO = (
    b"place", b"maps", b"pid ", b"ready", b"created", b"error", b"log ", b"go",
)  # fmt: skip
"""Outer stage: wants its cgroup; its id maps; the pid it forked.  First process: the file system
is there, hooks may run; all is ready for `start`; why there will be no program.  Runtime: go on,
with the state for who decides about system calls, if anybody does."""
START = b"start"


class Runtime(Record):
    """What the flags before the verb say."""

    root: str
    """Where the containers' states are."""
    cache: str
    """Where compiled system-call filters are kept."""
    systemd: bool = False
    """cgroupsPath has systemd's form, and systemd makes the cgroup."""
    log: Callable[[str, str], None] = lambda level, text: None
    """Takes a level (`debug`, `warning`) and a line."""
    debug: bool = False


class at_directory:
    """A short name for a directory, inside the `with` block: a socket's path has 107 bytes."""

    def __init__(self, directory: str) -> None:
        self._directory = directory or "."

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def connect(path: str, kind: int) -> _socket.socket:
    """Connect to a Unix socket, however long its path is.  Raises OSError, HostError."""
    channel = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC)
    try:
        with at_directory(os.path.dirname(path)) as folder:
            channel.connect(f"{folder}/{os.path.basename(path)}")
    except OSError as error:
        channel.close()
        raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error
    return channel


def receive(channel: _socket.socket) -> bytes:
    """Return a stage's next message, b"" at its end."""
    while True:
        try:
            return channel.recv(MAX_MESSAGE)
        except ConnectionResetError:
            continue  # its last message comes after this, see protocol.receive


def failure(message: bytes) -> RunError:
    """Return the error that one of the stages tells of."""
    doing, _, text, code = marshal.loads(message.removeprefix(FAILED))  # noqa: S302 - our own
    return RunError(f"{doing}: {text}" if doing else text, exit_code=code)
