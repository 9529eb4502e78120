"""One HTTP/1.1 connection: opened through a proxy and TLS where needed, then asked.

Requests are written here and answers read by `core.registry.transport.response`.
"""

from __future__ import annotations

import io
import select
import time
from urllib.parse import SplitResult, quote

from core.errors import ProtocolError
from core.registry.transport.proxy import choose_proxy
from core.registry.transport.response import HttpError, Response
from core.registry.transport.wire import PatientReader, connect, send, start_tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping

    from core.registry.transport.wire import Body, Check

USER_AGENT = "limpet"
PORTS = {"http": 80, "https": 443}
READ_BUFFER = 256 << 10
BODILESS = ("GET", "HEAD", "DELETE", "CONNECT")
ANSWER_TIMEOUTS = 4
"""An answer that is not a blob is there, whole, within this many silence time-outs."""


class Connection:
    """A connection to one scheme, host and port.  Its methods raise OSError and HttpError."""

    def __init__(
        self,
        parts: SplitResult,
        context: ssl.SSLContext | None,
        timeout_s: float,
        check: Check,
    ) -> None:
        self._timeout_s = timeout_s
        self._check = check
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        proxy = choose_proxy(parts.scheme, host, port)
        to = (proxy.host, proxy.port) if proxy else (host, port)
        self._socket: socket.socket = connect(*to, timeout_s, check)
        self._proxy_authorization = ""
        self._absolute = False
        try:
            if proxy and context is None:
                self._absolute = True
                self._proxy_authorization = proxy.authorization
            elif proxy:
                self._tunnel(host, port, proxy.authorization)
            if context:
                self._socket = start_tls(self._socket, host, context, timeout_s, check)
        except BaseException:
            self.close()
            raise

    def ask(
        self,
        method: str,
        parts: SplitResult,
        headers: Mapping[str, str],
        body: Body = b"",
        sent: Callable[[int], None] = lambda _: None,
        *,
        large: bool = False,
    ) -> Response:
        """Send a request and return the answer, its headers read; `sent` is told body bytes.

        A `large` body may take any time, as long as bytes come.
        """
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if self._absolute:
            target = f"{parts.scheme}://{parts.netloc}{target}"
        lines = {
            "Host": parts.netloc,
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            **headers,
        }
        if self._proxy_authorization:
            lines["Proxy-Authorization"] = self._proxy_authorization
        if method not in BODILESS:
            lines["Content-Length"] = str(len(body) if isinstance(body, bytes) else body.length)
        return self._exchange(method, target, lines, body, sent, large=large)

    @property
    def stale(self) -> bool:
        """Whether the server hung up, or spoke unasked, since the last answer."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _tunnel(self, host: str, port: int, authorization: str) -> None:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = {"Host": name}
        if authorization:
            headers["Proxy-Authorization"] = authorization
        response = self._exchange("CONNECT", name, headers)
        if response.status != 200:
            raise OSError(f"the proxy refuses: {response.status} {response.reason}")

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body = b"",
        sent: Callable[[int], None] = lambda _: None,
        *,
        large: bool = False,
    ) -> Response:
        # What a server put into a redirect must not become a second header.
        target = quote(target, safe="%/:=&?~#+!$,;'@()*[]-._")
        lines = [f"{method} {target} HTTP/1.1"]
        for name, value in headers.items():
            if not value.isprintable():
                raise ProtocolError(f"the value for the header {name} has control characters")
            lines.append(f"{name}: {value}")
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        broken: OSError | None = None
        try:
            if body:
                send(self._socket, body, self._timeout_s, self._check, sent)
        except (BrokenPipeError, ConnectionResetError) as error:
            broken = error  # it may have answered before it hung up
        deadline = time.monotonic() + self._timeout_s * ANSWER_TIMEOUTS
        reader = PatientReader(self._socket, self._timeout_s, self._check, deadline)
        try:
            response = Response(io.BufferedReader(reader, READ_BUFFER), method)
        except (OSError, HttpError) as error:
            raise broken or error from None
        if broken:
            response.will_close = True
        if large:
            reader.deadline = 0
        return response
