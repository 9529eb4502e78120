"""save, load and import beside skopeo, podman and umoci: nothing is lost, digests stay."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import zstandard

from core.config import Config
from core.engine import Engine
from core.errors import Conflict, Corrupt, Error, HostError, NotFound, UnsafePath, UnsupportedMedia
from core.images.archive.importing import ImportOptions
from core.images.assemble import layers_of, make_image
from core.images.manifest import OCI_INDEX
from core.paths import Paths
from tests.e2e.command_line import run
from tests.fixture_images import write_oci_layout
from tests.hostile_registry import layer_tar
from tests.layers import archive, entry, symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NOISE = random.Random(7).randbytes(5 << 20)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [layer_tar("large", NOISE), layer_tar("small", b"small\n"), layer_tar("x", b"x")]
    return write_oci_layout(tmp_path_factory.mktemp("made") / "app", layers)


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = Engine(paths, Config())
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Engine]:
    """Another host's limpet."""
    made = Engine(Paths(str(tmp_path / "other"), str(tmp_path / "other-run")), Config())
    yield made
    made.close()


def save(engine: Engine, output: Path, *images: str, form: str = "docker-archive") -> Path:
    if form == "oci-dir":
        engine.archives.save(images, form)(str(output), None)
    else:
        with output.open("wb") as file:
            engine.archives.save(images, form)(file.fileno(), None)
    return output


def facts(engine: Engine) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(info.digest, info.config_digest, info.tags) for info in engine.images.list()}


def manifest_digest(layout: Path) -> str:
    return str(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])


