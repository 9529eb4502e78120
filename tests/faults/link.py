"""The wire to a registry, which can be cut after some bytes."""

from __future__ import annotations

import contextlib
import socket
import threading

CHUNK = 16 << 10


class Link:
    """Relays a loopback port to another; `cut_after` bytes every connection is reset.

    From then on nobody is let in, until `mend`.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.passed = 0
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def cut_after(self, bytes_: int) -> None:
        """Cut it when so many more have passed, in either direction."""
        with self._lock:
            self._left = bytes_

    def mend(self) -> None:
        """Let bytes pass again."""
        with self._lock:
            self._left = None

    def close(self) -> None:
        """End."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._left is not None and self._left <= 0:
                _reset(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                _reset(near)
                continue
            with self._lock:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, source: socket.socket, to: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                with self._lock:
                    self.passed += len(data)
                    if self._left is not None:
                        data = data[: max(self._left, 0)]
                        self._left -= len(data)
                to.sendall(data)
                if self._left is not None and self._left <= 0:
                    self._cut()
                    return
            to.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(source, to)

    def _cut(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for one in ended:
            _reset(one)

    def _drop(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open -= set(sockets)
        for one in sockets:
            _reset(one)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.shutdown(socket.SHUT_RDWR)
    one.close()
