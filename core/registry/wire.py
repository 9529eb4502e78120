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

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    Check = Callable[[], None]

SLICE_S = 0.2


def connect(host: str, port: int, timeout_s: float, check: Check) -> socket.socket:
    """Return a TCP connection to the first address of `host` that answers.

    Raises OSError: of the last address tried, or from the name look-up.
    """
    failure: OSError = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
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
