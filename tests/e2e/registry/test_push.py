"""Pushing to docker-registry, well and through a proxy that fails; skopeo says what arrived."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Cancelled, NotFound, RateLimited, Unauthorized, Unreachable, UsageError
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry import upload, upload_notes
from core.registry.credentials import login
from core.registry.pull import pull
from core.registry.push import Pushed, push
from tests.e2e.command_line import LIMPET, run
from tests.fault_proxy import FaultProxy, TokenGate, cut, late, silent
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NOISE = random.Random(5).randbytes(3 << 20)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [layer_tar("large", NOISE), layer_tar("small", b"small\n"), layer_tar("x", b"x")]
    return write_oci_layout(tmp_path_factory.mktemp("layout") / "image", layers)


@pytest.fixture(scope="module")
def source(
    tmp_path_factory: pytest.TempPathFactory, isolated: None, layout: Path
) -> Iterator[Registry]:
    """A registry to pull from: `app` in OCI's and docker's types."""
    with Registry(tmp_path_factory.mktemp("source") / "served") as registry:
        registry.push(layout, "app:oci")
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", "--format", "v2s2",
            f"oci:{layout}:latest", f"docker://{registry.host}/app:docker")  # fmt: skip
        yield registry


@pytest.fixture
def target(tmp_path: Path, isolated: None) -> Iterator[Registry]:
    with Registry(tmp_path / "target") as registry:
        yield registry


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "data"), str(tmp_path / "run"))


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def do_push(
    store: ImageStore, image: str, to: str, config: Config | None = None
) -> tuple[Pushed, dict[str, str]]:
    """Push, and return with the result what became of each blob."""
    job = Job(1, "push")
    found = [store.resolve(image)]
    pushed = push(store, config or Config(), found, parse_reference(to), job)
    return pushed, {item.name: item.note for item in job.snapshot().items}


def bring(store: ImageStore, source: Registry, tag: str = "oci") -> str:
    name = f"{source.host}/app:{tag}"
    pull(store, Config(), parse_reference(name), "", Job(1, "pull"))
    return name


def inspect(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}")
    )
    return found


@pytest.mark.parametrize("tag", ["oci", "docker"])
def test_what_arrives_is_what_was_pulled(
    source: Registry, target: Registry, store: ImageStore, tmp_path: Path, tag: str
) -> None:
    image = bring(store, source, tag)
    pushed, notes = do_push(store, image, f"{target.host}/team/app:1")
    assert set(notes.values()) == {"done"}
    assert len(notes) == 4
    # Not compressed again, nothing rewritten: the digest is the one it had.
    assert (
        pushed.digest == inspect(image)["Digest"] == inspect(f"{target.host}/team/app:1")["Digest"]
    )
    # skopeo checks each blob's digest as it copies.
    run("skopeo", "copy", "-q", "--src-tls-verify=false",
        f"docker://{target.host}/team/app:1", f"dir:{tmp_path}/copied")  # fmt: skip


def test_what_is_there_is_not_sent(source: Registry, target: Registry, store: ImageStore) -> None:
    image = bring(store, source)
    with FaultProxy(target.port) as proxy:
        do_push(store, image, f"{proxy.host}/app:1")
        proxy.requests.clear()
        _, notes = do_push(store, image, f"{proxy.host}/app:2")
        assert notes == {}
        assert [method for method, _ in proxy.requests if method != "GET"] == ["HEAD", "PUT"]


def test_another_repository_lends_its_blobs(
    source: Registry, target: Registry, store: ImageStore
) -> None:
    image = bring(store, source)
    store.tag(image, f"{target.host}/first:1")
    do_push(store, image, f"{target.host}/first:1")
    _, notes = do_push(store, image, f"{target.host}/second:1")
    assert set(notes.values()) == {"mounted"}
    # A repository that has nothing to lend does no harm.
    store.tag(image, f"{target.host}/empty:1")
    store.untag(f"{target.host}/first:1")
    _, notes = do_push(store, image, f"{target.host}/third:1")
    assert set(notes.values()) == {"done"}


def test_images_of_several_platforms_become_one_index(
    source: Registry, target: Registry, store: ImageStore, tmp_path: Path
) -> None:
    first = bring(store, source)
    foreign = write_oci_layout(tmp_path / "foreign", [layer_tar("foreign", b"1")])
    run("umoci", "config", "--image", f"{foreign}:latest", "--architecture", "s390x")
    source.push(foreign, "foreign:latest")
    second = f"{source.host}/foreign:latest"
    pull(store, Config(), parse_reference(second), "", Job(1, "pull"))
    images = [store.resolve(first), store.resolve(second)]
    name = f"{target.host}/many:1"
    pushed = push(store, Config(), images, parse_reference(name), Job(1, "push"))
    raw = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    assert [entry["platform"]["architecture"] for entry in raw["manifests"]][1] == "s390x"
    found = pull(store, Config(), parse_reference(name), "linux/s390x", Job(1, "pull"))
    assert found.digest == images[1].digest
    assert pushed.digest.startswith("sha256:")


def test_credentials_are_asked_for(source: Registry, tmp_path: Path, store: ImageStore) -> None:
    image = bring(store, source)
    with Registry(tmp_path / "private", "me", "s3cret") as private:
        with pytest.raises(Unauthorized, match=private.host) as caught:
            do_push(store, image, f"{private.host}/app:1")
        assert caught.value.hint == f"limpet login -u NAME {private.host}"
        login(Config(), private.host, "me", "s3cret")
        _, notes = do_push(store, image, f"{private.host}/app:1")
        assert set(notes.values()) == {"done"}


def test_tls(source: Registry, tmp_path: Path, store: ImageStore) -> None:
    image = bring(store, source)
    with Registry(tmp_path / "tls", tls=True) as secured:
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            do_push(store, image, f"{secured.host}/app:1")
        trusted = Config({("registry", "ca_file"): str(tmp_path / "tls/certificate.pem")})
        _, notes = do_push(store, image, f"{secured.host}/app:1", trusted)
        assert set(notes.values()) == {"done"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
@pytest.mark.parametrize("fault", ["cut", "late", "500"])
def test_faults_are_survived(
    source: Registry,
    target: Registry,
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    fault: str,
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    image = bring(store, source)
    acts = {"cut": cut(0), "late": cut(300_000), "500": lambda handler: handler.say(503)}
    with FaultProxy(target.port) as proxy:
        proxy.once(method, acts[fault], 2)
        pushed, notes = do_push(store, image, f"{proxy.host}/app:1")
        assert set(notes.values()) <= {"done", "exists"}
    assert inspect(f"{target.host}/app:1")["Digest"] == pushed.digest


def test_a_rate_limit_is_never_retried_into(
    source: Registry, target: Registry, store: ImageStore
) -> None:
    image = bring(store, source)
    with FaultProxy(target.port) as proxy:
        proxy.once("POST", lambda handler: handler.say(429, {"Retry-After": "90"}), 99)
        with pytest.raises(RateLimited, match="90 s"):
            do_push(
                store, image, f"{proxy.host}/app:1",
                Config({("registry", "parallel_layers"): 1}),
            )  # fmt: skip
        assert proxy.count("POST") == 1


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_slow_registry_is_waited_for(
    source: Registry,
    target: Registry,
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    image = bring(store, source)
    with FaultProxy(target.port) as proxy:
        proxy.once(method, late(0.5), 99)
        do_push(store, image, f"{proxy.host}/app:1", Config({("registry", "timeout_s"): 1.9}))
        begun = proxy.count("POST")
    assert begun == 4  # none was tried a second time


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_silent_registry_is_given_up_after_the_timeout(
    source: Registry,
    target: Registry,
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    monkeypatch.setattr("core.registry.transport.http.BACKOFF_S", 0.01)
    image = bring(store, source)
    impatient = Config({("registry", "timeout_s"): 0.15})
    with FaultProxy(target.port) as proxy:
        proxy.once(method, silent, 99)
        begun = time.monotonic()
        with pytest.raises(Unreachable, match=r"nothing (came|was taken) for 0\.15 s") as caught:
            do_push(store, image, f"{proxy.host}/app:1", impatient)
        assert time.monotonic() - begun < 10
        assert proxy.host in caught.value.message
        proxy.faults.clear()
        do_push(store, image, f"{proxy.host}/app:1", impatient)
    assert inspect(f"{target.host}/app:1")["Digest"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_token_that_expires_on_the_way_is_asked_for_anew(
    source: Registry,
    target: Registry,
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    image = bring(store, source)
    alone = Config({("registry", "parallel_layers"): 1})
    with FaultProxy(target.port) as proxy:
        gate = TokenGate(proxy)
        do_push(store, image, f"{proxy.host}/first:1", alone)
        usual = gate.given
        gate.expire(method)
        pushed, notes = do_push(store, image, f"{proxy.host}/second:1", alone)
        assert set(notes.values()) <= {"done", "mounted"}
        assert gate.given <= 2 * usual + 2
        # One that is refused as soon as it was given ends the push.
        gate.expire(method, 99)
        with pytest.raises(Unauthorized, match=proxy.host) as caught:
            do_push(store, image, f"{proxy.host}/third:1", alone)
        assert "token-" not in caught.value.message
        assert caught.value.hint == f"limpet login -u NAME {proxy.host}"
    assert inspect(f"{target.host}/second:1")["Digest"] == pushed.digest


def test_a_push_that_was_cut_goes_on_in_another_process(
    source: Registry, target: Registry, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    image = bring(store, source)
    with FaultProxy(target.port) as proxy:
        job = Job(1, "push")
        to = parse_reference(f"{proxy.host}/app:1")
        report = job.progress

        def progress(name: str, done: int, total: int, note: str = "") -> None:
            report(name, done, total, note)
            if done == 1 << 20:
                job.cancel()

        job.progress = progress  # type: ignore[method-assign]
        # The second part finds the job cancelled.
        with pytest.raises(Cancelled):
            push(store, Config(), [store.resolve(image)], to, job)
        proxy.requests.clear()
        sent = Job(2, "push")
        push(store, Config(), [store.resolve(image)], to, sent)
        begun = [path for method, path in proxy.requests if method == "POST"]
        parts = proxy.count("PATCH")
    assert inspect(f"{target.host}/app:1")["Digest"]
    assert parts + len(begun) >= 2
    notes = Path(store.paths.cache)
    assert not list(notes.glob("upload-*"))
    # A process that was killed right behind its last byte leaves a note; so does one given up.
    digest = store.manifest(store.resolve(image).digest).layers[0].digest
    for name in (digest, "given up"):
        upload_notes.keep(upload_notes.note_of(store.paths, f"{target.host}/app", name), "x")
    os.utime(upload_notes.note_of(store.paths, f"{target.host}/app", "given up"), (1, 1))
    target.delete("app", "1")
    push(store, Config(), [store.resolve(image)], parse_reference(f"{target.host}/app:1"), sent)
    assert not list(notes.glob("upload-*"))


def test_what_cannot_be_pushed_is_named(
    source: Registry, target: Registry, store: ImageStore
) -> None:
    image = bring(store, source)
    digest = store.resolve(image).digest
    with pytest.raises(UsageError, match="digest"):
        do_push(store, image, f"{target.host}/app@{digest}")
    layer = store.manifest(digest).layers[0].digest
    store.blobs.remove(layer)
    with pytest.raises(NotFound, match=layer) as caught:
        do_push(store, image, f"{target.host}/app:1")
    assert "pull" in caught.value.hint


def test_the_program_pushes(source: Registry, target: Registry, paths: Paths) -> None:
    environment = {**os.environ, "LIMPET_DATA_ROOT": paths.data, "LIMPET_RUN_ROOT": paths.run}

    def limpet(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    image = f"{source.host}/app:oci"
    assert limpet("pull", "-q", image).returncode == 0
    pushed = limpet("push", image, f"{target.host}/app:1")
    assert pushed.returncode == 0, pushed.stderr
    assert inspect(f"{target.host}/app:1")["Digest"] in pushed.stdout
    refused = limpet("push", "nothing-here")
    assert refused.returncode == 3
    assert "nothing-here" in refused.stderr
