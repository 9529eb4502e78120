"""Pulling from docker-registry what skopeo, umoci and buildah put there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import (
    FREE_SPACE,
    Cancelled,
    Corrupt,
    HostError,
    NotFound,
    Unauthorized,
    Unreachable,
    disk_error,
)
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.images.unpacking.unpack import Unpacker
from core.jobs import Job
from core.paths import Paths
from core.registry.client import RegistryClient
from core.registry.credentials import login, logout
from core.registry.pull import find, pull
from core.registry.status import known_registries, probe_registries
from tests.e2e.command_line import LIMPET, environment, limpet, run
from tests.e2e.terminal import Terminal
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout
from tests.layers import archive, entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.model import ImageInfo, RegistryInfo

FORMATS = ("oci", "docker", "zstd", "multi")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A busybox image for this host, as an OCI layout."""
    return write_oci_layout(tmp_path_factory.mktemp("layout") / "image", [busybox_rootfs()])


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, isolated: None, layout: Path
) -> Iterator[Registry]:
    """A registry with `app` in all formats, and a list of it for two platforms."""
    place = tmp_path_factory.mktemp("registry")
    with Registry(place / "served") as registry:
        target = f"docker://{registry.host}/app"
        copy = ("skopeo", "copy", "-q", "--dest-tls-verify=false")
        registry.push(layout, "app:oci")
        run(*copy, "--format", "v2s2", f"oci:{layout}:latest", f"{target}:docker")
        compress = ("--dest-compress", "--dest-compress-format", "zstd")
        run(*copy[:3], *compress, f"oci:{layout}:latest", f"oci:{place}/zstd:latest")
        run(*copy, "--preserve-digests", f"oci:{place}/zstd:latest", f"{target}:zstd")
        run(*copy, f"oci:{foreign_image(place / 'foreign')}:base", f"{target}:foreign")
        make_list(place, registry.host)
        yield registry


def foreign_image(layout: Path) -> Path:
    """Make a one-file image for s390x with umoci; return its layout, tag `base`."""
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:base")
    bundle = layout.with_suffix(".bundle")
    run("umoci", "unpack", "--image", f"{layout}:base", bundle)
    (bundle / "rootfs/foreign").write_text("not for this host\n")
    run("umoci", "repack", "--image", f"{layout}:base", bundle)
    run("umoci", "config", "--image", f"{layout}:base", "--architecture", "s390x")
    return layout


def make_list(place: Path, host: str) -> None:
    buildah = ("buildah", "--root", place / "root", "--runroot", place / "run",
               "--storage-driver", "vfs", "manifest")  # fmt: skip
    insecure = "--tls-verify=false"
    run(*buildah, "create", "list")
    run(*buildah, "add", insecure, "list", f"docker://{host}/app:foreign")
    run(*buildah, "add", insecure, "list", f"docker://{host}/app:oci")
    run(*buildah, "push", insecure, "--all", "list", f"docker://{host}/app:multi")


def claim_layers_of(layout: Path, other: Path) -> Path:
    """Put the names of a layout's layers into the config of another one; return that."""
    manifests = [json.loads((place / "index.json").read_text())["manifests"][0]
                 for place in (layout, other)]  # fmt: skip
    documents = []
    for place, named in zip((layout, other), manifests, strict=True):
        manifest = json.loads(blob_path(place, named).read_text())
        documents.append((manifest, json.loads(blob_path(place, manifest["config"]).read_text())))
    (_, truth), (manifest, config) = documents
    config["rootfs"] = truth["rootfs"]
    manifest["config"] |= add_blob(other, config)
    index = {"schemaVersion": 2, "manifests": [manifests[1] | add_blob(other, manifest)]}
    (other / "index.json").write_text(json.dumps(index))
    return other


def blob_path(layout: Path, named: dict[str, Any]) -> Path:
    return layout / "blobs" / str(named["digest"]).replace(":", "/")


