"""How the tests of a hostile registry ask it, and what they have it do."""

from __future__ import annotations

import base64
import json

from core.config import Config
from core.images.blobs import BlobStore
from core.images.manifest import Descriptor
from core.images.reference import parse_reference
from core.paths import Paths
from core.registry.client import RegistryClient
from core.registry.fetch import fetch_blob
from core.registry.pull import Found, find
from tests.hostile_registry import Handler, HostileRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


SECRET = "s3cret-pass"


def make_client(registry: HostileRegistry, timeout_s: float = 1, **options: Any) -> RegistryClient:
    config = Config({("registry", "timeout_s"): timeout_s})
    return RegistryClient(registry.host, config, **options)


def find_app(registry: HostileRegistry, tag: str = "latest", **options: Any) -> Found:
    with make_client(registry, **options) as client:
        reference = parse_reference(f"{registry.host}/app:{tag}")
        return find(client, reference, "", lambda _: None)


def fetch(
    registry: HostileRegistry,
    paths: Paths,
    number: int = 0,
    *,
    check: Callable[[], None] = lambda: None,
    report: Callable[[int, str], None] = lambda *_: None,
    timeout_s: float = 1,
    **changes: Any,
) -> bytes:
    layer = registry.layers[number]
    descriptor = Descriptor(layer["mediaType"], layer["digest"], layer["size"]).replace(**changes)
    blobs = BlobStore(paths)
    with make_client(registry, timeout_s, check=check) as client:
        fetch_blob(blobs, client, "app", descriptor, report, check)
    return blobs.read(descriptor.digest)


def content(registry: HostileRegistry, number: int = 0) -> bytes:
    return registry.blobs[registry.layers[number]["digest"]]


def times(count: int, rule: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Let `rule` answer the first `count` requests, and the good registry the others."""
    left = [count]

    def wrapped(handler: Handler) -> None:
        left[0] -= 1
        if left[0] >= 0:
            rule(handler)
        else:
            handler.serve()

    return wrapped


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


def redirect(location: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(307, b"", {"Location": location})


def basic_only(registry: HostileRegistry) -> Callable[[Handler], None]:
    expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    def rule(handler: Handler) -> None:
        if handler.headers.get("Authorization") == expected:
            handler.serve()
        else:
            handler.answer(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})

    return rule


def with_tokens(registry: HostileRegistry, token: dict[str, Any] | bytes, accepted: str) -> None:
    def serve_token(handler: Handler) -> None:
        body = token if isinstance(token, bytes) else json.dumps(token).encode()
        handler.answer(200, body)

    def rule(handler: Handler) -> None:
        if handler.path.startswith("/token"):
            serve_token(handler)
        elif handler.headers.get("Authorization") == f"Bearer {accepted}":
            handler.serve()
        else:
            challenge = f'Bearer realm="http://{registry.host}/token",service="a b"'
            handler.answer(401, b"", {"WWW-Authenticate": challenge})

    registry.rules[""] = rule
