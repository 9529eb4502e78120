"""A front end's side of an attached container or exec: the Session."""

from __future__ import annotations

import os

from core.containers.supervision import protocol
from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Self


def load_relay() -> None:
    """Import what a session takes to its end, at a time when there is nothing else to do."""
    from core.containers import ending, removal  # noqa: F401
    from core.containers.attach import detach_keys, relay  # noqa: F401


class Session:
    """A connection to what runs in a container.  Closes when it is left as a context."""

    def __init__(
        self,
        channel: _socket.socket,
        *,
        tty: bool,
        stdin: bool,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._channel = channel
        self._tty = tty
        self._stdin = stdin
        self._ended = ended
        """Called once with the exit code in hand, before `relay` returns it."""

    def relay(
        self,
        stdin_fd: int,
        stdout_fd: int,
        stderr_fd: int,
        detach_keys: str,
        *,
        stdin: bool = True,
        proxy: bool = True,
    ) -> int:
        """Join these descriptors with the container until it ends or the person leaves.

        Returns the exit code, or -1 when the person left: by `detach_keys` (`ctrl-p,ctrl-q`), or,
        where the container has no terminal, by ctrl-c three times in a row.  The
        terminal is raw meanwhile, if both sides have one, and is restored whatever
        happens.  Without `stdin` nothing is read, without `proxy` no signal passed on.
        Raises HostError when the monitor is gone, BrokenPipeError when the reader of our output
        is.
        """
        from core.containers.attach.detach_keys import parse_keys
        from core.containers.attach.relay import Relay

        relay = Relay(
            self._channel, stdin_fd, stdout_fd, stderr_fd,
            parse_keys(detach_keys), tty=self._tty, stdin=self._stdin and stdin, proxy=proxy,
        )  # fmt: skip
        code = relay.run()
        if code >= 0 and self._ended is not None:
            self._ended()
        return code

    def wait(self) -> int:
        """Wait for the exit code, dropping the output.  Raises HostError as `relay` does."""
        code = read_exit(self._channel)
        if code is None:
            raise lost()
        if self._ended is not None:
            self._ended()
        return code

    def close(self) -> None:
        """Hang up; a container goes on, the program of an `exec` ends."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_exit(channel: _socket.socket) -> int | None:
    """Read until an exit code arrives; None when the other end is gone without one."""
    while True:
        message = protocol.receive(channel)
        if not message:
            return None
        if message[0] in (protocol.EXIT, protocol.ENDED):
            return message[1]


def lost() -> HostError:
    """Return the error for a monitor that went away without an exit code."""
    return HostError(
        "the container's monitor has ended unexpectedly",
        hint="limpet ps -a shows what became of the container",
    )


def connect(run_directory: str) -> _socket.socket | None:
    """Connect to the monitor of a container; None when there is none.

    Goes through a descriptor of the directory: the path may be longer than a socket's
    address can be (108 bytes, unix(7)).
    """
    import _socket

    try:
        directory = os.open(run_directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        channel.connect(f"/proc/self/fd/{directory}/{protocol.SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError):
        channel.close()
        return None
    finally:
        os.close(directory)
    return channel
