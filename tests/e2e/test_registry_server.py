"""limpet's own registry with skopeo, podman, buildah and limpet; and what may go wrong with it."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import ConfigError, Conflict, HostError, NotFound, RegistryError, Unauthorized
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.browse import describe_tags, referrers
from core.registry.client import RegistryClient
from core.registry.credentials import login
from core.registry.pull import pull
from core.registry.push import push
from core.registry_server.blobs import ServedBlobs
from core.registry_server.garbage import Collected, collect
from core.registry_server.server import ServeOptions, serve
from tests.fault_proxy import FaultProxy, Handler, cut
from tests.fixture_images import Registry, make_certificate, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NOISE = random.Random(7).randbytes(3 << 20)
PROGRAM = Path(__file__).parent.parent.parent / "bin/limpet"
INSECURE = "--tls-verify=false"


def run(*command: str | Path, **environment: str) -> str:
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [layer_tar("large", NOISE), layer_tar("small", b"small\n")]
    return write_oci_layout(tmp_path_factory.mktemp("layout") / "image", layers)


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def registry(paths: Paths) -> Iterator[OwnRegistry]:
    with OwnRegistry(paths) as served:
        yield served


@pytest.fixture
def far(tmp_path: Path) -> Iterator[ImageStore]:
    """The store of another host."""
    database = Database(Paths(str(tmp_path / "far"), str(tmp_path / "far-run")))
    yield ImageStore(Paths(str(tmp_path / "far"), str(tmp_path / "far-run")), database, Config())
    database.close()


def copy_in(layout: Path, name: str, *options: str) -> None:
    run("skopeo", "copy", "-q", "--dest-tls-verify=false", *options,
        f"oci:{layout}:latest", f"docker://{name}")  # fmt: skip


def do_pull(store: ImageStore, name: str) -> str:
    return pull(store, Config(), parse_reference(name), "", Job(1, "pull")).digest


def blob_files(paths: Paths) -> set[str]:
    return {file.name for file in Path(paths.blobs).glob("*/*")}


def sweep(registry: OwnRegistry, keep_s: float = 0, *, untagged: bool = True) -> Collected:
    store = registry.store
    try:
        return collect(
            registry.paths,
            store.database,
            ServedBlobs(store.blobs, store.database),
            untagged=untagged,
            keep_s=keep_s,
        )
    finally:
        store.database.close()


def test_skopeo_pushes_copies_and_deletes(
    registry: OwnRegistry, layout: Path, tmp_path: Path
) -> None:
    name = f"{registry.host}/team/app"
    copy_in(layout, f"{name}:1")
    copy_in(layout, f"{name}:docker", "--format", "v2s2")
    run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
        f"docker://{name}:1", f"docker://{registry.host}/other:1")  # fmt: skip
    for tag in (f"{name}:1", f"{name}:docker", f"{registry.host}/other:1"):
        run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{tag}",
            f"dir:{tmp_path}/{tag.rpartition(':')[2]}")  # fmt: skip
    tags = json.loads(run("skopeo", "list-tags", INSECURE, f"docker://{name}"))
    assert tags["Tags"] == ["1", "docker"]
    run("skopeo", "delete", INSECURE, f"docker://{name}:docker")
    tags = json.loads(run("skopeo", "list-tags", INSECURE, f"docker://{name}"))
    assert tags["Tags"] == ["1"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a name that podman does not find too long."""
    with tempfile.TemporaryDirectory(prefix="limpet-", dir="/tmp") as made:
        yield Path(made)