@pytest.fixture
def loaded(engine: Engine, layout: Path) -> Engine:
    """The layout's image as localhost/app:latest, and as web:2."""
    [found] = engine.archives.load(str(layout)).result()
    assert found.names == ("localhost/app:latest",)
    assert found.image.digest == manifest_digest(layout)
    engine.store.tag("localhost/app", engine.reference("web:2").canonical)
    return engine


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_is_saved_is_loaded_with_its_digests(
    loaded: Engine, other: Engine, tmp_path: Path, form: str
) -> None:
    saved = save(loaded, tmp_path / "saved", "localhost/app", "web:2", form=form)
    other.archives.load(str(saved)).result()
    assert facts(other) == facts(loaded)
    again = save(other, tmp_path / "again", "localhost/app", "web:2", form=form)
    if form != "oci-dir":
        assert again.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_compressed_archives_through_a_pipe(
    loaded: Engine, other: Engine, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    saved = save(loaded, tmp_path / "saved", "web:2").read_bytes()
    (tmp_path / "packed").write_bytes(pack(saved))
    with subprocess.Popen(["cat", str(tmp_path / "packed")], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout
        other.archives.load(pipe.stdout.fileno()).result()
    assert [info.tags for info in other.images.list()] == [("web:2",)]
    assert other.images.list()[0].digest == loaded.store.resolve("web:2").digest


def test_a_name_with_a_digest_is_no_tag_to_docker(
    loaded: Engine, other: Engine, tmp_path: Path
) -> None:
    """docker refuses the whole archive for one."""
    image = loaded.store.resolve("web:2")
    name = f"docker.io/library/web@{image.digest}"
    loaded.store.tag("web:2", name)
    saved = save(loaded, tmp_path / "saved", name)
    with tarfile.open(saved) as tar:
        [entry] = json.loads((tar.extractfile("manifest.json") or io.BytesIO()).read())
        index = json.loads((tar.extractfile("index.json") or io.BytesIO()).read())
    assert entry["RepoTags"] is None
    assert index["manifests"][0]["annotations"] == {"io.containerd.image.name": name}
    [there] = other.archives.load(str(saved)).result()
    assert (there.names, there.image.digest) == ((name,), image.digest)


def test_an_image_without_an_architecture_is_saved(
    loaded: Engine, other: Engine, tmp_path: Path
) -> None:
    found = loaded.store.resolve("web:2")
    config = {**loaded.store.config(found.digest), "architecture": ""}
    make_image(loaded.store, config, layers_of(loaded.store, found.digest), ("localhost/odd:1",))
    assert loaded.store.resolve("localhost/odd:1").platform == "linux"
    saved = save(loaded, tmp_path / "saved", "localhost/odd:1")
    [there] = other.archives.load(str(saved)).result()
    assert there.image.platform == "linux"


def test_skopeo_reads_it_as_both(loaded: Engine, layout: Path, tmp_path: Path) -> None:
    saved = save(loaded, tmp_path / "saved.tar", "localhost/app", "web:2")
    digest = manifest_digest(layout)
    for name in ("latest", "2"):
        assert run("skopeo", "inspect", "--format", "{{.Digest}}",
                  f"oci-archive:{saved}:{name}").strip() == digest  # fmt: skip
    run("skopeo", "copy", "-q", f"docker-archive:{saved}:web:2", f"oci:{tmp_path}/copy:x")
    config = run("skopeo", "inspect", "--config", f"oci:{tmp_path}/copy:x")
    assert json.loads(config)["rootfs"] == loaded.store.config(digest)["rootfs"]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory for podman, whose run root may have 50 characters."""
    made = Path(tempfile.mkdtemp(prefix="lp-", dir="/tmp"))
    yield made
    subprocess.run(["umount", "-R", str(made / "root/vfs")], stderr=subprocess.DEVNULL)
    shutil.rmtree(made)


def podman(root: Path, *words: str | Path) -> str:
    return run("podman", f"--root={root}/root", f"--runroot={root}/run", "--storage-driver=vfs",
              "--events-backend=none", *words)  # fmt: skip


def test_podman_loads_it(loaded: Engine, tmp_path: Path, short_path: Path) -> None:
    saved = save(loaded, tmp_path / "saved.tar", "localhost/app", "web:2")
    podman(short_path, "load", "-q", "-i", saved)
    listed = json.loads(podman(short_path, "images", "--format", "json"))
    names = {name for image in listed for name in image["Names"]}
    assert names == {"localhost/app:latest", "docker.io/library/web:2"}
    assert {image["Id"] for image in listed} == {loaded.images.list()[0].config_digest[7:]}


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podmans_and_skopeos_archives(
    engine: Engine, layout: Path, tmp_path: Path, form: str
) -> None:
    made = tmp_path / "made.tar"
    run("skopeo", "copy", "-q", f"oci:{layout}:latest", f"{form}:{made}:team/app:7")
    [found] = engine.archives.load(str(made)).result()
    assert found.image.tags == ("team/app:7",)
    config = json.loads(run("skopeo", "inspect", "--config", f"{form}:{made}"))
    assert engine.store.config(found.image.digest)["rootfs"] == config["rootfs"]
    if form == "oci-archive":
        assert found.image.digest == manifest_digest(layout)
    out = save(engine, tmp_path / "out.tar", "team/app:7")
    assert run("skopeo", "inspect", "--format", "{{.Digest}}",
              f"oci-archive:{out}:7").strip() == found.image.digest  # fmt: skip


def test_a_docker_archive_of_an_image_that_is_here_only_names_it(
    loaded: Engine, layout: Path, tmp_path: Path
) -> None:
    first = loaded.images.list()[0]
    config = json.loads(loaded.store.blobs.read(first.config_digest))
    tars = [layer_tar("large", NOISE), layer_tar("small", b"small\n"), layer_tar("x", b"x")]
    layers = {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    made = docker_archive(tmp_path / "made.tar", layers, raw=json.dumps(config).encode())
    [found] = loaded.archives.load(str(made)).result()
    assert found.image.digest == first.digest
    assert found.image.tags == ("localhost/app:latest", "old:1", "web:2")


def test_umoci_layouts(engine: Engine, layout: Path, tmp_path: Path) -> None:
    place = tmp_path / "tools"
    run("cp", "-r", layout, place)
    run("umoci", "config", "--image", f"{place}:latest", "--tag", "v3", "--config.env", "A=b")
    run("umoci", "unpack", "--image", f"{place}:v3", tmp_path / "bundle")
    (tmp_path / "bundle/rootfs/new").write_text("new")
    run("umoci", "repack", "--image", f"{place}:v4", tmp_path / "bundle")
    found = engine.archives.load(str(place)).result()
    assert {loaded.names for loaded in found} == {
        (f"localhost/tools:{tag}",) for tag in ("latest", "v3", "v4")
    }
    digest = engine.store.resolve("localhost/tools:v4").digest
    assert engine.store.config(digest)["config"]["Env"][-1] == "A=b"


def docker_archive(path: Path, layers: dict[str, bytes], raw: bytes = b"", **changes: Any) -> Path:
    """Write what old docker writes: uncompressed layers in folders, links between equal ones."""
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [
            f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in layers.values()]},
        **changes,
    }  # fmt: skip
    manifest = [{"Config": "c.json", "RepoTags": ["old:1"], "Layers": list(layers)}]
    with tarfile.open(path, "w") as tar:
        files = {**layers, "c.json": raw or json.dumps(config).encode(),
                 "manifest.json": json.dumps(manifest).encode()}  # fmt: skip
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_old_docker_archives(engine: Engine, tmp_path: Path) -> None:
    one, two = layer_tar("one", NOISE), layer_tar("two", b"2")
    made = docker_archive(tmp_path / "old.tar", {"a/layer.tar": one, "b/layer.tar": two})
    [found] = engine.archives.load(str(made)).result()
    assert found.image.tags == ("old:1",)
    assert [layer.files for layer in engine.store.history(found.image.digest)] == [1, 1]
    assert engine.archives.load(str(made)).result()[0].image.digest == found.image.digest


def test_layers_named_by_digests_pass_by_once(engine: Engine, tmp_path: Path) -> None:
    """What is unpacked beside is the config's layer, or else it is looked into again."""
    tars = [layer_tar(str(size), NOISE[:size]) for size in (1, 600, 3 << 20, 5 << 20)]
    wrong = {f"{'0' * 64}.tar": layer_tar("wrong", NOISE)}
    again = {f"copy/{name}": tar for name, tar in named(*tars).items()}
    made = docker_archive(tmp_path / "made.tar", {**named(*tars), **wrong, **again})
    found = engine.archives.load(str(made)).result()[0].image
    layers = engine.store.history(found.digest)
    sums = [hashlib.sha256(tar).hexdigest() for tar in (*tars, *wrong.values(), *tars)]
    assert [layer.diff_id for layer in layers] == [f"sha256:{value}" for value in sums]
    assert len(os.listdir(engine.paths.layers)) == 2 * len(set(sums))  # each has its index
    assert engine.images.fsck([], repair=False, quick=False).result() == []


HOSTILE: dict[str, tuple[Callable[[Path], Path], type[Error], str]] = {
    "no image": (lambda p: _write(p, archive(entry("a", content=b"b"))), UnsupportedMedia,
                 "neither index.json nor manifest.json"),
    "no tar": (lambda p: _write(p, b"x" * 2000), Corrupt, "."),
    "nothing": (lambda p: _write(p, b""), UnsupportedMedia, "no image"),
    "cut off": (lambda p: _write(p, entry("blobs/x.tar", content=b"b" * 9000)[:4000]), Corrupt,
                "cut off"),
    "a false blob": (lambda p: _write(p, archive(
        entry(f"blobs/sha256/{'0' * 64}", content=b"b" * (5 << 20)))), Corrupt, "has digest"),
    "false documents": (lambda p: _write(p, archive(
        entry("manifest.json", content=b'[5]'))), Corrupt, "manifest.json"),
    "a list of lists": (lambda p: _write(p, archive(
        entry("index.json", content=b"[" * 100_000))), Corrupt, "."),
    "links in a circle": (lambda p: _write(p, archive(
        symlink("manifest.json", "a"), symlink("a", "manifest.json"))), Corrupt, "circle"),
    "a layer that is not the config's": (lambda p: docker_archive(
        p, {"a/layer.tar": layer_tar("a", b"b")},
        rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}), Corrupt, "has digest"),
    "an escape": (lambda p: docker_archive(
        p, {"a/layer.tar": archive(entry("../out", content=b"x"))}), UnsafePath, "out"),
    "an escape in a layer named by its digest": (lambda p: docker_archive(
        p, named(archive(entry("../out", content=NOISE)))), UnsafePath, "out"),
    "a layer under another's digest": (lambda p: docker_archive(
        p, {f"{'0' * 64}.tar": layer_tar("a", NOISE)},
        rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}), Corrupt, "has digest"),
    "cut off in a layer named by its digest": (lambda p: _cut(docker_archive(
        p, named(layer_tar("a", NOISE)))), Corrupt, "cut off"),
    "indexes in each other": (lambda p: _write(p, archive(*nested(1200))), Corrupt, "without end"),
    "a manifest as large as a layer": (lambda p: _write(p, archive(
        *listed(b"x" * (5 << 20)))), Corrupt, "too large"),
}  # fmt: skip


