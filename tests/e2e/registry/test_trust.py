"""Certificates by registry, mirrors, and identity tokens."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from core.config import Config
from core.database import Database
from core.errors import ConfigError, Unauthorized, Unreachable
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.client import RegistryClient
from core.registry.pull import pull
from tests.fixture_images import Registry, make_certificate, write_oci_layout
from tests.hostile_registry import HostileRegistry, layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker/config.json"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    paths = Paths(str(tmp_path / "data"), str(tmp_path / "run"))
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def trusting(directory: Path) -> Config:
    return Config({("registry", "certs_dirs"): (str(directory),)})


def test_authorities_by_registry(tmp_path: Path) -> None:
    with Registry(tmp_path / "tls", tls=True) as secured:
        place = tmp_path / "certs" / secured.host
        place.mkdir(parents=True)
        config = trusting(tmp_path / "certs")
        with RegistryClient(secured.host, config) as client, pytest.raises(Unreachable) as caught:
            client.ping()
        assert f"certs.d/{secured.host}" in caught.value.hint
        (place / "ca.crt").write_bytes((tmp_path / "tls/certificate.pem").read_bytes())
        with RegistryClient(secured.host, config) as client:
            client.ping()
            assert client.scheme == "https"
        (place / "ca.crt").write_text("nothing")
        with (
            RegistryClient(secured.host, config) as client,
            pytest.raises(ConfigError, match=f"{place}/ca.crt"),
        ):
            client.ping()


def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server, own = make_certificate(tmp_path / "server"), make_certificate(tmp_path / "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server["certificate"], server["key"])
    context.load_verify_locations(own["certificate"])
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(Ping, context) as port:
        host = f"127.0.0.1:{port}"
        place = tmp_path / "certs" / host
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(Path(server["certificate"]).read_bytes())
        config = trusting(tmp_path / "certs")
        with (
            RegistryClient(host, config, attempts=1, timeout_s=3) as client,
            pytest.raises(Unreachable),
        ):
            client.ping()
        (place / "me.cert").write_bytes(Path(own["certificate"]).read_bytes())
        with (
            RegistryClient(host, config, attempts=1) as client,
            pytest.raises(ConfigError, match=r"me\.key is missing"),
        ):
            client.ping()
        (place / "me.key").write_bytes(Path(own["key"]).read_bytes())
        with RegistryClient(host, config, attempts=1) as client:
            client.ping()


def test_mirrors_are_asked_in_order(tmp_path: Path, store: ImageStore) -> None:
    layout = write_oci_layout(tmp_path / "image", [layer_tar("file", b"content")])
    with HostileRegistry() as broken, Registry(tmp_path / "good") as good:
        good.push(layout, "prefix/team/app:1")
        # The first mirror has the image, but its layer is damaged.
        damaged = broken.layers[0]["digest"]
        broken.rules[damaged] = lambda handler: handler.answer(200, b"x" * 100)
        mirrors = f"127.0.0.1:1 {broken.host} {good.host}/prefix"
        config = Config(free={"mirrors": {"registry.invalid": mirrors}})
        job = Job(1, "pull")
        info = pull(store, config, parse_reference("registry.invalid/team/app:1"), "", job)
        assert info.tags == ("registry.invalid/team/app:1",)
        assert [line for line in job.log if "127.0.0.1:1:" in line]
        assert [line for line in job.log if broken.host in line]
    with pytest.raises(Unreachable, match=r"registry\.invalid"):
        pull(store, config, parse_reference("registry.invalid/team/other:1"), "", Job(1, "pull"))
    odd = Config(free={"mirrors": {"registry.invalid": "bad_host!"}})
    with pytest.raises(ConfigError, match="mirrors of registry"):
        pull(store, odd, parse_reference("registry.invalid/team/app:1"), "", Job(1, "pull"))


def test_an_identity_token_is_exchanged(own_credentials: Path) -> None:
    own_credentials.parent.mkdir()
    with serving(TokenRegistry) as port:
        host = f"127.0.0.1:{port}"

        def stored(token: str) -> None:
            auth = base64.b64encode(b"<token>:").decode()
            entry = {"auth": auth, "identitytoken": token}
            own_credentials.write_text(json.dumps({"auths": {host: entry}}))

        stored("refresh-me")
        with RegistryClient(host, Config()) as client:
            assert list(client.tags("app")) == ["1"]
        stored("stale")
        with RegistryClient(host, Config()) as client, pytest.raises(Unauthorized) as caught:
            list(client.tags("app"))
        assert "stale" not in caught.value.message


class Ping(BaseHTTPRequestHandler):
    """Answers everything with an empty object."""

    def do_GET(self) -> None:
        self.answer(200, {})

    def answer(self, status: int, document: object, *headers: tuple[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class TokenRegistry(Ping):
    """Wants a token, and has a token server that knows one identity token."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == "Bearer good":
            self.answer(200, {"tags": ["1"]})
            return
        realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="s"'
        self.answer(401, {}, ("WWW-Authenticate", realm))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = form["grant_type"] == ["refresh_token"] and form["refresh_token"] == ["refresh-me"]
        good = good and form["scope"] == ["repository:app:pull"]
        self.answer(200 if good else 401, {"access_token": "good"} if good else {})


class serving:
    """Runs a handler on a free loopback port."""

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
    ) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> int:
        self._thread.start()
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
