"""Directories become layers: the same files come out of the blob as went in."""

from __future__ import annotations

import gzip
import os
import random
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard

from core.config import Config
from core.database import Database
from core.errors import ImageError
from core.images.file_table import FileEntry
from core.images.index import index_path, read_index
from core.images.packing.layer_writer import WrittenLayer, write_layer
from core.images.store import ImageStore
from core.paths import Paths
from tests.layers import as_members, digest, snapshot, unpack

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    paths = Paths(str(tmp_path / "data"), str(tmp_path / "run"))
    return ImageStore(paths, Database(paths), Config())


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """A directory with all that an overlay's upper one may hold."""
    root = tmp_path / "upper"
    root.mkdir()
    (root / "d").mkdir(mode=0o750)
    (root / "d/plain").write_bytes(b"hello")
    os.chown(root / "d/plain", 70000, 3_000_000)
    os.link(root / "d/plain", root / "again")
    (root / "caps").write_bytes(b"x" * 3_000_000)
    os.chmod(root / "caps", 0o4755)
    os.setxattr(root / "caps", "security.capability", CAPABILITY)
    os.setxattr(root / "caps", "user.note", b"\0\xff")
    (root / "empty").touch()
    (root / ("long-" + "n" * 200)).write_bytes(b"long")
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe/\xc3\xa4\xff")).write_bytes(b"odd")
    os.symlink("l" * 150, root / "link")
    os.symlink("/etc/passwd", root / "d/out")
    os.mkfifo(root / "pipe", 0o640)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(8, 700))
    os.mknod(root / "gone", stat.S_IFCHR, 0)
    os.link(root / "gone", root / "gone-too")  # as overlayfs makes them
    (root / "opaque").mkdir()
    (root / "opaque/new").write_bytes(b"new")
    os.setxattr(root / "opaque", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "d", "trusted.overlay.origin", b"\0\xfb!")
    with (root / "sparse").open("wb") as file:
        file.truncate(5_000_000)
        file.seek(1_000_000)
        file.write(b"s" * 100_000)
    with (root / "hole").open("wb") as file:
        file.truncate(1 << 20)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        when = 1_700_000_000_123_456_789 + number * 1_000_000_001
        os.utime(path, ns=(when, when), follow_symlinks=False)
    os.utime(root / "empty", ns=(-1_500_000_000, -1_500_000_000))
    return root


def layer(store: ImageStore, written: WrittenLayer) -> Path:
    [(number,)] = store.database.query("SELECT id FROM layers WHERE diff_id=?", (written.diff_id,))
    return Path(f"{store._paths.layers}/{number}")


