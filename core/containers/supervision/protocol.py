"""The messages between a front end and a monitor, over a Unix SEQPACKET socket.

The first byte of a message is its kind.  At most MAX_DATA bytes of data follow.

    front end -> monitor
    a         send me the output from now on
    0 data    for the container's stdin; each is answered by one `0`, and a front end
              keeps at most WINDOW of them unanswered, so that orders are never stuck
              behind input which the container does not read
    c         close the container's stdin
    d         I leave on purpose: keep the container's stdin open
    w r c     the terminal's rows and columns, two little-endian 16-bit numbers
    k n [s|h] signal n for the container's first process, which is not started again when
              that ends it; s: a person stops it, h: the host goes down
    g         start now, do not wait any longer before the next run
    t text    follow this restart policy from now on
    l data    start the next run with these limits, marshalled resources of the specification
    p, u      freeze, thaw all its processes
    n data    another network; the data is marshalled, see core.network.attachment.rewire
    monitor -> front end
    1 data, 2 data    stdout, stderr
    0                 one `0 data` has been taken
    r n text          answer to p, u or n: an errno, 0 for done
    e n               a run has ended with exit code n, another will begin
    x n               the container's exit code; the last message
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

MAX_DATA = 32 << 10
WINDOW = 4

ATTACH, DATA, CLOSE, DETACH = 97, 48, 99, 100
WINDOW_SIZE, SIGNAL, PAUSE, UNPAUSE, GO, POLICY, NETWORK = 119, 107, 112, 117, 103, 116, 110
LIMITS = 108
STDOUT, STDERR, TAKEN, ANSWER, ENDED, EXIT = 49, 50, 48, 114, 101, 120
BY_PERSON, BY_HOST = b"s", b"h"
"""Who stops a container."""

SOCKET_NAME = "attach"


def window_size(rows: int, columns: int) -> bytes:
    """Return the message that tells the terminal's size."""
    return b"w" + min(rows, 65535).to_bytes(2, "little") + min(columns, 65535).to_bytes(2, "little")


def parse_window_size(message: bytes) -> tuple[int, int]:
    """Return rows and columns; ValueError for a message of another length."""
    if len(message) != 5:
        raise ValueError("a window size has five bytes")
    return int.from_bytes(message[1:3], "little"), int.from_bytes(message[3:5], "little")


def signal(number: int, stop: bytes = b"") -> bytes:
    """Return the message that sends a signal to the first process; `stop`: who stops it."""
    return bytes((SIGNAL, number)) + stop


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Return two connected sockets that speak this protocol."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)


def receive(channel: _socket.socket) -> bytes:
    """Return the next message, b"" at the end.

    An end that closes with messages unread makes the other's next call fail with
    ECONNRESET, ahead of what is still queued for it: the call is made again, once the
    kernel has reported that (net/unix/af_unix.c, unix_release_sock).
    """
    while True:
        try:
            return channel.recv(MAX_DATA + 1)
        except ConnectionResetError:
            continue


class Closing:
    """Closes a socket at the end of a `with` block, which `_socket.socket` itself cannot."""

    def __init__(self, channel: _socket.socket) -> None:
        self._channel = channel

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
