"""What a registry keeps of uploads that break, and what it lets go."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from aiohttp import web

from core.config import Config
from core.database import Database
from core.errors import ConfigError, Conflict, HostError, RegistryError
from core.images.blobs import BlobStore
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.push import push
from core.registry_server.blob_answers import FLUSH, BlobAnswers
from core.registry_server.garbage import Collected
from core.registry_server.server import ServeOptions, serve
from tests.containers import until
from tests.e2e.command_line import LIMPET, run
from tests.e2e.registry_server.place import NOISE, blob_files, copy_in, do_pull, sweep
from tests.fault_proxy import FaultProxy, Handler
from tests.fixture_images import make_certificate, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def test_garbage_is_collected_and_nothing_else(
    registry: OwnRegistry, layout: Path, tmp_path: Path
) -> None:
    name = f"{registry.host}/app"
    copy_in(layout, f"{name}:1")
    kept = blob_files(registry.paths)
    second = write_oci_layout(tmp_path / "second", [layer_tar("second", b"second")])
    copy_in(second, f"{name}:2")
    assert sweep(registry, 3600) == Collected((), (), (), 0)
    copy_in(layout, f"{name}:2")
    # What no tag leads to stays until that is asked for.
    assert sweep(registry, untagged=False).blobs == ()
    found = sweep(registry)
    assert len(found.manifests) == 1
    assert len(found.blobs) == 3
    assert found.bytes_back > 0
    assert blob_files(registry.paths) == kept
    run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}:2",
        f"dir:{tmp_path}/copied")  # fmt: skip


def test_garbage_collection_spares_what_is_being_pushed(
    registry: OwnRegistry, layout: Path
) -> None:
    """Collections run without a pause while images are pushed, and each push is whole."""

    stop = threading.Event()

    def collect_always() -> None:
        while not stop.is_set():
            sweep(registry, 5)

    collector = threading.Thread(target=collect_always)
    collector.start()
    try:
        for number in range(4):
            copy_in(layout, f"{registry.host}/app{number}:1")
            for tag in ("1",):
                registry.ask("DELETE", f"/v2/app{number}/manifests/{tag}")
            copy_in(layout, f"{registry.host}/app{number}:2")
    finally:
        stop.set()
        collector.join()
    sweep(registry)
    for number in range(4):
        run("skopeo", "copy", "-q", "--src-tls-verify=false",
            f"docker://{registry.host}/app{number}:2",
            f"docker://{registry.host}/whole{number}:2", "--dest-tls-verify=false")  # fmt: skip


def test_an_upload_that_grows_holds_the_rest_of_its_repository(
    registry: OwnRegistry, layout: Path
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    registry.ask("DELETE", "/v2/app/manifests/1")
    with registry.store.database.write() as sql:
        sql.execute("UPDATE repositories SET pushed=0")
    for file in Path(registry.paths.blobs).glob("*/*"):
        os.utime(file, (0, 0))
    assert sweep(registry, 60) == Collected((), (), (), 0)
    registry.ask("DELETE", place)
    assert len(sweep(registry, 60).blobs) == 4
    assert registry.ask("GET", "/v2/app/tags/list").code == "NAME_UNKNOWN"


def test_a_blob_that_somebody_has_just_asked_for_stays(registry: OwnRegistry) -> None:
    digest = f"sha256:{hashlib.sha256(NOISE).hexdigest()}"
    place = f"/v2/app/blobs/uploads/?digest={digest}"
    assert registry.ask("POST", place, NOISE).status == 201
    registry.ask("DELETE", f"/v2/app/blobs/{digest}")
    with registry.store.database.write() as sql:
        sql.execute("UPDATE repositories SET pushed=0")
    assert sweep(registry, 60).blobs == ()
    assert blob_files(registry.paths) == {digest.partition(":")[2]}
    os.utime(registry.store.blobs.path(digest), (0, 0))
    assert sweep(registry, 60).blobs == (digest,)
    assert blob_files(registry.paths) == set()


def test_an_upload_that_is_given_up_goes(registry: OwnRegistry) -> None:
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    registry.ask("PATCH", place, b"x" * 1000)
    file = next(Path(registry.paths.partial).glob("upload-*"))
    long_ago = time.time() - 2 * 86400
    os.utime(file, (long_ago, long_ago))
    found = sweep(registry)
    assert (len(found.uploads), found.bytes_back) == (1, 1000)
    assert not file.exists()
    assert registry.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"


def test_a_collection_that_is_killed_over_its_files_is_finished_by_the_next(
    registry: OwnRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = f"sha256:{hashlib.sha256(NOISE).hexdigest()}"
    assert registry.ask("POST", f"/v2/app/blobs/uploads/?digest={digest}", NOISE).status == 201
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    registry.ask("PATCH", place, b"x" * 1000)
    upload = next(Path(registry.paths.partial).glob("upload-*"))
    os.utime(upload, (0, 0))

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    for module, name in ((os, "unlink"), (BlobStore, "remove")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, kill)
            with pytest.raises(Killed):
                sweep(registry)
        assert registry.ask("HEAD", f"/v2/app/blobs/{digest}").status == 404
        assert registry.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"
        assert blob_files(registry.paths) == {digest.partition(":")[2]}
        assert upload.exists()
    found = sweep(registry)
    assert (found.blobs, found.bytes_back) == ((digest,), len(NOISE) + 1000)
    assert blob_files(registry.paths) == set()
    assert not upload.exists()


def test_an_upload_that_was_thrown_away_takes_no_more(
    registry: OwnRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Any] = []
    remember = BlobAnswers._remember

    def note(self: BlobAnswers, name: str, session: Any) -> None:
        sessions.append(session)
        remember(self, name, session)

    monkeypatch.setattr(BlobAnswers, "_remember", note)
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    answers: list[tuple[str, int]] = []

    def ask(method: str, body: bytes) -> None:
        answers.append((method, registry.ask(method, place, body).status))

    with socket.create_connection(("127.0.0.1", registry.port), 10) as slow:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        slow.sendall(head.encode() + b"12345")
        until(lambda: sessions[0].waiting == 1)
        waiting = []
        for method, body in (("DELETE", b""), ("PATCH", b"more")):
            waiting.append(threading.Thread(target=ask, args=(method, body)))
            waiting[-1].start()
            until(lambda: sessions[0].waiting == 1 + len(waiting))
        slow.sendall(b"67890")
        assert slow.recv(100).startswith(b"HTTP/1.1 202")
    for thread in waiting:
        thread.join()
    assert sorted(answers) == [("DELETE", 204), ("PATCH", 404)]
    assert not list(Path(registry.paths.partial).glob("upload-*"))


def test_the_file_of_an_upload_that_nobody_knows_goes(registry: OwnRegistry) -> None:
    fresh, old = (Path(registry.paths.partial, f"upload-{letter * 32}") for letter in "ab")
    for file in (fresh, old):
        file.write_bytes(b"x" * 1000)
    os.utime(old, (0, 0))
    assert sweep(registry).bytes_back == 1000
    assert (fresh.exists(), old.exists()) == (True, False)


def test_a_broken_connection_keeps_what_came(registry: OwnRegistry) -> None:
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    with socket.create_connection(("127.0.0.1", registry.port)) as broken:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
        broken.sendall(head.encode() + NOISE[: 2 << 20])
        time.sleep(0.1)
    deadline = time.monotonic() + 30
    while registry.ask("GET", place).headers["Range"] != f"0-{(2 << 20) - 1}":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    rest = NOISE[2 << 20 :]
    span = {"Content-Range": f"{2 << 20}-{len(NOISE) - 1}"}
    assert registry.ask("PATCH", place, rest, span).status == 202


def begun(registry: OwnRegistry, place: str, body: bytes = b"x" * 10) -> socket.socket:
    """Return a connection on which the first of a part's megabyte has been sent."""
    there = Path(registry.paths.partial, f"upload-{place.rpartition('/')[2]}")
    connection = socket.create_connection(("127.0.0.1", registry.port), 10)
    head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1000}\r\n\r\n"
    connection.sendall(head.encode() + body)
    until(lambda: len(body) < FLUSH or there.exists())
    return connection