def listed(content: bytes) -> tuple[bytes, bytes]:
    """Return a blob, and an index.json that names it as a manifest."""
    return (entry(f"blobs/sha256/{hashlib.sha256(content).hexdigest()}", content=content),
            entry("index.json", content=index_of(content)))  # fmt: skip


def nested(count: int) -> Iterator[bytes]:
    content = b"{}"
    for _ in range(count):
        digest = hashlib.sha256(content).hexdigest()
        yield entry(f"blobs/sha256/{digest}", content=content)
        content = index_of(content)
    yield entry("index.json", content=content)


def index_of(content: bytes) -> bytes:
    """Return an index that names one more."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    found = {"mediaType": OCI_INDEX, "digest": digest, "size": len(content)}
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [found]}
    return json.dumps(document).encode()


def named(*layers: bytes) -> dict[str, bytes]:
    """Return layers by the names that podman gives them."""
    return {f"{hashlib.sha256(tar).hexdigest()}.tar": tar for tar in layers}


def _cut(path: Path) -> Path:
    os.truncate(path, 4 << 20)
    return path


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_no_image(engine: Engine, tmp_path: Path, name: str) -> None:
    make, error, words = HOSTILE[name]
    with pytest.raises(error, match=words) as caught:
        engine.archives.load(str(make(tmp_path / "made.tar"))).result()
    assert caught.value.message.startswith("made.tar: ")
    assert engine.images.list() == []
    assert engine.database.query("SELECT 1 FROM layers") == [] or name == "x"
    assert not [n for n in os.listdir(engine.paths.partial) if n.startswith("write-")]


def test_another_blob_for_a_known_layer_is_looked_into(loaded: Engine, tmp_path: Path) -> None:
    diff_ids = loaded.store.config(loaded.images.list()[0].digest)["rootfs"]["diff_ids"]
    false = {f"{number}.tar": gzip.compress(b"x" * (1 + number)) for number in range(3)}
    made = docker_archive(
        tmp_path / "false.tar", false, rootfs={"type": "layers", "diff_ids": diff_ids}
    )
    with pytest.raises(Corrupt, match="has digest"):
        loaded.archives.load(str(made)).result()
    assert len(loaded.images.list()) == 1


def test_a_layout_on_another_file_system(loaded: Engine) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        assert os.stat(place).st_dev != os.stat(loaded.paths.data).st_dev
        save(loaded, Path(place) / "layout", "web:2", form="oci-dir")
        for blob in Path(place).glob("layout/blobs/sha256/*"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_missing_files_and_blobs(loaded: Engine, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be read"):
        loaded.archives.load(str(tmp_path / "none")).result()
    with pytest.raises(NotFound):
        loaded.archives.save(["nobody"], "docker-archive")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    with pytest.raises(Conflict, match="not empty"):
        loaded.archives.save(["web:2"], "oci-dir")(str(tmp_path / "full"), None)
    layer = loaded.store.manifest(loaded.images.list()[0].digest).layers[0]
    os.unlink(loaded.store.blobs.path(layer.digest))
    with pytest.raises(NotFound, match=layer.digest):
        save(loaded, tmp_path / "out", "web:2")
    assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.parametrize("pack", [bytes, lzma.compress], ids=["plain", "xz"])
def test_import(engine: Engine, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    tar = archive(entry("etc/name", content=b"n"), symlink("bin", "etc"))
    (tmp_path / "files").write_bytes(pack(tar))
    options = ImportOptions(("docker.io/library/flat:1",), ('CMD ["sh"]', "ENV A=b"), "mine")
    info = engine.archives.import_files(str(tmp_path / "files"), options).result()
    config = engine.store.config(info.digest)
    assert config["config"] == {"Cmd": ["sh"], "Env": ["A=b"]}
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    assert (info.tags, info.layers) == (("flat:1",), 1)
    run("skopeo", "inspect", f"oci-archive:{save(engine, tmp_path / 'out', 'flat:1')}:1")


def test_what_is_no_tar_is_not_imported(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"hello" * 1000)
    with pytest.raises(Corrupt):
        engine.archives.import_files(str(tmp_path / "files"), ImportOptions()).result()
    assert os.listdir(engine.paths.blobs + "/sha256") == []
    assert engine.images.list() == []


def test_a_full_disk_is_named_and_nothing_stays(loaded: Engine, tmp_path: Path) -> None:
    """Loading, importing and packing on a disk of three megabytes."""
    from core.images.packing.layer_writer import write_layer

    saved = save(loaded, tmp_path / "saved", "web:2")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/noise").write_bytes(NOISE)
    (tmp_path / "tar").write_bytes(archive(entry("noise", content=NOISE)))
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small)
    engine = Engine(Paths(f"{small}/data", f"{small}/run"), Config())
    try:
        engine.images.list()
        works: list[Callable[[], object]] = [
            lambda: engine.archives.load(str(saved)).result(),
            lambda: engine.archives.import_files(str(tmp_path / "tar"), ImportOptions()).result(),
            lambda: write_layer(engine.store, str(tmp_path / "files")),
        ]
        for work in works:
            with pytest.raises(HostError, match="No space left") as caught:
                work()
            assert "system df" in caught.value.hint
            assert os.listdir(engine.paths.partial) == os.listdir(engine.paths.layers) == []
        assert engine.images.list() == []
    finally:
        engine.close()
        run("umount", "-l", small)  # a job's thread may still be closing its database


def test_a_layout_that_was_not_finished_leaves_its_directory_empty(
    loaded: Engine, tmp_path: Path
) -> None:
    """Else the same command again would say that it is not empty."""
    place = tmp_path / "layout"

    class Stopped(Exception):
        pass

    def stop() -> None:
        if list(place.glob("blobs/*/*")):
            raise Stopped

    from core.images.archive.write import save_layout

    images = loaded.archives._named(["web:2"])
    with pytest.raises(Stopped):
        save_layout(loaded.store, images, str(place), stop)
    assert os.listdir(place) == []
    save_layout(loaded.store, images, str(place))
    assert (place / "index.json").exists()


@pytest.mark.parametrize("output", ["/dev/full", "/nowhere/x", "/proc"])
def test_outputs_that_take_nothing_are_named(loaded: Engine, output: str) -> None:
    from core.commands import find
    from core.commands.grammar import parse
    from core.commands.result import Running

    for form in ("docker-archive", "oci-dir"):
        if form == "oci-dir" and output != "/proc":
            continue
        verb, words = find(["save", "--format", form, "-o", output, "web:2"])
        result = verb.run(loaded, parse(verb, words))
        assert isinstance(result, Running)
        with pytest.raises((HostError, Conflict), match=output):
            result.job.result()