def without_notes(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """A snapshot without overlayfs's book-keeping, and without the root's time."""
    found = {}
    for path, facts in tree.items():
        *others, attributes = facts
        kept = [pair for pair in attributes if pair[0] != "trusted.overlay.origin"]  # type: ignore[attr-defined]
        found[path] = (*others, kept)
        if path in ("gone", "gone-too", "."):  # a whiteout has no time and no links
            found[path] = (facts[0], facts[3])
    return found


@pytest.mark.parametrize("adopt", [False, True], ids=["copied", "adopted"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_round_trip(
    store: ImageStore, upper: Path, tmp_path: Path, adopt: bool, compression: str
) -> None:
    before = without_notes(snapshot(upper))
    written = write_layer(store, str(upper), adopt=adopt, compression=compression)
    assert upper.exists() is not adopt
    kept = layer(store, written)
    assert without_notes(snapshot(kept)) == before
    assert not any(b"origin" in os.fsencode(str(facts)) for facts in snapshot(kept).values())
    blob = Path(store.blobs.path(written.descriptor.digest)).read_bytes()
    assert (digest(blob), len(blob)) == (written.descriptor.digest, written.descriptor.size)
    tar = plain(blob)
    assert digest(tar) == written.diff_id
    place = tmp_path / "again"
    place.mkdir()
    again = unpack(place, tar, blob, media_type=written.descriptor.media_type)
    assert without_notes(snapshot(again)) == before
    assert os.stat(again / "sparse").st_blocks * 512 < 1_000_000
    assert by_path(str(place / "index")) == by_path(f"{kept}.index")
    assert len(by_path(f"{kept}.index")) == written.files


def plain(blob: bytes) -> bytes:
    if blob.startswith(b"\x1f\x8b"):
        return gzip.decompress(blob)
    if blob.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(blob)
    return blob


def by_path(index: str) -> dict[tuple[str, str], FileEntry]:
    return {(entry.path, entry.kind): entry for entry in read_index(index)}


def test_other_readers_agree(store: ImageStore, upper: Path, tmp_path: Path) -> None:
    """GNU tar and Python's tarfile read the same names, types and contents."""
    written = write_layer(store, str(upper), compression="none")
    blob = store.blobs.path(written.descriptor.digest)
    place = tmp_path / "gnu"
    place.mkdir()
    subprocess.run(
        ["tar", "--xattrs", "--xattrs-include=*", "-xpf", blob, "-C", str(place)], check=True
    )
    expected = {
        name: facts for name, facts in without_notes(snapshot(upper)).items()
        if name not in ("gone", "gone-too", "opaque", ".")
    }  # fmt: skip
    found = without_notes(snapshot(place))
    assert {name: found[name] for name in expected} == expected
    assert {".wh.gone", ".wh.gone-too", "opaque/.wh..wh..opq"} <= found.keys()
    names = {member.name for member in as_members(Path(blob).read_bytes())}
    assert names == set(found) - {"."}


def test_same_tree_same_digest(store: ImageStore, upper: Path, tmp_path: Path) -> None:
    """Names made in another order, on another file system, at another place, give the same."""
    first = write_layer(store, str(upper))
    other = tmp_path / "shm"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(other)], check=True)
    try:
        copy = other / "copy"
        subprocess.run(["cp", "-a", "--sparse=always", str(upper), str(copy)], check=True)
        second = write_layer(store, str(copy), adopt=True)  # not the file system of the store
        assert not copy.exists()
    finally:
        subprocess.run(["umount", str(other)], check=True)
    assert second == first
    assert len(store.database.query("SELECT id FROM layers")) == 1
    assert [name for name in os.listdir(store._paths.layers) if name.startswith(".")] == []
    assert os.listdir(store._paths.partial) == []


def test_nothing_makes_an_empty_layer(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir(mode=0o755)
    written = write_layer(store, str(tmp_path / "none"), compression="none")
    assert (written.files, written.size, written.diff_id) == (0, 0, digest(bytes(1024)))


def test_a_changed_root_is_kept(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    os.chmod(tmp_path / "root", 0o700)
    written = write_layer(store, str(tmp_path / "root"))
    assert stat.S_IMODE(os.stat(layer(store, written)).st_mode) == 0o700
    place = tmp_path / "again"
    place.mkdir()
    tar = gzip.decompress(Path(store.blobs.path(written.descriptor.digest)).read_bytes())
    assert stat.S_IMODE(os.stat(unpack(place, tar)).st_mode) == 0o700


@pytest.mark.parametrize("adopt", [False, True])
def test_newest_time_and_sockets(store: ImageStore, tmp_path: Path, adopt: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "new").write_bytes(b"n")
    (root / "d").mkdir()
    (root / "old").touch()
    os.utime(root / "old", ns=(5, 5))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "d/agent"))
    written = write_layer(store, str(root), adopt=adopt, newest_ns=10**18)
    kept = layer(store, written)
    assert not (kept / "d/agent").exists()
    times = {name: os.stat(kept / name).st_mtime_ns for name in ("new", "d", "old")}
    assert times == {"new": 10**18, "d": 10**18, "old": 5}
    indexed = {entry.path: entry.mtime_ns for entry in read_index(f"{kept}.index")}
    assert indexed == times


def test_refused_trees_stay_as_they_are(store: ImageStore, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / ".wh.name").touch()
    with pytest.raises(ImageError, match="cannot hold a file of this name"):
        write_layer(store, str(root), adopt=True)
    assert (root / ".wh.name").exists()
    (root / ".wh.name").unlink()
    deep = root
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    with pytest.raises(ImageError, match="too deep"):
        write_layer(store, str(root))
    assert store.database.query("SELECT id FROM layers") == []
    assert os.listdir(store._paths.layers) == []
    assert os.listdir(store._paths.partial) == []


def test_cancelled_and_full(store: ImageStore, upper: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        if os.listdir(store._paths.partial):
            raise Stop

    with pytest.raises(Stop):
        write_layer(store, str(upper), adopt=True, check=stop)
    assert upper.exists()
    assert os.listdir(store._paths.layers) == os.listdir(store._paths.partial) == []


def test_a_file_of_nothing_but_holes_is_bounded_and_can_be_given_up(
    store: ImageStore, tmp_path: Path
) -> None:
    (tmp_path / "upper").mkdir()
    hole = tmp_path / "upper/hole"
    hole.touch()
    os.truncate(hole, 4 << 40)
    with pytest.raises(ImageError, match=r"'hole': more than \d+ bytes"):
        write_layer(store, str(tmp_path / "upper"))
    os.truncate(hole, 60 << 30)
    looks = iter(range(10))
    with pytest.raises(StopIteration):
        write_layer(store, str(tmp_path / "upper"), check=lambda: (next(looks), None)[1])


def test_a_stack_of_both_looks_as_it_did(store: ImageStore, tmp_path: Path) -> None:
    """What a container saw over its image is what the committed image shows."""
    lower, upper, work, merged = (tmp_path / name for name in ("l", "u", "w", "m"))
    for place in (lower, upper, work, merged):
        place.mkdir()
    (lower / "d/sub").mkdir(parents=True)
    (lower / "d/sub/f").write_text("f")
    (lower / "keep").write_text("k")
    (lower / "drop").write_text("x")
    (lower / "turn").mkdir()
    (lower / "turn/in").write_text("x")
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(merged)], check=True)
    try:
        subprocess.run(
            "rm -r drop d && mkdir d && echo new > d/new && rm -r turn && echo file > turn && "
            "echo more >> keep && ln keep again",
            shell=True, cwd=merged, check=True,
        )  # fmt: skip
        seen = snapshot(merged)
    finally:
        subprocess.run(["umount", str(merged)], check=True)
    written = write_layer(store, str(upper), adopt=True)
    place = tmp_path / "again"
    place.mkdir()
    tar = gzip.decompress(Path(store.blobs.path(written.descriptor.digest)).read_bytes())
    for top in (layer(store, written), unpack(place, tar)):
        options = f"lowerdir={top}:{lower}"
        subprocess.run(
            ["mount", "-t", "overlay", "-o", options, "overlay", str(merged)], check=True
        )
        try:
            found = snapshot(merged)
        finally:
            subprocess.run(["umount", str(merged)], check=True)
        found.pop("."), seen.pop(".", None)
        assert found == seen


