"""Getting to a registry at all: names, connections, silence, proxies, TLS."""

from __future__ import annotations

import threading
import time

import pytest

from core.config import Config
from core.errors import ConfigError, Error, ProtocolError, Unreachable
from core.paths import Paths
from core.registry.client import RegistryClient
from core.registry.credentials import Credentials
from core.registry.transport import http
from tests.e2e.registry_faults.asking import (
    SECRET,
    content,
    fetch,
    find_app,
    hang_up,
    redirect,
    times,
)
from tests.hostile_registry import Handler, HostileRegistry


@pytest.mark.parametrize("failures", [1, 3])
def test_server_errors_are_tried_again(registry: HostileRegistry, failures: int) -> None:
    registry.rules["/manifests/latest"] = times(failures, lambda handler: handler.answer(503))
    assert find_app(registry).layers
    assert len(registry.asked("/manifests/latest")) == failures + 1


def test_server_errors_end(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(500, b"<html>")
    with pytest.raises(Unreachable, match="HTTP 500") as caught:
        find_app(registry)
    assert caught.value.status == 500
    assert len(registry.asked("/manifests/latest")) == http.ATTEMPTS


def test_broken_connections_are_tried_again(registry: HostileRegistry, paths: Paths) -> None:
    registry.rules["/manifests/latest"] = times(2, hang_up)
    registry.rules[registry.layers[0]["digest"]] = times(2, hang_up)
    assert find_app(registry).layers
    assert fetch(registry, paths) == content(registry)


def test_broken_connections_end(registry: HostileRegistry, paths: Paths) -> None:
    registry.rules["/manifests/latest"] = hang_up
    with pytest.raises(Unreachable, match=registry.host):
        find_app(registry)
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = lambda handler: handler.answer(
        200, data[:10], length=len(data)
    )
    with pytest.raises((Unreachable, ProtocolError)):
        fetch(registry, paths)


def test_silence_times_out(registry: HostileRegistry) -> None:
    released = threading.Event()
    registry.rules["/manifests/latest"] = lambda _: (released.wait(20), None)[1]
    started = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="nothing came for 1 s"):
            find_app(registry, attempts=1)
    finally:
        released.set()
    assert time.monotonic() - started < 5


def test_drip_is_bounded_for_manifests(registry: HostileRegistry) -> None:
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.2)

    registry.rules["/manifests/latest"] = drip
    with pytest.raises(Unreachable, match="took too long"):
        find_app(registry, attempts=1)


def test_nobody_listens(registry: HostileRegistry) -> None:
    client = RegistryClient("127.0.0.1:1", Config())
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1: .*refused") as caught:
        client.ping()
    assert caught.value.hint


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 70_000])
def test_not_http(answer: bytes) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = RegistryClient(
            f"127.0.0.1:{server.getsockname()[1]}",
            Config({("registry", "timeout_s"): 1}),
            attempts=1,
        )
        with pytest.raises(Error) as caught:
            client.ping()
        assert isinstance(caught.value, Unreachable | ProtocolError)
        thread.join(5)


def test_plain_http_through_a_proxy(
    registry: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_proxy(handler: Handler) -> None:
        handler.path = handler.path.removeprefix("http://registry.test")
        handler.serve()

    registry.rules[""] = as_proxy
    monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@{registry.host}")
    config = Config({("registry", "insecure"): ("registry.test",)})
    with RegistryClient("registry.test", config) as client:
        assert client.scheme == "http"
        client.manifest("app", "latest")
    path, headers = registry.requests[-1]
    assert path == "http://registry.test/v2/app/manifests/latest"
    assert headers["Host"] == "registry.test"
    assert headers["Proxy-Authorization"].startswith("Basic ")


def test_tls_through_a_proxy(
    registry: HostileRegistry, certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileRegistry(tls=certificate) as far:
        registry.tunnel = ("127.0.0.1", int(far.host.rpartition(":")[2]))
        monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@{registry.host}")
        config = Config({("registry", "insecure"): ("registry.test",)})
        with RegistryClient("registry.test", config) as client:
            assert client.scheme == "https"
            client.manifest("app", "latest")
        assert "Proxy-Authorization" not in far.requests[-1][1]
    assert {path for path, _ in registry.requests} == {"CONNECT registry.test:443"}
    assert registry.requests[0][1]["Proxy-Authorization"].startswith("Basic ")


def test_tls_is_not_left(registry: HostileRegistry, certificate: dict[str, str]) -> None:
    with HostileRegistry(tls=certificate) as secured:
        config = Config({("registry", "ca_file"): certificate["certificate"]})
        secured.rules["/manifests/away"] = redirect(
            f"http://{registry.host}/v2/app/manifests/latest"
        )
        challenge = f'Bearer realm="http://{registry.host}/token"'
        secured.rules["/manifests/token"] = lambda handler: handler.answer(
            401, b"", {"WWW-Authenticate": challenge}
        )
        credentials = Credentials("me", SECRET)
        with RegistryClient(secured.host, config, credentials=credentials) as client:
            client.manifest("app", "latest")
            with pytest.raises(ProtocolError, match="from HTTPS to plain HTTP"):
                client.manifest("app", "away")
            with pytest.raises(ProtocolError, match="without TLS"):
                client.manifest("app", "token")
    assert not registry.requests


def test_name_that_does_not_exist() -> None:
    with (
        RegistryClient("registry.invalid", Config()) as client,
        pytest.raises(Unreachable, match=r"registry\.invalid: the name cannot be resolved"),
    ):
        client.ping()


def test_unusable_authorities() -> None:
    config = Config({("registry", "ca_file"): "/etc/hostname"})
    with (
        RegistryClient("registry.invalid", config) as client,
        pytest.raises(ConfigError, match="/etc/hostname"),
    ):
        client.ping()
