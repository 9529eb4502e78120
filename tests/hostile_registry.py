"""A registry in a thread that answers as a test wants, well or badly.

Out of the box it serves one image, `app:latest`, of two layers.  `rules` replace the answer
for a path's end; each request is kept in `requests`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import select
import socket
import ssl
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "amd64")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer_tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves blobs and manifests of `registry`, after its rules."""

    protocol_version = "HTTP/1.1"
    registry: HostileRegistry

    def do_GET(self) -> None:
        registry = self.registry
        registry.requests.append((self.path, dict(self.headers)))
        for ending, rule in registry.rules.items():
            if self.path.endswith(ending):
                rule(self)
                return
        self.serve()

    do_HEAD = do_GET

    def serve(self) -> None:
        """Answer as a good registry does, ranges included."""
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif "/manifests/" in self.path and self.path in self.registry.manifests:
            content, media_type = self.registry.manifests[self.path]
            self.answer(200, content, {"Content-Type": media_type})
        elif "/blobs/" in self.path and (
            content := self.registry.blobs.get(self.path.rpartition("/")[2], b"")
        ):
            start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
            if not start:
                self.answer(200, content)
            elif start >= len(content):
                self.answer(416, b"")
            else:
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(206, content[start:], {"Content-Range": span})
        else:
            error = {"errors": [{"code": "NAME_UNKNOWN", "message": "nothing \x1b[31mhere\n"}]}
            self.answer(404, json.dumps(error).encode())

    def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        length: int = -1,
    ) -> None:
        """Send an answer; `length` is what Content-Length claims, the truth by default."""
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body) if length < 0 else length), **(headers or {})
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if 0 <= length != len(body):
            self.close_connection = True

    def do_CONNECT(self) -> None:
        """Be a proxy: pass bytes on to `tunnel`, whatever host was asked for."""
        self.registry.requests.append((f"CONNECT {self.path}", dict(self.headers)))
        self.close_connection = True
        with socket.create_connection(self.registry.tunnel) as far:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: far, far: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class HostileRegistry:
    """Serves on a free loopback port until it is closed; `tls` as `make_certificate` gives it."""

    def __init__(self, payload: int = 300_000, tls: dict[str, str] | None = None) -> None:
        self.rules: dict[str, Callable[[Handler], None]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.layers: list[dict[str, Any]] = []
        self.tunnel = ("127.0.0.1", 0)
        self._make_image(payload)
        handler = type("BoundHandler", (Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls["certificate"], tls["key"])
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _make_image(self, payload: int) -> None:
        tars = [layer_tar("first", os.urandom(payload)), layer_tar("second", b"second\n")]
        self.layers = [
            self.add(gzip.compress(tar, 1), "application/vnd.oci.image.layer.v1.tar+gzip")
            for tar in tars
        ]
        self.config = {
            "os": "linux",
            "architecture": ARCHITECTURE,
            "config": {"Cmd": ["/first"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
        }
        self.publish("latest")

    def publish(self, tag: str, **changes: Any) -> str:
        """Make a manifest of the layers and the config, with `changes`; return its digest."""
        config = self.add(
            json.dumps(self.config).encode(), "application/vnd.oci.image.config.v1+json"
        )
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": self.layers,
            **changes,
        }  # fmt: skip
        return self.publish_bytes(tag, json.dumps(manifest).encode(), manifest["mediaType"])

    def publish_bytes(self, tag: str, content: bytes, media_type: str) -> str:
        """Put a document under a tag and its digest; return the digest."""
        digest = digest_of(content)
        for name in (tag, digest):
            self.manifests[f"/v2/app/manifests/{name}"] = (content, media_type)
        return digest

    def add(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Put a blob; return its descriptor."""
        digest = digest_of(content)
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def asked(self, ending: str) -> list[dict[str, str]]:
        """Return the headers of each request whose path ends so."""
        return [headers for path, headers in self.requests if path.endswith(ending)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