def test_uploads_that_broke_keep_no_descriptor(registry: OwnRegistry) -> None:
    """There are a thousand to be had: as many broken uploads would have ended the service."""

    def kept() -> list[str]:
        found = [fd for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
        return [path for fd in found if "/upload-" in (path := os.readlink(fd))]

    for _ in range(5):
        place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
        begun(registry, place, b"x" * (FLUSH + 1)).close()
    until(lambda: not kept())


def test_a_client_that_comes_back_does_not_wait_for_its_lost_connection(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network went without a word: for this host the connection still stands."""
    monkeypatch.setattr("core.registry_server.bodies.STALLED_S", 0.3)
    with OwnRegistry(paths) as registry:
        place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
        with begun(registry, place) as lost:
            until(lambda: registry.ask("GET", place).headers["Range"] == "0-9")
            assert registry.ask("PATCH", place, b"more", {"Content-Range": "10-13"}).status == 202
            assert lost.recv(100).startswith(b"HTTP/1.1 400")


def test_a_client_that_asks_whether_to_send_is_told_to(registry: OwnRegistry) -> None:
    """curl does, and waits for a second; others would wait for ever."""
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    with socket.create_connection(("127.0.0.1", registry.port), 10) as asking:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        asking.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert asking.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        asking.sendall(b"more")
        assert asking.recv(100).startswith(b"HTTP/1.1 202")


def test_two_servers_do_not_append_to_one_upload(registry: OwnRegistry, paths: Paths) -> None:
    """What one has summed up and makes a blob, the other could still have made longer."""
    with OwnRegistry(paths) as other:
        place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
        with begun(registry, place, b"x" * (FLUSH + 1)):
            assert other.ask("PATCH", place, b"more").status == 503
        until(lambda: other.ask("PATCH", place, b"more").status == 202)


def test_what_fails_in_the_middle_of_a_blob_ends_the_connection(
    registry: OwnRegistry, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error's document would be taken for the rest of the blob."""
    copy_in(layout, f"{registry.host}/app:1")
    largest = max(Path(registry.paths.blobs).glob("*/*"), key=lambda file: file.stat().st_size)

    async def failing(request: web.BaseRequest, response: web.StreamResponse, *_: object) -> None:
        await response.write(b"the beginning")
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("core.registry_server.blob_answers._send", failing)
    with pytest.raises(http.client.IncompleteRead) as raised:
        registry.ask("GET", f"/v2/app/blobs/sha256:{largest.name}")
    assert raised.value.partial == b"the beginning"


def test_a_connection_that_asks_nothing_is_closed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry_server.server.IDLE_S", 0.3)
    with OwnRegistry(paths) as registry:
        for said in (b"", b"GET /v2/ HTTP/1.1\r\nHost: "):
            with socket.create_connection(("127.0.0.1", registry.port), 10) as idle:
                idle.sendall(said)
                assert idle.recv(100) == b""


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_stops_reading_is_given_up_and_a_slow_one_is_not(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    monkeypatch.setattr("core.registry_server.server.STALLED_S", 1)
    content = bytes(32 << 20)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    options = {}
    if tls:
        made = make_certificate(tmp_path)
        options = {"tls_certificate": made["certificate"], "tls_key": made["key"]}

    def asked(registry: OwnRegistry) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", registry.port), timeout=20)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = context.wrap_socket(client)
        client.sendall(f"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        return client

    with OwnRegistry(paths, **options) as registry:
        registry.store.blobs.write(digest, [content])
        with registry.store.database.write() as sql:
            sql.execute("INSERT INTO repositories VALUES ('app', 0)")
            sql.execute("INSERT INTO repository_blobs VALUES ('app', ?)", (digest,))
        blob = registry.store.blobs.path(digest)
        with asked(registry) as slow, asked(registry):
            assert readers(blob) == 2
            began = time.monotonic()
            while readers(blob) == 2 and time.monotonic() < began + 10:
                slow.recv(64 << 10)
                time.sleep(0.02)
            assert readers(blob) == 1
            got = len(slow.recv(12))
            while got < len(content) // 2:
                data = slow.recv(1 << 20)
                assert data
                got += len(data)


def readers(path: str) -> int:
    """Return how many descriptors of this process are open for a file."""
    return [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")].count(
        os.path.realpath(path)
    )


def test_a_client_that_hangs_up_is_not_worth_a_word(
    registry: OwnRegistry, layout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    largest = max(Path(registry.paths.blobs).glob("*/*"), key=lambda file: file.stat().st_size)
    for words in (f"GET /v2/app/blobs/sha256:{largest.name} HTTP/1.1", "NONSENSE", "\x16\x03\x01"):
        with socket.create_connection(("127.0.0.1", registry.port)) as broken:
            broken.sendall(f"{words}\r\nHost: x\r\n\r\n".encode())
            broken.recv(100)
    assert registry.ask("GET", "/v2/").status == 200
    assert not registry.job.log
    assert capfd.readouterr().err == ""


def test_a_server_that_was_killed_goes_on_with_its_uploads(
    paths: Paths, layout: Path, tmp_path: Path
) -> None:
    """The program itself; kill -9 in the middle of an upload costs nothing that was confirmed."""
    import hashlib

    environment = {"LIMPET_DATA_ROOT": paths.data, "LIMPET_RUN_ROOT": paths.run}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def start() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [LIMPET, "registry", "serve", "-a", f"127.0.0.1:{port}"],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert server.stdout is not None
        assert f"serving on http://127.0.0.1:{port}" in server.stdout.readline().decode()
        return server

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, str]:
        import urllib.request

        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body or None, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(answer.headers)

    server = start()
    place = ask("POST", "/v2/app/blobs/uploads/")["Location"]
    ask("PATCH", place, NOISE[: 1 << 20])
    server.kill()
    server.communicate()
    server = start()
    try:
        assert ask("GET", place)["Range"] == f"0-{(1 << 20) - 1}"
        ask("PATCH", place, NOISE[1 << 20 :])
        digest = f"sha256:{hashlib.sha256(NOISE).hexdigest()}"
        assert ask("PUT", f"{place}?digest={digest}")["Docker-Content-Digest"] == digest
        copy_in(layout, f"127.0.0.1:{port}/app:1")
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate()
    assert server.returncode == 0
    swept = run(LIMPET, "registry", "gc", "--keep", "0.001", **environment)
    assert f"Deleted: {digest}" in swept


def test_what_cannot_be_served_is_named(paths: Paths, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("me:{SHA}old\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for options, kind, words in (
            (ServeOptions(port=taken.getsockname()[1]), Conflict, "taken by another"),
            (ServeOptions("10.9.9.9"), HostError, "10.9.9.9:5000: Cannot assign requested address"),
            (ServeOptions(htpasswd=str(tmp_path / "none")), ConfigError, "No such file"),
            (ServeOptions(htpasswd=str(empty)), ConfigError, "bcrypt"),
            (ServeOptions(tls_certificate=str(empty)), ConfigError, str(empty)),
        ):
            store = ImageStore(paths, Database(paths), Config())
            with pytest.raises(kind, match=words) as caught:
                serve(paths, store, Config(), options, Job(1, "serve"))
            assert caught.value.hint
            store.database.close()


@pytest.mark.parametrize("after_s", [0.12, 0.2, 0.3])
def test_a_push_that_was_killed_goes_on(
    registry: OwnRegistry, tmp_path: Path, layout: Path, after_s: float
) -> None:
    near = {"LIMPET_DATA_ROOT": f"{tmp_path}/near", "LIMPET_RUN_ROOT": f"{tmp_path}/near-run"}
    environment = {**os.environ, **near}
    loaded = subprocess.run(
        [LIMPET, "load", "-q", "-i", str(layout)], env=environment, capture_output=True, text=True
    )
    digest = loaded.stdout.strip()
    name = f"{registry.host}/app:1"
    push_it = [LIMPET, "push", "-q", digest, name]
    killed = subprocess.Popen(
        push_it, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after_s)
    killed.kill()
    killed.wait()
    again = subprocess.run(push_it, env=environment, capture_output=True, text=True, timeout=60)
    assert again.stdout.strip() == digest, again.stderr
    run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/c")


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_what_a_proxy_garbles_is_refused_and_the_next_push_is_whole(
    registry: OwnRegistry, layout: Path, far: ImageStore, tmp_path: Path, method: str
) -> None:
    """Bytes that change on their way never become a blob; odd statuses are named."""
    copy_in(layout, f"{registry.host}/source:1")
    image = far.resolve(do_pull(far, f"{registry.host}/source:1"))

    def garble(handler: Handler) -> None:
        if handler.command == "PUT":
            length = int(handler.headers["Content-Length"])
            registry.ask("PUT", handler.path, b"x" + handler.rfile.read(length)[1:])
        handler.say(400)

    with FaultProxy(registry.port) as proxy:
        to = parse_reference(f"{proxy.host}/target:1")
        proxy.once(method, garble)
        with pytest.raises(RegistryError, match="HTTP 400"):
            push(far, Config(), [image], to, Job(1, "push"))
        before = blob_files(registry.paths)
        pushed = push(far, Config(), [image], to, Job(2, "push"))
    assert pushed.digest == image.digest
    assert blob_files(registry.paths) == before
    run("skopeo", "copy", "-q", "--src-tls-verify=false",
        f"docker://{registry.host}/target:1", f"dir:{tmp_path}/copied")  # fmt: skip


def test_a_push_outlives_a_restart_of_the_registry(
    paths: Paths, layout: Path, far: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens for a moment: that is final only where nobody ever did."""

    with OwnRegistry(paths) as first:
        copy_in(layout, f"{first.host}/source:1")
        image = far.resolve(do_pull(far, f"{first.host}/source:1"))
    monkeypatch.setattr("core.registry.upload.PART", 1 << 20)
    with OwnRegistry(paths) as before:
        job = Job(1, "push")
        begun = threading.Event()
        report = job.progress

        def progress(name: str, done: int, total: int, note: str = "") -> None:
            report(name, done, total, note)
            if note == "uploading" and not begun.is_set():
                begun.set()
                stopped.wait(10)

        stopped = threading.Event()
        job.progress = progress  # type: ignore[method-assign]
        to = parse_reference(f"{before.host}/target:1")
        pushing = threading.Thread(
            target=job.run, args=(lambda job: push(far, Config(), [image], to, job),)
        )
        pushing.start()
        assert begun.wait(10)
    stopped.set()
    time.sleep(1.2)
    with OwnRegistry(paths, port=before.port):
        pushing.join()
        assert job.result().digest == image.digest
