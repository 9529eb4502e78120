"""Connections that can be given up at once.

A pull may wait on a socket for half a minute; a person who presses the key to cancel does
not want to.  So every wait (connect, TLS handshake, read) is cut into slices, and between
two slices `check` may raise.
"""

from __future__ import annotations

import io
import select
import socket
import time

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer

    Check = Callable[[], None]

SLICE_S = 0.2
SEND_CHUNK = 1 << 20


def connect(host: str, port: int, timeout_s: float, check: Check) -> socket.socket:
    """Return a TCP connection to the first address of `host` that answers.

    Raises OSError: of the last address tried, or from the name look-up.
    """
    failure: OSError = OSError(f"no address for {host}")
    # As bytes: for text the codec of international names is imported, 4 ms.
    name = host.encode() if host.isascii() and host.isprintable() else host
    for family, kind, protocol, _, address in socket.getaddrinfo(
        name, port, type=socket.SOCK_STREAM
    ):
        check()
        connection = socket.socket(family, kind, protocol)
        try:
            _connect(connection, address, timeout_s, check)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise failure


def _connect(connection: socket.socket, address: object, timeout_s: float, check: Check) -> None:
    import errno
    import os

    connection.setblocking(False)
    code = connection.connect_ex(address)  # type: ignore[arg-type]
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    deadline = time.monotonic() + timeout_s
    while not poll.poll(SLICE_S * 1000):
        check()
        if time.monotonic() > deadline:
            raise TimeoutError("connecting timed out")
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    connection.settimeout(SLICE_S)


def start_tls(
    connection: socket.socket, host: str, context: ssl.SSLContext, timeout_s: float, check: Check
) -> ssl.SSLSocket:
    """Do the TLS handshake; raises OSError (ssl.SSLError among them) and closes on failure."""
    secured = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            secured.settimeout(SLICE_S)
            try:
                secured.do_handshake()
            except TimeoutError:
                check()
                if time.monotonic() > deadline:
                    raise TimeoutError("the TLS handshake timed out") from None
            else:
                return secured
    except BaseException:
        secured.close()
        raise


class FilePart(Record):
    """Bytes of a file to send: `length` of them from `start` on."""

    path: str
    start: int
    length: int


class StreamPart(Record):
    """Bytes that come from elsewhere while they are sent: `length` of them in all.

    `chunks` begins anew with each call, for a request that has to be repeated; what it raises
    ends the request.
    """

    chunks: Callable[[], Iterator[bytes]]
    length: int


if TYPE_CHECKING:
    Body = bytes | FilePart | StreamPart


def send(
    connection: socket.socket,
    content: Body,
    timeout_s: float,
    check: Check,
    sent: Callable[[int], None],
) -> None:
    """Send a request's body; `sent` is told the bytes that have left.

    Raises TimeoutError after silence, OSError for a broken connection or a file that is gone.
    """
    connection.settimeout(min(SLICE_S, timeout_s))
    if isinstance(content, bytes):
        _send_bytes(connection, content, timeout_s, check)
        sent(len(content))
        return
    if isinstance(content, StreamPart):
        done = 0
        for chunk in content.chunks():
            _send_bytes(connection, chunk, timeout_s, check)
            done += len(chunk)
            sent(done)
        return
    with open(content.path, "rb", buffering=0) as file:
        if type(connection) is socket.socket:
            _send_from(connection, file.fileno(), content, timeout_s, check, sent)
            return
        file.seek(content.start)
        done = 0
        while done < content.length:
            chunk = file.read(min(SEND_CHUNK, content.length - done))
            if not chunk:
                raise _cut_short(content)
            _send_bytes(connection, chunk, timeout_s, check)
            done += len(chunk)
            sent(done)


def _send_bytes(connection: socket.socket, content: bytes, timeout_s: float, check: Check) -> None:
    view = memoryview(content)
    silence = time.monotonic() + timeout_s
    while view:
        check()
        try:
            view = view[connection.send(view) :]
        except TimeoutError:
            if time.monotonic() > silence:
                raise TimeoutError(f"nothing was taken for {timeout_s:g} s") from None
        else:
            silence = time.monotonic() + timeout_s


def _send_from(
    connection: socket.socket,
    file: int,
    part: FilePart,
    timeout_s: float,
    check: Check,
    sent: Callable[[int], None],
) -> None:
    """Let the kernel copy from the file: without TLS nothing has to pass through Python."""
    import os

    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    done = 0
    silence = time.monotonic() + timeout_s
    while done < part.length:
        check()
        if not poll.poll(SLICE_S * 1000):
            if time.monotonic() > silence:
                raise TimeoutError(f"nothing was taken for {timeout_s:g} s")
            continue
        count = min(SEND_CHUNK, part.length - done)
        try:
            taken = os.sendfile(connection.fileno(), file, part.start + done, count)
        except BlockingIOError:
            continue
        if not taken:
            raise _cut_short(part)
        done += taken
        sent(done)
        silence = time.monotonic() + timeout_s


def _cut_short(part: FilePart) -> OSError:
    return OSError(f"{part.path} is shorter than {part.start + part.length} bytes")


class PatientReader(io.RawIOBase):
    """The receiving side of a connection; raises TimeoutError after silence.

    `deadline` (of time.monotonic) bounds everything that is read; 0 lifts it.
    """

    def __init__(
        self, connection: socket.socket, timeout_s: float, check: Check, deadline: float
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._check = check
        self.deadline = deadline
        connection.settimeout(min(SLICE_S, timeout_s))

    def readable(self) -> bool:
        """Return True, as io.BufferedReader asks for."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with what has come, waiting for the first byte."""
        silence = time.monotonic() + self._timeout_s
        while True:
            self._check()
            if self.deadline and time.monotonic() > self.deadline:
                raise TimeoutError("the answer took too long")
            try:
                return self._connection.recv_into(buffer)
            except TimeoutError:
                if time.monotonic() > silence:
                    raise TimeoutError(f"nothing came for {self._timeout_s:g} s") from None