def add_blob(layout: Path, document: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(document).encode()
    named = {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
    blob_path(layout, named).write_bytes(data)
    return named


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker/config.json"


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def do_pull(
    store: ImageStore, text: str, platform: str = "", config: Config | None = None
) -> tuple[ImageInfo, Job]:
    job = Job(1, f"pull {text}")
    info = pull(store, config or Config(), parse_reference(text), platform, job)
    return info, job


def tree(store: ImageStore, paths: Paths, info: ImageInfo) -> dict[str, str]:
    """Return what is in an image of one layer: names, modes and contents."""
    (number,) = store.lowerdirs(info.digest)
    root = Path(paths.layers, str(number))
    return {str(path.relative_to(root)): describe(path) for path in root.rglob("*")}


def describe(path: Path) -> str:
    status = path.lstat()
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {content}"


def test_a_password_is_asked_for_or_read(
    tmp_path: Path, paths: Paths, own_credentials: Path
) -> None:
    env = environment(paths, tmp_path) | {"DOCKER_CONFIG": str(own_credentials.parent)}
    with Registry(tmp_path / "private", "me", "s3cret") as private:
        words = ("login", "-u", "me", private.host)
        with Terminal([LIMPET, *words], env=env) as terminal:
            terminal.until("Password:")
            terminal.type("s3cret\r")
            assert terminal.wait() == 0
        assert f"logged in to {private.host} as me" in terminal.text
        assert b"s3cret" not in terminal.output
        limpet(env, "logout", private.host)
        limpet(env, *words, "--password-stdin", text="s3cret\n")
        assert private.host in own_credentials.read_text()
        assert "a password is needed" in limpet(env, *words, code=2, text="s3cret\n")


@pytest.mark.parametrize("tag", FORMATS)
def test_every_format_gives_the_same_files(
    registry: Registry, store: ImageStore, paths: Paths, layout: Path, tmp_path: Path, tag: str
) -> None:
    info, job = do_pull(store, f"{registry.host}/app:{tag}")
    assert info.tags == (f"{registry.host}/app:{tag}",)
    assert store.resolve(f"{registry.host}/app:{tag}") == info
    run("umoci", "unpack", "--image", f"{layout}:latest", tmp_path / "umoci")
    root = tmp_path / "umoci/rootfs"
    assert tree(store, paths, info) == {
        str(path.relative_to(root)): describe(path) for path in root.rglob("*")
    }
    assert [item.note for item in job.snapshot().items] == ["done"]
    assert not list(Path(paths.partial).iterdir())
    # Pulled once more, nothing is fetched.
    again, job = do_pull(store, f"{registry.host}/app:{tag}")
    assert again == info
    assert [item.note for item in job.snapshot().items] == ["exists"]


def test_a_pull_that_finds_all_here_starts_no_unpacker(
    registry: Registry, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = Unpacker._start

    def count(unpacker: Unpacker) -> None:
        started.append(unpacker)
        start(unpacker)

    monkeypatch.setattr(Unpacker, "_start", count)
    name = f"{registry.host}/app:oci"
    do_pull(store, name)
    assert len(started) == 1
    do_pull(store, name)
    assert len(started) == 1


def test_a_layer_that_is_here_in_another_blob_is_whole_in_this_one(
    registry: Registry, store: ImageStore
) -> None:
    do_pull(store, f"{registry.host}/app:oci")
    info, job = do_pull(store, f"{registry.host}/app:zstd")
    assert [item.note for item in job.snapshot().items] == ["done"]
    (layer,) = store.manifest(info.digest).layers
    assert store.blobs.has(layer.digest)
    _, job = do_pull(store, f"{registry.host}/app:zstd")
    assert [item.note for item in job.snapshot().items] == ["exists"]


def test_another_blob_for_a_layer_that_is_here_has_to_hold_it(
    registry: Registry, store: ImageStore, layout: Path, tmp_path: Path
) -> None:
    other = write_oci_layout(tmp_path / "other", [archive(entry("not-what-is-here"))])
    registry.push(claim_layers_of(layout, other), "lying:1")
    do_pull(store, f"{registry.host}/app:oci")
    with pytest.raises(Corrupt, match="has digest"):
        do_pull(store, f"{registry.host}/lying:1")
    assert [image.tags for image in store.images()] == [(f"{registry.host}/app:oci",)]


def test_digests_are_those_of_skopeo(registry: Registry, store: ImageStore) -> None:
    name = f"{registry.host}/app"
    for tag in ("oci", "docker", "zstd"):
        info, _ = do_pull(store, f"{name}:{tag}")
        inspected = json.loads(
            run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}:{tag}")
        )
        assert info.digest == inspected["Digest"]
        by_digest, _ = do_pull(store, f"{name}@{info.digest}")
        assert by_digest.digest == info.digest
        assert store.resolve(f"{name}@{info.digest}").digest == info.digest


def test_platforms_of_a_list(registry: Registry, store: ImageStore) -> None:
    name = f"{registry.host}/app:multi"
    own, _ = do_pull(store, name)
    foreign, _ = do_pull(store, name, "linux/s390x")
    assert own.platform != foreign.platform == "linux/s390x"
    assert own.digest != foreign.digest
    with pytest.raises(NotFound, match="linux/riscv64") as caught:
        do_pull(store, name, "linux/riscv64")
    assert "linux/s390x" in caught.value.hint


def test_foreign_image_warns_or_is_refused(registry: Registry, store: ImageStore) -> None:
    name = f"{registry.host}/app:foreign"
    _, job = do_pull(store, name)
    assert any("binfmt" in line for line in job.log)
    with pytest.raises(NotFound, match="linux/arm64"):
        do_pull(store, name, "linux/arm64")


def test_missing_things_are_named(registry: Registry, store: ImageStore) -> None:
    with pytest.raises(NotFound, match=f"{registry.host}/app:none"):
        do_pull(store, f"{registry.host}/app:none")
    with pytest.raises(NotFound, match=f"{registry.host}/none:latest"):
        do_pull(store, f"{registry.host}/none")


def test_tags_and_catalog(registry: Registry) -> None:
    with RegistryClient(registry.host, Config()) as client:
        assert {"oci", "docker", "zstd", "foreign", "multi"} <= set(client.tags("app"))
        assert "app" in list(client.catalog())
        assert client.scheme == "http"


def test_pages_of_tags(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.registry import client as module

    monkeypatch.setattr(module, "PAGE_ENTRIES", 2)
    with RegistryClient(registry.host, Config()) as client:
        assert "app" in list(client.catalog())
        assert sorted(client.tags("app")) == sorted({*FORMATS, "foreign"})


def test_two_pulls_at_once_share_the_work(registry: Registry, paths: Paths) -> None:
    program = Path(__file__).parent / "pull_program.py"
    command = [sys.executable, str(program), paths.data, paths.run, f"{registry.host}/app:oci"]
    pulls = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    digests = [process.communicate(timeout=60)[0] for process in pulls]
    assert [process.returncode for process in pulls] == [0, 0, 0]
    assert len(set(digests)) == 1
    layers = [name for name in os.listdir(paths.layers) if name.isdigit()]
    assert len(layers) == 1
    assert not list(Path(paths.partial).iterdir())


def test_cancelled_pull_goes_on_later(registry: Registry, store: ImageStore, paths: Paths) -> None:
    job = Job(1, "pull")
    report = job.progress

    def progress(name: str, done: int, total: int, note: str = "") -> None:
        report(name, done, total, note)
        if note == "downloading":
            job.cancel()

    job.progress = progress  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        pull(store, Config(), parse_reference(f"{registry.host}/app:oci"), "", job)
    assert store.images() == []
    assert not [name for name in os.listdir(paths.layers) if name.isdigit()]
    (left,) = Path(paths.partial).iterdir()
    assert left.stat().st_size
    info, _ = do_pull(store, f"{registry.host}/app:oci")
    assert info.layers == 1


def test_damaged_part_that_was_unpacked_meanwhile(
    registry: Registry, store: ImageStore, paths: Paths
) -> None:
    reference = parse_reference(f"{registry.host}/app:oci")
    with RegistryClient(registry.host, Config()) as client:
        layer = find(client, reference, "", lambda _: None).layers[0].descriptor
        blob = client.blob(reference.path, layer.digest)
        start = bytearray(blob.read(layer.size * 3 // 4))
        blob.close()
    start[-1000:] = os.urandom(1000)
    partial = Path(store.blobs.partial_path(layer.digest))
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(start)
    info, _ = do_pull(store, f"{registry.host}/app:oci")
    assert "bin/busybox" in tree(store, paths, info)


def test_disk_that_is_too_small_is_noticed_early(registry: Registry, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
    paths = Paths(str(small), str(tmp_path / "run"))
    database = Database(paths)
    try:
        with pytest.raises(
            HostError, match=f"no space left for {small}.* bytes do not fit"
        ) as full:
            do_pull(ImageStore(paths, database, Config()), f"{registry.host}/app:oci")
        assert full.value.hint == FREE_SPACE
        assert not any(Path(paths.partial).iterdir())
    finally:
        database.close()
        run("umount", small)


def test_disk_that_fills_meanwhile(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.registry.layers import Layers

    monkeypatch.setattr(Layers, "_check_space", lambda *_: None)
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
    paths = Paths(str(small), str(tmp_path / "run"))
    database = Database(paths)
    try:
        # A layer or a small blob meets the end of the disk first: both say which file it was.
        with pytest.raises((HostError, OSError)) as caught:
            do_pull(ImageStore(paths, database, Config()), f"{registry.host}/app:oci")
        error = caught.value
        told = disk_error(error) if isinstance(error, OSError) else error
        assert isinstance(told, HostError)
        assert told.errno == errno.ENOSPC
        assert f"{small}/" in told.message
        assert told.hint
        run("mount", "-o", "remount,size=20m", small)
        info, _ = do_pull(ImageStore(paths, database, Config()), f"{registry.host}/app:oci")
        assert info.layers == 1
    finally:
        database.close()
        run("umount", small)


def test_login_pull_logout(
    tmp_path: Path, store: ImageStore, layout: Path, own_credentials: Path
) -> None:
    with Registry(tmp_path / "private", "me", "s3cret") as private:
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-creds", "me:s3cret",
            f"oci:{layout}:latest", f"docker://{private.host}/app")  # fmt: skip
        with pytest.raises(Unauthorized, match=private.host) as caught:
            do_pull(store, f"{private.host}/app")
        assert caught.value.hint == f"limpet login -u NAME {private.host}"
        with pytest.raises(Unauthorized) as caught:
            login(Config(), private.host, "me", "wrong-s3cret")
        assert "s3cret" not in caught.value.message
        assert not own_credentials.exists()

        login(Config(), private.host, "me", "s3cret")
        assert stat.S_IMODE(own_credentials.stat().st_mode) == 0o600
        info, _ = do_pull(store, f"{private.host}/app")
        assert info.layers == 1
        # What limpet wrote, docker's family reads.
        run("skopeo", "inspect", "--tls-verify=false", "--authfile", own_credentials,
            f"docker://{private.host}/app")  # fmt: skip
        logout(private.host)
        with pytest.raises(Unauthorized):
            do_pull(store, f"{private.host}/app")


def test_tls(tmp_path: Path, store: ImageStore, layout: Path) -> None:
    with Registry(tmp_path / "tls", tls=True) as secured:
        registry_name = f"{secured.host}/app"
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest",
            f"docker://{registry_name}")  # fmt: skip
        with pytest.raises(Unreachable, match="certificate is not trusted") as caught:
            do_pull(store, registry_name)
        assert "ca_file" in caught.value.hint
        trusted = Config({("registry", "ca_file"): str(tmp_path / "tls/certificate.pem")})
        info, _ = do_pull(store, registry_name, config=trusted)
        assert info.layers == 1
        with RegistryClient(secured.host, trusted) as client:
            assert client.scheme == "https"
        insecure = Config({("registry", "insecure"): (secured.host,)})
        assert do_pull(store, registry_name, config=insecure)[0] == info


def test_status_of_registries(
    tmp_path: Path, registry: Registry, store: ImageStore, paths: Paths
) -> None:
    do_pull(store, f"{registry.host}/app:oci")
    with Registry(tmp_path / "private", "me", "s3cret") as private:
        config = Config({("registry", "default"): "127.0.0.1:1",
                         ("registry", "insecure"): (private.host,)})  # fmt: skip
        found = by_host(probe_registries(store.database, config, 3))
    assert found[registry.host].state == "reachable"
    assert found[registry.host].scheme == "http"
    assert found[registry.host].last_used > 0
    assert found[private.host].state == "unauthorized"
    assert found["127.0.0.1:1"].state == "unreachable"
    assert "refused" in found["127.0.0.1:1"].cause
    known = by_host(known_registries(store.database, config))
    assert {host: info.state for host, info in known.items()} == {
        host: info.state for host, info in found.items()
    }


def by_host(infos: list[RegistryInfo]) -> dict[str, RegistryInfo]:
    return {info.host: info for info in infos}


def test_silent_registry_does_not_hold_the_table_up(store: ImageStore) -> None:
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        config = Config({("registry", "default"): host})
        started = time.monotonic()
        (info,) = probe_registries(store.database, config, 0.5)
        assert time.monotonic() - started < 5
        assert info.state == "unreachable"
        for thread in threading.enumerate():
            if thread.daemon:
                thread.join(5)


def test_the_program_pulls(registry: Registry, paths: Paths) -> None:
    environment = {**os.environ, "LIMPET_DATA_ROOT": paths.data, "LIMPET_RUN_ROOT": paths.run}

    def limpet(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    result = limpet("pull", "-q", f"{registry.host}/app:oci")
    assert result.returncode == 0, result.stderr
    digest = result.stdout.strip()
    assert digest.startswith("sha256:")
    listed: Any = limpet("images", "--format", "json")
    assert digest in listed.stdout
    refused = limpet("pull", f"{registry.host}/app:none")
    assert refused.returncode == 3
    assert f"{registry.host}/app:none" in refused.stderr
    assert limpet("rmi", "-f", f"{registry.host}/app:oci").returncode == 0
    made = limpet("create", "--name", "fresh", f"{registry.host}/app:oci", "true")
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.strip()) == 64
    assert made.stderr  # it tells of what takes its time
    again = limpet("create", "-q", "--pull", "always", f"{registry.host}/app:oci", "true")
    assert (again.returncode, again.stderr) == (0, "")