def test_buildah_and_podman(
    registry: OwnRegistry, layout: Path, tmp_path: Path, short: Path
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    conf = tmp_path / "containers.conf"
    conf.write_text('[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n')
    storage = ("--root", short / "root", "--runroot", short / "run", "--storage-driver", "vfs")
    buildah, podman = ("buildah", *storage), ("podman", *storage)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{}")  # buildah wants to see it
    environment = {"CONTAINERS_CONF": str(conf)}
    name = f"{registry.host}/app"
    run(*buildah, "manifest", "create", "list", **environment)
    run(*buildah, "manifest", "add", INSECURE, "list", f"docker://{name}:1", **environment)
    run(*buildah, "manifest", "push", INSECURE, "--all", "list", f"docker://{name}:list",
        **environment)  # fmt: skip
    made = run(*buildah, "from", INSECURE, "--pull", f"{name}:list", **environment).strip()
    run(*buildah, "config", "--label", "made=here", made, **environment)
    run(*buildah, "commit", "-q", made, f"{name}:built", **environment)
    run(*buildah, "push", INSECURE, f"{name}:built", **environment)
    run(*podman, "pull", "-q", INSECURE, f"{name}:built", **environment)
    run(*podman, "tag", f"{name}:built", f"{registry.host}/podman/app:2", **environment)
    run(*podman, "push", "-q", INSECURE, f"{registry.host}/podman/app:2", **environment)
    found = json.loads(run("skopeo", "inspect", INSECURE, f"docker://{registry.host}/podman/app:2"))
    assert found["Labels"]["made"] == "here"


def test_limpet_pushes_and_pulls_side_by_side(
    registry: OwnRegistry, layout: Path, far: ImageStore
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    digest = do_pull(far, f"{registry.host}/app:1")
    image = far.resolve(digest)
    far.tag(digest, f"{registry.host}/lent:1")
    job = Job(1, "push")
    pushed = push(far, Config(), [image], parse_reference(f"{registry.host}/new/app:2"), job)
    assert pushed.digest == digest
    assert {item.note for item in job.snapshot().items} == {"mounted"}
    with RegistryClient(registry.host, Config()) as client:
        assert [tag.digest for tag in describe_tags(client, "new/app", ["2"])] == [digest]
        assert referrers(client, "new/app", digest) == []


def test_the_hosts_own_images_are_served_and_nothing_is_stored_twice(
    registry: OwnRegistry, layout: Path, far: ImageStore, tmp_path: Path
) -> None:
    with Registry(tmp_path / "source") as source:
        name = source.push(layout, "library/app:3")
        digest = do_pull(registry.store, name)
    before = blob_files(registry.paths)
    assert registry.ask("GET", "/v2/_catalog").document == {"repositories": ["library/app"]}
    assert registry.ask("GET", "/v2/library/app/tags/list").document["tags"] == ["3"]
    assert do_pull(far, f"{registry.host}/library/app:3") == digest
    # Nobody removes the host's images from afar.
    for place in ("3", digest):
        denied = registry.ask("DELETE", f"/v2/library/app/manifests/{place}")
        assert (denied.status, denied.code) == (403, "DENIED")
    # A push finds its blobs there, and leaves one copy of everything.
    copy_in(layout, f"{registry.host}/library/app:4")
    run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{registry.host}/library/app:4",
        f"dir:{tmp_path}/copied")  # fmt: skip
    assert blob_files(registry.paths) == before
    assert registry.ask("GET", "/v2/library/app/tags/list").document["tags"] == ["3", "4"]
    # What was pushed stays when the host lets go of the image.
    plan = registry.store.plan_removal([name], force=False, users={})
    registry.store.apply_removal(plan)
    registry.store.database.close()
    assert do_pull(far, f"{registry.host}/library/app:4") == digest
    assert blob_files(registry.paths) == before


def test_a_damaged_image_of_the_host_does_not_stop_a_push(
    registry: OwnRegistry, layout: Path, tmp_path: Path
) -> None:
    with Registry(tmp_path / "source") as source:
        digest = do_pull(registry.store, source.push(layout, "library/app:3"))
    registry.store.blobs.remove(digest)
    assert registry.ask("GET", "/v2/library/app/manifests/3").status == 404
    copy_in(layout, f"{registry.host}/library/app:4")
    assert registry.ask("GET", "/v2/library/app/manifests/4").status == 200


def test_what_was_pushed_is_pulled_on_the_spot_without_a_second_copy(
    registry: OwnRegistry, layout: Path
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    before = blob_files(registry.paths)
    do_pull(registry.store, f"{registry.host}/app:1")
    assert blob_files(registry.paths) == before


def test_users_are_asked_for_their_passwords(
    paths: Paths, layout: Path, tmp_path: Path, far: ImageStore
) -> None:
    users = tmp_path / "users"
    users.write_text(run("htpasswd", "-Bbn", "me", "s3cret"))
    with OwnRegistry(paths, htpasswd=str(users)) as registry:
        refused = registry.ask("GET", "/v2/")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
        for words in ("me:wrong", "you:s3cret", "me", ":"):
            header = {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
            assert registry.ask("GET", "/v2/_catalog", headers=header).status == 401
        copy_in(layout, f"{registry.host}/app:1", "--dest-creds", "me:s3cret")
        with pytest.raises(Unauthorized):
            do_pull(far, f"{registry.host}/app:1")
        login(Config(), registry.host, "me", "s3cret")
        do_pull(far, f"{registry.host}/app:1")
        # The file is read again when it changes.
        users.write_text(run("htpasswd", "-Bbn", "you", "other"))
        with pytest.raises(Unauthorized):
            do_pull(far, f"{registry.host}/app:1")


def test_tls_and_read_only(paths: Paths, layout: Path, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    options = {"tls_certificate": made["certificate"], "tls_key": made["key"]}
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes(Path(made["certificate"]).read_bytes())
    with OwnRegistry(paths, **options) as registry:
        run("skopeo", "copy", "-q", "--dest-cert-dir", trusted,
            f"oci:{layout}:latest", f"docker://{registry.host}/app:1")  # fmt: skip
        run("skopeo", "copy", "-q", "--src-cert-dir", trusted,
            f"docker://{registry.host}/app:1", f"dir:{tmp_path}/copied")  # fmt: skip
    with OwnRegistry(paths, read_only=True) as registry:
        assert registry.ask("GET", "/v2/app/manifests/1").status == 200
        for method, path in (("POST", "/v2/app/blobs/uploads/"), ("DELETE", "/v2/app/manifests/1")):
            assert registry.ask(method, path).code == "UNSUPPORTED"


def test_a_cache_serves_what_its_upstream_no_longer_can(
    paths: Paths, layout: Path, tmp_path: Path, far: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry_server.upstream.FRESH_S", 0)
    with Registry(tmp_path / "upstream") as upstream, FaultProxy(upstream.port) as proxy:
        upstream.push(layout, "mirrored/app:1")
        with OwnRegistry(paths, upstream=f"{proxy.host}/mirrored") as cache:
            proxy.once("GET", cut(0))
            digest = do_pull(far, f"{cache.host}/app:1")
            fetched = proxy.count("GET")
            for _ in range(2):
                run("skopeo", "copy", "-q", "--src-tls-verify=false",
                    f"docker://{cache.host}/app:1", f"dir:{tmp_path}/copied")  # fmt: skip
            assert proxy.count("GET") == fetched
            with pytest.raises(NotFound):
                do_pull(far, f"{cache.host}/app:absent")
            assert cache.ask("PUT", "/v2/app/manifests/1", b"{}").code == "UNSUPPORTED"
            # The tag moves upstream, and the cache follows.
            newer = write_oci_layout(tmp_path / "newer", [layer_tar("new", b"new")])
            upstream.push(newer, "mirrored/app:1")
            moved = do_pull(far, f"{cache.host}/app:1")
            assert moved != digest
            for method in ("GET", "HEAD"):
                proxy.once(method, lambda handler: handler.say(503), 99)
            assert cache.ask("GET", "/v2/app/manifests/1").status == 200
            assert cache.ask("GET", "/v2/app/manifests/2").status == 503


def test_many_follow_one_fetch_from_the_upstream(
    paths: Paths, layout: Path, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    index = json.loads((layout / "index.json").read_text())
    entry = index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads((layout / "blobs/sha256" / entry).read_text())
    large = manifest["layers"][0]["digest"]
    whole = (layout / "blobs/sha256" / large.partition(":")[2]).read_bytes()
    with Registry(tmp_path / "upstream") as upstream, FaultProxy(upstream.port) as proxy:
        upstream.push(layout, "app:1")
        with OwnRegistry(paths, upstream=proxy.host) as cache, ThreadPoolExecutor(8) as threads:
            path = f"/v2/app/blobs/{large}"
            asked = [threads.submit(cache.ask, "GET", path) for _ in range(8)]
            assert all(future.result().body == whole for future in asked)
            part = cache.ask("GET", path, headers={"Range": "bytes=-5"})
            assert (part.status, part.body) == (206, whole[-5:])
            assert proxy.count("GET") <= 2  # the ping, and the blob


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
    import threading

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


def test_a_broken_connection_keeps_what_came(registry: OwnRegistry) -> None:
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    with socket.create_connection(("127.0.0.1", registry.port)) as broken:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
        broken.sendall(head.encode() + NOISE[: 2 << 20])
        time.sleep(0.1)
    deadline = time.monotonic() + 5
    while registry.ask("GET", place).headers["Range"] != f"0-{(2 << 20) - 1}":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    rest = NOISE[2 << 20 :]
    span = {"Content-Range": f"{2 << 20}-{len(NOISE) - 1}"}
    assert registry.ask("PATCH", place, rest, span).status == 202


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
            [PROGRAM, "registry", "serve", "-a", f"127.0.0.1:{port}"],
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
    swept = run(PROGRAM, "registry", "gc", "--keep", "0.001", **environment)
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
        [PROGRAM, "load", "-q", "-i", str(layout)], env=environment, capture_output=True, text=True
    )
    digest = loaded.stdout.strip()
    name = f"{registry.host}/app:1"
    push_it = [str(PROGRAM), "push", "-q", digest, name]
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
    import threading

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
