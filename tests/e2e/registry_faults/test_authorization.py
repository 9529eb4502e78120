"""Tokens, passwords and redirects: who gets a secret, and who does not."""

from __future__ import annotations

import base64
import json
import time

import pytest

from core.errors import NotFound, ProtocolError, Unauthorized
from core.paths import Paths
from core.registry.credentials import Credentials
from tests.e2e.registry_faults.asking import (
    SECRET,
    basic_only,
    content,
    find_app,
    make_client,
    redirect,
    with_tokens,
)
from tests.hostile_registry import Handler, HostileRegistry, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def test_redirect_loop_ends(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = redirect("/v2/app/manifests/latest")
    with pytest.raises(ProtocolError, match="redirects"):
        find_app(registry)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://a/b", "http://u:p@a/", "http://[x/"]
)
def test_redirect_to_something_else(registry: HostileRegistry, location: str) -> None:
    registry.rules["/manifests/latest"] = redirect(location)
    with pytest.raises(ProtocolError, match="no web address"):
        find_app(registry)


def test_redirect_cannot_add_a_header(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = redirect("/v2/a b\r\n Evil: 1/\xe9")
    with pytest.raises(NotFound):
        find_app(registry)
    assert not any("Evil" in headers for _, headers in registry.requests)


def test_authorization_stays_with_its_host(registry: HostileRegistry, paths: Paths) -> None:
    with HostileRegistry() as storage:
        data = content(registry)
        storage.blobs[digest_of(data)] = data
        ending = registry.layers[0]["digest"]
        allowed = basic_only(registry)

        def rule(handler: Handler) -> None:
            if handler.headers.get("Authorization"):
                redirect(f"http://{storage.host}/v2/app/blobs/{ending}?signature=1%2F2")(handler)
            else:
                allowed(handler)

        registry.rules[ending] = rule
        storage.rules["?signature=1%2F2"] = lambda handler: handler.answer(200, data)
        with make_client(registry, credentials=Credentials("me", SECRET)) as client:
            blob = client.blob("app", ending)
            received = b""
            while chunk := blob.read(1 << 16):
                received += chunk
        assert received == data
        assert [path for path, _ in storage.requests] == [f"/v2/app/blobs/{ending}?signature=1%2F2"]
        assert "Authorization" not in storage.requests[0][1]


def test_basic_and_wrong_password(registry: HostileRegistry) -> None:
    registry.rules[""] = basic_only(registry)
    assert find_app(registry, credentials=Credentials("me", SECRET)).layers
    before = len(registry.requests)
    with pytest.raises(Unauthorized, match="refuses me") as caught:
        find_app(registry, credentials=Credentials("me", SECRET + "x"))
    assert SECRET not in caught.value.message
    assert len(registry.requests) - before == 3  # which way to speak, without, with
    with pytest.raises(Unauthorized, match="asks for credentials") as caught:
        find_app(registry)
    assert "login" in caught.value.hint


def test_repeated_secret_is_left_out(registry: HostileRegistry) -> None:
    def echo(handler: Handler) -> None:
        if handler.path == "/v2/":
            handler.serve()
            return
        body = {"errors": [{"message": f"bad {handler.headers.get('Authorization')} {SECRET}"}]}
        handler.answer(401, json.dumps(body).encode(), {"WWW-Authenticate": "Basic realm=x"})

    registry.rules[""] = echo
    with pytest.raises(Unauthorized) as caught:
        find_app(registry, credentials=Credentials("me", SECRET))
    assert SECRET not in caught.value.message
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in caught.value.message


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_bearer_token(registry: HostileRegistry, name: str) -> None:
    with_tokens(registry, {name: "t1", "expires_in": 300}, "t1")
    assert find_app(registry, credentials=Credentials("me", SECRET)).layers
    asked = [(path, headers) for path, headers in registry.requests if path.startswith("/token")]
    assert [path for path, _ in asked] == ["/token?service=a+b&scope=repository%3Aapp%3Apull"]
    assert asked[0][1]["Authorization"].startswith("Basic ")


def test_expired_token_is_renewed(registry: HostileRegistry) -> None:
    with_tokens(registry, {"token": "t1", "expires_in": 0.05}, "t1")
    with make_client(registry) as client:
        client.manifest("app", "latest")
        time.sleep(0.1)
        client.manifest("app", "latest")
    assert sum(path.startswith("/token") for path, _ in registry.requests) == 2


def test_token_that_is_never_accepted(registry: HostileRegistry) -> None:
    with_tokens(registry, {"token": "t1"}, "t2")
    with pytest.raises(Unauthorized):
        find_app(registry)
    assert sum(path.startswith("/token") for path, _ in registry.requests) == 1


@pytest.mark.parametrize(
    "token",
    [b"", b"[]", b"garbage", {}, {"token": 7}, {"token": "a\r\nEvil: 1"}, {"token": "\xe9"}],
)
def test_garbage_for_a_token(registry: HostileRegistry, token: dict[str, Any] | bytes) -> None:
    with_tokens(registry, token, "t1")
    with pytest.raises(ProtocolError, match="no token"):
        find_app(registry)


@pytest.mark.parametrize("life", ["1" + "0" * 400, "NaN", "-Infinity", '"soon"', "true"])
def test_a_token_that_lives_for_no_time_one_can_count(registry: HostileRegistry, life: str) -> None:
    with_tokens(registry, b'{"token": "t1", "expires_in": %s}' % life.encode(), "t1")
    assert find_app(registry).layers


def test_a_token_server_at_no_address(registry: HostileRegistry) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="http://[::1/token"'}
    registry.rules[""] = lambda handler: handler.answer(401, b"", challenge)
    with pytest.raises(ProtocolError, match="no web address"):
        find_app(registry)
