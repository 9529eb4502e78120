"""A proxy before a real registry that goes wrong where a test wants it to."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

CHUNK = 64 << 10


class Handler(BaseHTTPRequestHandler):
    """Passes one request on, unless a fault applies to it."""

    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_any(self) -> None:
        self.proxy.requests.append((self.command, self.path))
        length = int(self.headers.get("Content-Length", 0))
        for fault in self.proxy.faults:
            if fault(self):
                self.close_connection = True
                return
        self.forward(length)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def forward(self, length: int, cut: int = -1) -> None:
        """Send the request on and its answer back; with `cut`, hang up after so many bytes."""
        far = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30)
        try:
            far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                far.putheader(name, value)
            far.endheaders()
            left = length if cut < 0 else min(cut, length)
            while left:
                chunk = self.rfile.read(min(CHUNK, left))
                if not chunk:
                    return
                far.send(chunk)
                left -= len(chunk)
            if cut >= 0:
                return
            self.relay(far.getresponse())
        finally:
            far.close()

    def relay(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        while chunk := answer.read(CHUNK):
            self.wfile.write(chunk)

    def say(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer in the registry's place."""
        self.send_response(status)
        for name, value in {
            "Content-Length": "0",
            "Connection": "close",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class FaultProxy:
    """Listens on a free loopback port; a fault is asked for each request and may answer it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.faults: list[Callable[[Handler], bool]] = []
        self.requests: list[tuple[str, str]] = []
        handler = type("BoundHandler", (Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def once(self, method: str, act: Callable[[Handler], bool | None], times: int = 1) -> None:
        """Let `act` answer the next `times` requests of a method, unless it returns True."""
        left = [times]

        def fault(handler: Handler) -> bool:
            if handler.command != method or not left[0]:
                return False
            left[0] -= 1
            return not act(handler)

        self.faults.append(fault)

    def count(self, method: str) -> int:
        return sum(1 for seen, _ in self.requests if seen == method)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TokenGate:
    """Lets in who shows a token that is still good, and gives tokens at /token, as a fault.

    `expire` makes the next `times` requests of a method find that theirs is good no more;
    the answers to such a request come before its body was read.
    """

    def __init__(self, proxy: FaultProxy) -> None:
        self.given = 0
        self._proxy = proxy
        self._good: set[str] = set()
        self._expiring: dict[str, int] = {}
        self._lock = threading.Lock()
        proxy.faults.insert(0, self)

    def expire(self, method: str, times: int = 1) -> None:
        self._expiring[method] = times

    def __call__(self, handler: Handler) -> bool:
        with self._lock:
            if handler.path.startswith("/token"):
                self.given += 1
                self._good = {f"Bearer token-{self.given}"}
                body = f'{{"token": "token-{self.given}"}}'.encode()
                handler.say(200, {"Content-Length": str(len(body))})
                handler.wfile.write(body)
                return True
            left = self._expiring.get(handler.command, 0)
            if left:
                self._expiring[handler.command] = left - 1
                self._good.clear()
            if handler.headers.get("Authorization") in self._good:
                return False
        realm = f'Bearer realm="http://{self._proxy.host}/token",service="gate"'
        handler.say(401, {"WWW-Authenticate": realm})
        return True


def late(seconds: float) -> Callable[[Handler], bool]:
    """Let the registry answer, after a while."""

    def act(_: Handler) -> bool:
        time.sleep(seconds)
        return True

    return act


def silent(handler: Handler) -> None:
    """Take the request and say nothing until the other side hangs up."""
    while handler.connection.recv(CHUNK):
        pass


def cut(after: int) -> Callable[[Handler], None]:
    """Hang up when the registry has got so many bytes of the body."""

    def act(handler: Handler) -> None:
        handler.forward(int(handler.headers.get("Content-Length", 0)), after)
        handler.connection.shutdown(socket.SHUT_RDWR)

    return act
