"""What a registry may do wrong on purpose or by accident, and what comes of it."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import (
    Cancelled,
    ConfigError,
    Corrupt,
    Error,
    NotFound,
    ProtocolError,
    RateLimited,
    Unauthorized,
    Unreachable,
    UnsupportedMedia,
)
from core.images.blobs import BlobStore
from core.images.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from core.images.reference import parse_reference
from core.paths import Paths
from core.registry import http
from core.registry.browse import referrers
from core.registry.client import RegistryClient
from core.registry.credentials import Credentials
from core.registry.fetch import fetch_blob
from core.registry.pull import Found, find
from core.registry.registry_end import RegistryEnd
from core.registry.status import known_registries, note_use
from tests.fixture_images import make_certificate
from tests.hostile_registry import Handler, HostileRegistry, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

SECRET = "s3cret-pass"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(http, "BACKOFF_S", 0.01)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        yield registry


def make_client(registry: HostileRegistry, **options: Any) -> RegistryClient:
    config = Config({("registry", "timeout_s"): 1})
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
    **changes: Any,
) -> bytes:
    layer = registry.layers[number]
    descriptor = Descriptor(layer["mediaType"], layer["digest"], layer["size"]).replace(**changes)
    blobs = BlobStore(paths)
    with make_client(registry, check=check) as client:
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


def test_a_good_registry(registry: HostileRegistry, paths: Paths) -> None:
    found = find_app(registry)
    assert [layer.descriptor.digest for layer in found.layers] == [
        layer["digest"] for layer in registry.layers
    ]
    assert fetch(registry, paths) == content(registry)
    assert not list(Path(paths.partial).iterdir())


def test_truncated_body_is_resumed(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    ending = registry.layers[0]["digest"]
    registry.rules[ending] = times(
        1, lambda handler: handler.answer(200, data[:200_000], length=len(data))
    )
    assert fetch(registry, paths) == data
    ranges = [headers.get("Range") for headers in registry.asked(ending)]
    assert ranges == [None, "bytes=200000-"]


def test_server_without_ranges_starts_over(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = lambda handler: handler.answer(200, data)
    blobs = BlobStore(paths)
    Path(blobs.partial_path(digest_of(data))).write_bytes(data[:1000])
    assert fetch(registry, paths) == data


def test_wrong_range_starts_over(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = times(
        1, lambda handler: handler.answer(206, data, {"Content-Range": f"bytes 0-9/{len(data)}"})
    )
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(data[:1000])
    assert fetch(registry, paths) == data


@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * 10_000_000])
def test_damaged_partial_file_is_fetched_anew(
    registry: HostileRegistry, paths: Paths, left: bytes
) -> None:
    data = content(registry)
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(left)
    assert fetch(registry, paths) == data


def test_complete_partial_file_is_not_fetched(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(data)
    assert fetch(registry, paths) == data
    assert not registry.asked(registry.layers[0]["digest"])


def test_content_of_another_digest(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.blobs[registry.layers[0]["digest"]] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(Corrupt, match=f"{registry.host}/app"):
        fetch(registry, paths)
    assert not list(Path(paths.partial).iterdir())


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_size_that_the_manifest_lies_about(
    registry: HostileRegistry, paths: Paths, size: int
) -> None:
    with pytest.raises((Corrupt, Unreachable)):
        fetch(registry, paths, size=size)
    assert not BlobStore(paths).has(registry.layers[0]["digest"])


def test_endless_body_ends_at_the_size(registry: HostileRegistry, paths: Paths) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(65536))

    registry.rules[registry.layers[0]["digest"]] = endless
    with pytest.raises(Corrupt, match="longer than"):
        fetch(registry, paths)


def test_endless_manifest_ends_at_the_limit(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(200, b" " * (5 << 20))
    with pytest.raises(ProtocolError, match="longer than 4194304 bytes"):
        find_app(registry)


def test_length_that_is_too_small(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = times(
        1, lambda handler: handler.answer(200, data, length=100_000)
    )
    assert fetch(registry, paths) == data


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


def test_too_many_requests_are_not_repeated(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        429, b'{"errors": [{"message": "slow down"}]}', {"Retry-After": "90"}
    )
    with pytest.raises(RateLimited, match=r"slow down .* in 90 s") as caught:
        find_app(registry)
    assert 80 < caught.value.reset_at - time.time() < 100
    assert len(registry.asked("/manifests/latest")) == 1


@pytest.mark.parametrize(
    ("headers", "reset_at"),
    [
        ({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 4102444800),
        ({"X-RateLimit-Reset": "4102444800"}, 4102444800),
        ({"Retry-After": "soon"}, 0),
        ({"X-RateLimit-Reset": "-1"}, 0),
        ({}, 0),
    ],
)
def test_when_requests_are_welcome_again(
    registry: HostileRegistry, headers: dict[str, str], reset_at: float
) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(429, b"", headers)
    with pytest.raises(RateLimited) as caught:
        find_app(registry)
    assert caught.value.reset_at == reset_at


def test_a_limit_is_not_run_into_again(registry: HostileRegistry, paths: Paths) -> None:
    """What else the command wants fails at once, until the registry may be asked."""
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        429, b"", {"Retry-After": "3"}
    )
    with make_client(registry) as client:
        with pytest.raises(RateLimited):
            client.manifest("app", "latest")
        before = len(registry.requests)
        with pytest.raises(RateLimited) as caught:
            list(client.tags("app"))
        assert len(registry.requests) == before
        database = Database(paths)
        note_use(database, client, caught.value)
        known = {info.host: info for info in known_registries(database, Config())}
        assert known[client.host].state == "limited"
        assert known[client.host].quota.startswith("0, reset in ")
        database.close()
        time.sleep(3.1)
        client.ping()


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}, 21600),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "76"}, 60),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "76", "RateLimit-Reset": "90"}, 90),
        ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "76",
          "X-RateLimit-Reset": "4102444800"}, 4102444800 - time.time()),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "76"}, 0),
        ({"RateLimit-Limit": "100"}, None),
        ({"RateLimit-Limit": "many", "RateLimit-Remaining": "-1"}, None),
    ],
    ids=["window", "policy", "draft", "moment", "no reset", "no rest", "nonsense"],
)  # fmt: skip
def test_what_is_still_granted_is_shown(
    registry: HostileRegistry, paths: Paths, headers: dict[str, str], wait_s: float | None
) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        200, body, {"Content-Type": kind, **headers}
    )
    database = Database(paths)
    with make_client(registry) as client:
        client.manifest("app", "latest")
        note_use(database, client)
        quota = client.quota
        shown = next(
            info.quota for info in known_registries(database, Config()) if info.host == client.host
        )
        if wait_s is None:
            assert (quota, shown) == (None, "")
            return
        assert quota
        assert (quota.limit, quota.remaining) == (100, 76)
        assert abs(quota.reset_at - (time.time() + wait_s if wait_s else 0)) < 60
        assert shown.startswith("76/100, reset in " if wait_s else "76/100")
        # Its count begins anew: what is granted then is not known.
        with database.write() as sql:
            sql.execute("UPDATE registries SET quota_reset = 1")
        known = known_registries(database, Config())
        assert "76" not in "".join(info.quota for info in known)
    database.close()


def test_missing_tag(registry: HostileRegistry) -> None:
    with pytest.raises(NotFound, match=r"app:none is not there: nothing  \[31mhere") as caught:
        find_app(registry, "none")
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 1_000_000,
        b'{"schemaVersion": 2, "layers": [], "config": {}}',
        b'{"schemaVersion": 2, "mediaType": 7}',
    ],
)
def test_garbage_for_a_manifest(registry: HostileRegistry, document: bytes) -> None:
    registry.publish_bytes("bad", document, "application/vnd.oci.image.manifest.v1+json")
    with pytest.raises(Corrupt, match="app:bad"):
        find_app(registry, "bad")


def test_schema_1_says_so(registry: HostileRegistry) -> None:
    registry.publish_bytes(
        "old",
        b'{"schemaVersion": 1, "fsLayers": []}',
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    )
    with pytest.raises(UnsupportedMedia, match="schema 1"):
        find_app(registry, "old")


def test_manifest_of_another_digest(registry: HostileRegistry) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    digest = digest_of(body)
    registry.manifests[f"/v2/app/manifests/{digest}"] = (body + b" ", kind)
    with make_client(registry) as client, pytest.raises(Corrupt, match=digest):
        client.manifest("app", digest)


def test_digest_header_that_lies(registry: HostileRegistry) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        200, body, {"Content-Type": kind, "Docker-Content-Digest": "sha256:" + "0" * 64}
    )
    with pytest.raises(Corrupt, match="was promised"):
        find_app(registry)


def test_config_of_another_image(registry: HostileRegistry) -> None:
    registry.config["rootfs"] = {"type": "layers", "diff_ids": []}
    registry.publish("few")
    with pytest.raises(Corrupt, match="2 layers, but 0 diff_ids"):
        find_app(registry, "few")


def redirect(location: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(307, b"", {"Location": location})


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


def basic_only(registry: HostileRegistry) -> Callable[[Handler], None]:
    expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    def rule(handler: Handler) -> None:
        if handler.headers.get("Authorization") == expected:
            handler.serve()
        else:
            handler.answer(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})

    return rule


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


def test_cancelling_is_quick_and_keeps_what_came(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    stop = threading.Event()

    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:150_000])
        handler.wfile.flush()
        stop.wait(20)
        handler.close_connection = True

    ending = registry.layers[0]["digest"]
    registry.rules[ending] = times(1, half)
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise Cancelled("pull: cancelled")

    def report(done: int, note: str) -> None:
        if done == 150_000:
            threading.Timer(0.1, cancelled.set).start()

    started = time.monotonic()
    with pytest.raises(Cancelled):
        fetch(registry, paths, check=check, report=report)
    assert time.monotonic() - started < 0.9
    stop.set()
    assert Path(BlobStore(paths).partial_path(ending)).stat().st_size == 150_000
    assert fetch(registry, paths) == data
    assert registry.asked(ending)[-1]["Range"] == "bytes=150000-"


def test_one_blob_wanted_twice_is_fetched_once(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)

    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        handler.serve()

    registry.rules[registry.layers[0]["digest"]] = slow
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(registry, paths))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [data] * 3
    assert len(registry.asked(registry.layers[0]["digest"])) == 1
    assert not list(Path(paths.partial).iterdir())


def test_tags_page_by_page(registry: HostileRegistry) -> None:
    pages = {
        "?n=1000": (["a", "b"], '</v2/app/tags/list?last=b&n=1000>; rel="next"'),
        "?last=b&n=1000": (["c"], ""),
    }
    for query, (names, link) in pages.items():
        body = json.dumps({"name": "app", "tags": names}).encode()
        registry.rules[f"/tags/list{query}"] = lambda handler, body=body, link=link: handler.answer(  # type: ignore[misc]
            200, body, {"Link": link} if link else {}
        )
    with make_client(registry) as client:
        assert list(client.tags("app")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "link",
    [
        "</v2/app/tags/list?n=1000>; rel=next",
        "<http://example.org/v2/x>; rel=next",
        "<http://[x>; rel=next",
    ],
)
def test_pages_without_end_or_elsewhere(registry: HostileRegistry, link: str) -> None:
    registry.rules["/tags/list?n=1000"] = lambda handler: handler.answer(
        200, b'{"tags": ["a"]}', {"Link": link}
    )
    with make_client(registry) as client, pytest.raises(ProtocolError):
        list(client.tags("app"))


def test_referrers_page_by_page(registry: HostileRegistry) -> None:
    """All that refers to an image, wherever it is asked for."""
    subject = digest_of(b"subject")
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": digest_of(name), "size": 1, "artifactType": "x/sbom"}
        for name in (b"one", b"two", b"three")
    ]
    pages = {}
    for number, entry in enumerate(entries):
        body = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        more = f"</v2/app/referrers/{subject}?page={number + 1}>; rel=next"
        headers = {"Content-Type": OCI_INDEX, **({"Link": more} if number < 2 else {})}
        ending = f"/referrers/{subject}" + (f"?page={number}" if number else "")
        pages[ending] = (body, headers)
        registry.rules[ending] = lambda handler: handler.answer(
            200, *next(page for end, page in pages.items() if handler.path.endswith(end))
        )
    for ending in (".sig", ".att", ".sbom"):
        registry.rules[ending] = lambda handler: handler.answer(404)
    digests = [entry["digest"] for entry in entries]
    with make_client(registry) as client:
        assert [item.digest for item in referrers(client, "app", subject)] == digests
    end = RegistryEnd(f"{registry.host}/app", Config(), lambda: None)
    assert end.referrers("", subject, ()) == frozenset(digests)
    end.close()


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


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
