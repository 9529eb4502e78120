"""Images of several platforms are pulled, shown, run, removed; remote ones are looked into."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.image.image import inspect_image
from core.commands.result import Plan, Running, Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import NotFound, UnsupportedMedia
from core.images.assemble import encode, make_image, platform
from core.images.digest import digest_of
from core.images.image_index import kept_index
from core.images.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, host_platform
from core.paths import Paths
from core.registry.client import RegistryClient
from core.registry.remote_content import fetch_file
from core.registry.upload import Upload, put_manifest
from tests.fixture_images import Registry, write_oci_layout
from tests.layers import archive, directory, entry, hardlink, symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "linux/s390x"
LOWER = archive(directory("etc"), entry("etc/name", content=b"name", mode=0o4755, uid=5),
                hardlink("again", "etc/name"), symlink("link", "etc/name"),
                directory("old"), entry("old/x", content=b"x" * 2000), entry("gone"))  # fmt: skip
UPPER = archive(directory("old"), entry("old/.wh..wh..opq"), entry(".wh.gone"),
                entry("etc/name", content=b"new"))  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    """`app:1` for this host and for another platform; `plain:1` for this host alone."""
    place = tmp_path_factory.mktemp("served")
    with Registry(place / "registry") as served:
        paths = Paths(str(place / "data"), str(place / "run"))
        engine = Engine(paths, Config())
        layout = write_oci_layout(place / "layout", [LOWER, UPPER])
        served.push(layout, "plain:1")
        engine.archives.load(str(layout)).result()
        first = engine.images.list()[0]
        from core.images.assemble import layers_of

        other = make_image(engine.store, platform(OTHER), layers_of(engine.store, first.digest))
        engine.images.push([first.digest, other.digest], f"{served.host}/app:1").result()
        engine.close()
        yield served


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = Engine(paths, Config())
    yield made
    made.close()


def say(engine: Engine, line: str) -> str:
    verb, words = find(line.split())
    result = verb.run(engine, parse(verb, words))
    if isinstance(result, Running):
        result = result.show(result.job.result())
    if isinstance(result, Plan):
        result = result.apply()
    assert isinstance(result, Text)
    return result.text


def test_all_platforms(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/app:1"
    shown = say(engine, f"pull --all-platforms {name}")
    assert [line.split()[0] for line in shown.splitlines()] == [name, host_platform(), OTHER]
    assert {info.platform for info in engine.images.list()} == {host_platform(), OTHER}
    assert engine.store.resolve(name).platform == host_platform()
    assert engine.store.resolve(name, OTHER).platform == OTHER
    assert engine.store.resolve(name, host_platform()).platform == host_platform()
    with pytest.raises(NotFound, match="not available for linux/riscv64") as caught:
        engine.store.resolve(name, "riscv64")
    assert f"pull --platform riscv64 {name}" in caught.value.hint
    verb, words = find(["images"])
    table = verb.run(engine, parse(verb, words))
    assert isinstance(table, Table)
    assert "PLATFORM" in [column.title for column in table.columns]
    assert say(engine, "image prune -f") == "Total reclaimed space: 0B"
    container = say(engine, f"create --platform {OTHER} --pull never {name} true")
    assert (
        engine.containers.resolve(container).image_digest
        == engine.store.resolve(name, OTHER).digest
    )
    engine.containers.rm(container)
    say(engine, f"rmi {name}")
    assert engine.images.list() == []
    say(engine, "undo")
    assert engine.store.resolve(name, OTHER).platform == OTHER


def test_a_single_image_is_pulled_as_ever(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/plain:1"
    assert say(engine, f"pull --all-platforms -q {name}") == engine.images.list()[0].digest
    assert engine.images.list()[0].tags == (name,)


def test_a_remote_image_looks_as_the_pulled_one_does(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/plain:1"
    job = engine.files.remote_tree(name)
    remote = job.result()
    assert {item.note for item in job.snapshot().items} == {"done"}
    assert engine.images.list() == []
    shown = say(engine, f"image browse --remote --depth 0 {name}")
    engine.images.pull(name).result()
    local = engine.files.tree(name)
    assert remote.config == local.config
    assert [layer[0] for layer in remote.layers] == [layer[0] for layer in local.layers]
    for (_, theirs), (_, ours) in zip(remote.layers, local.layers, strict=True):
        assert sorted(map(str, theirs)) == sorted(map(str, ours))
    assert say(engine, f"image browse --depth 0 {name}") == shown
    lines = shown.splitlines()
    assert any(line.startswith("~ 0644") and line.endswith("name") for line in lines)
    assert any(line.startswith("- ") and line.endswith("gone") for line in lines)
    assert not any(line.endswith(" x") for line in lines)
    first = say(engine, f"image browse --layer 1 {name} /old")
    assert first.splitlines()[-1].endswith("2kB  x")
    with pytest.raises(NotFound, match="has no nowhere"):
        say(engine, f"image browse {name} nowhere")


def test_files_of_a_remote_image_are_read_without_a_pull(
    engine: Engine, registry: Registry
) -> None:
    name = f"{registry.host}/plain:1"
    tree = engine.files.remote_tree(name).result()
    reference = engine.reference(name)

    def fetch(diff_id: str, path: str) -> bytes:
        fd = fetch_file(engine.config, reference, tree, diff_id, path, lambda: None)
        with os.fdopen(fd, "rb") as file:
            return file.read()

    files = [(diff_id, found) for diff_id, layer in tree.layers for found in layer]
    read = {
        (diff_id, found.path): fetch(diff_id, found.path)
        for diff_id, found in files
        if found.kind in ("file", "hardlink")
    }
    assert engine.images.list() == []
    engine.images.pull(name).result()
    for (diff_id, path), content in read.items():
        with os.fdopen(engine.files.open(diff_id, path), "rb") as file:
            assert file.read() == content, path
    assert {found.kind for _, found in files} >= {"file", "hardlink", "symlink", "dir"}
    for diff_id, found in files:
        if found.kind in ("symlink", "dir"):
            with pytest.raises((UnsupportedMedia, NotFound), match=r"no regular file|has no"):
                fetch(diff_id, found.path)
    with pytest.raises(NotFound, match="the layer has no /nowhere"):
        fetch(files[0][0], "nowhere")


def test_platform_of_a_remote_image(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    tree = engine.files.remote_tree(f"{registry.host}/app:1", OTHER).result()
    assert tree.config["architecture"] == "s390x"
    assert list(tmp_path.glob("data/blobs/sha256/*")) == []


@pytest.fixture
def attested(registry: Registry, tmp_path: Path) -> tuple[str, str]:
    """`app:attested`, as BuildKit pushes it: an attestation lies beside the two images."""
    statement, empty = b'{"_type": "https://in-toto.io/Statement/v0.1"}', b"{}"
    with RegistryClient(registry.host, Config()) as client:
        for content in (statement, empty):
            (tmp_path / "blob").write_bytes(content)
            blob = Descriptor("", digest_of(content), len(content))
            Upload(client, "app", blob, str(tmp_path / "blob"), lambda _done, _word: None,
                   lambda: None).run()  # fmt: skip
        layer = {"mediaType": "application/vnd.in-toto+json", "digest": digest_of(statement),
                 "size": len(statement)}  # fmt: skip
        config = {"mediaType": "application/vnd.oci.image.config.v1+json",
                  "digest": digest_of(empty), "size": len(empty)}  # fmt: skip
        manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                           "layers": [layer]})  # fmt: skip
        put_manifest(client, "app", digest_of(manifest), manifest, OCI_MANIFEST)
        index = json.loads(client.manifest("app", "1")[0])
        index["manifests"].append({
            "mediaType": OCI_MANIFEST, "digest": digest_of(manifest), "size": len(manifest),
            "platform": {"os": "unknown", "architecture": "unknown"},
        })  # fmt: skip
        content = encode(index)
        put_manifest(client, "app", "attested", content, OCI_INDEX)
    return f"{registry.host}/app:attested", digest_of(content)


def test_an_index_is_pushed_and_saved_as_it_came(
    engine: Engine, registry: Registry, attested: tuple[str, str], tmp_path: Path
) -> None:
    name, digest = attested
    say(engine, f"pull --all-platforms {name}")
    target = f"{registry.host}/copied:{tmp_path.name}"
    assert digest in say(engine, f"push --all-platforms {name} {target}")
    archive = tmp_path / "all.tar"
    say(engine, f"save --all-platforms --format oci-archive -o {archive} {name}")
    copied = tmp_path / "copied"
    subprocess.run(["skopeo", "copy", "-q", "--all", f"oci-archive:{archive}", f"dir:{copied}"],
                   check=True)  # fmt: skip
    assert digest_of((copied / "manifest.json").read_bytes()) == digest
    raw = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"]
    assert digest_of(subprocess.run(raw, check=True, capture_output=True).stdout) == digest
    assert say(engine, "image prune -f") == "Total reclaimed space: 0B"


def test_a_name_with_a_digest_is_no_tag(engine: Engine, attested: tuple[str, str]) -> None:
    name, _ = attested
    say(engine, f"pull --all-platforms {name}")
    repository = name.rpartition(":")[0]
    shown = [inspect_image(engine, info.digest) for info in engine.images.list()]
    assert sorted(map(str, (document["RepoTags"] for document in shown))) == [f"['{name}']", "[]"]
    for document in shown:
        assert document["RepoDigests"] == [f"{repository}@{document['Digest']}"]


def test_an_index_is_kept_as_long_as_its_images(
    engine: Engine, paths: Paths, attested: tuple[str, str]
) -> None:
    name, digest = attested
    say(engine, f"pull --all-platforms {name}")
    say(engine, f"rmi {name}")
    say(engine, "undo")
    assert kept_index(engine.store, name).digest == digest
    say(engine, f"rmi {name}")
    assert (
        engine.store.database.query("SELECT DISTINCT index_digest FROM index_blobs")[0][0] == digest
    )
    say(engine, "trash empty")
    assert os.listdir(f"{paths.blobs}/sha256") == []
    assert engine.store.database.query("SELECT * FROM index_blobs") == []


def test_what_came_for_one_platform_is_no_index(engine: Engine, attested: tuple[str, str]) -> None:
    name, _ = attested
    say(engine, f"pull {name}")
    with pytest.raises(NotFound, match="one platform only") as caught:
        say(engine, f"push --all-platforms {name}")
    assert f"pull --all-platforms {name}" in caught.value.hint
