"""Sockets without the `socket` package, which costs six milliseconds to import."""

from __future__ import annotations

import _socket
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Socket(_socket.socket):
    """A socket that a `with` block closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def by_descriptor(path: str, act: Callable[[str], None]) -> None:
    """Call `act`, a socket's bind or connect, with a short name of a path.

    It goes through the directory's descriptor: a path may be longer than an address (unix(7)).
    """
    directory, _, name = path.rpartition("/")
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)


def has_listener(path: str) -> bool:
    """Return whether somebody listens at a SOCK_SEQPACKET socket, who does not notice.

    A connection of another type is refused before he hears of it: EPROTOTYPE, unix(7).
    """
    with Socket(_socket.AF_UNIX, _socket.SOCK_STREAM) as probe:
        try:
            by_descriptor(path, probe.connect)
        except OSError as error:
            return error.errno == errno.EPROTOTYPE
    return True