def test_index_lies_beside(store: ImageStore, upper: Path) -> None:
    written = write_layer(store, str(upper))
    [(number,)] = store.database.query("SELECT id FROM layers")
    assert os.path.exists(index_path(store._paths, number))
    assert store.layers.files(written.diff_id)


WRITE = """
import sys
from core.config import Config
from core.database import Database
from core.images.packing.layer_writer import write_layer
from core.images.store import ImageStore
from core.paths import Paths
paths = Paths(sys.argv[1], sys.argv[2])
write_layer(ImageStore(paths, Database(paths), Config()), sys.argv[3], adopt=len(sys.argv) > 4)
"""


@pytest.mark.parametrize("adopt", [False, True], ids=["copied", "adopted"])
def test_a_killed_writer_leaves_nothing_and_loses_nothing(
    store: ImageStore, tmp_path: Path, adopt: bool
) -> None:
    """kill -9 at any moment: the layer is there as a whole, or its source is; the rest is swept."""
    source = tmp_path / "source"
    data = random.Random(1).randbytes(1 << 20)
    paths = store._paths
    started = time.monotonic()
    took = 0.0
    for attempt in range(8):
        if not source.exists():
            source.mkdir()
            for number in range(40):
                (source / f"f{number}").write_bytes(data[number:] + bytes((attempt,)))
        words = [sys.executable, "-c", WRITE, paths.data, paths.run, str(source)]
        child = subprocess.Popen(words + ["adopt"] * adopt, cwd=os.getcwd())
        if not attempt:
            child.wait()
            took = time.monotonic() - started
            continue
        time.sleep(took * attempt / 8)
        child.kill()
        child.wait()
        layers = store.database.query("SELECT id, diff_id FROM layers")
        assert source.exists() or len(layers) == 1
        for number, diff_id in layers:
            assert len(store.layers.files(diff_id)) == 40
            assert len(os.listdir(f"{paths.layers}/{number}")) == 40
        with store.database.write() as sql:
            gone: list[str] = []
            store.collect(sql, [diff_id for _, diff_id in layers], gone)
        store.discard(gone)
    with store.layers.staging(lambda: None):
        pass
    store.blobs.sweep()
    assert [name for name in os.listdir(paths.layers) if not name.isdigit()] == []
    assert os.listdir(paths.partial) == []
