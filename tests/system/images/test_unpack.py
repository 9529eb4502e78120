"""Layers become directories that overlayfs and programs see as they were meant."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from random import Random

import pytest
import zstandard

from core.config import Config
from core.database import Database
from core.errors import HostError, ImageError
from core.images.file_table import FileEntry
from core.images.index import read_index
from core.images.manifest import Descriptor
from core.images.packing.tree_index import index_tree
from core.images.starter import make_starter
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from tests.fixture_images import debian_rootfs
from tests.layers import (
    MEDIA_TYPE,
    MTIME,
    archive,
    digest,
    directory,
    entry,
    hardlink,
    pax_header,
    pax_record,
    snapshot,
    symlink,
    unpack,
)

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep, as setcap writes it."""


def kinds(index: Path) -> dict[str, str]:
    return {found.path: found.kind for found in read_index(str(index))}


def test_owners_modes_times_devices(tmp_path: Path) -> None:
    tar = archive(
        directory("d", mode=0o2755, uid=1000, gid=50),
        entry("d/f", content=b"hello", uid=1000, gid=1001, mode=0o640),
        entry("su", content=b"x", mode=0o4755, uid=7, gid=8),
        entry("pipe", b"6", mode=0o622, uid=3),
        entry("null", b"3", devmajor=1, devminor=3, mode=0o666),
        entry("disk", b"4", devmajor=8, devminor=1, mode=0o660, gid=6),
        symlink("link", "d/f"),
        hardlink("again", "d/f"),
    )
    target = unpack(tmp_path, tar)
    facts = {name: os.lstat(target / name) for name in
             ("d", "d/f", "su", "pipe", "null", "disk", "link", "again")}  # fmt: skip
    seen = {
        name: (stat.filemode(found.st_mode), found.st_uid, found.st_gid)
        for name, found in facts.items()
    }
    assert seen == {
        "d": ("drwxr-sr-x", 1000, 50),
        "d/f": ("-rw-r-----", 1000, 1001),
        "su": ("-rwsr-xr-x", 7, 8),
        "pipe": ("prw--w--w-", 3, 0),
        "null": ("crw-rw-rw-", 0, 0),
        "disk": ("brw-rw----", 0, 6),
        "link": ("lrwxrwxrwx", 0, 0),
        "again": ("-rw-r-----", 1000, 1001),
    }
    assert facts["null"].st_rdev == os.makedev(1, 3)
    assert facts["disk"].st_rdev == os.makedev(8, 1)
    assert facts["again"].st_ino == facts["d/f"].st_ino
    assert {found.st_mtime_ns for found in facts.values()} == {MTIME * 10**9}
    assert os.readlink(target / "link") == "d/f"


def test_attributes_and_capabilities(tmp_path: Path) -> None:
    records = pax_record(b"SCHILY.xattr.security.capability", CAPABILITY)
    records += pax_record(b"SCHILY.xattr.user.note", b"\x00\xff")
    target = unpack(tmp_path, archive(pax_header(records), entry("ping", content=b"x", uid=5)))
    assert os.getxattr(target / "ping", "security.capability") == CAPABILITY
    assert os.getxattr(target / "ping", "user.note") == b"\x00\xff"
    shown = subprocess.run(["getcap", str(target / "ping")], capture_output=True, text=True)
    assert "cap_net_raw=ep" in shown.stdout


def test_nanoseconds(tmp_path: Path) -> None:
    record = pax_record(b"mtime", b"1700000000.123456789")
    target = unpack(
        tmp_path, archive(pax_header(record), directory("d"), pax_header(record), entry("d/f"))
    )
    for name in ("d", "d/f"):
        assert os.stat(target / name).st_mtime_ns == 1700000000123456789


def test_the_last_time_of_a_directory_counts(tmp_path: Path) -> None:
    later = [directory(name, mtime=MTIME + 60) for name in (".", "d")]
    target = unpack(tmp_path, archive(directory("."), directory("d"), entry("d/f"), *later))
    assert {os.stat(target / name).st_mtime for name in (".", "d")} == {MTIME + 60}


def test_a_directory_under_two_names_has_the_last_time(tmp_path: Path) -> None:
    names = ("real/sub", "alias/sub", "real/sub")
    again = [directory(name, mtime=MTIME + number) for number, name in enumerate(names, 1)]
    target = unpack(tmp_path, archive(directory("real"), symlink("alias", "real"), *again))
    assert os.stat(target / "real/sub").st_mtime == MTIME + len(names)


def test_what_took_a_directorys_place_keeps_its_own_time(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    os.utime(outside, (MTIME, MTIME))
    target = unpack(tmp_path, archive(
        directory("real", mtime=MTIME + 1),
        symlink("alias", "real"),
        directory("alias/sub", mtime=MTIME + 2),
        entry("real/sub", content=b"x", mtime=MTIME + 3),
        directory("alias/link", mtime=MTIME + 4),
        entry("real/link", tarfile.SYMTYPE, linkname=str(outside), mtime=MTIME + 5),
        directory("alias/gone", mtime=MTIME + 6),
        directory("alias/gone/deep", mtime=MTIME + 7),
        entry("real/gone", content=b"x", mtime=MTIME + 8),
    ))  # fmt: skip
    names = ("real", "alias", "real/sub", "real/link", "real/gone")
    seen = {name: os.lstat(target / name).st_mtime - MTIME for name in names}
    wanted = {"real": 1, "alias": 0, "real/sub": 3, "real/link": 5, "real/gone": 8}
    assert seen == wanted
    assert os.stat(outside).st_mtime == MTIME


def test_whiteouts_hide_what_is_below(tmp_path: Path) -> None:
    below, above = tmp_path / "1", tmp_path / "2"
    below.mkdir()
    above.mkdir()
    unpack(below, archive(directory("d"), entry("d/old"), directory("o"), entry("o/old"),
                          entry("gone"), directory("gone-d"), entry("gone-d/x")))  # fmt: skip
    target = unpack(above, archive(directory("d"), entry("d/.wh.old"), directory("o"),
                                   entry("o/.wh..wh..opq"), entry("o/new"), entry(".wh.gone"),
                                   entry(".wh.gone-d")))  # fmt: skip
    facts = os.lstat(target / "gone")
    assert stat.S_ISCHR(facts.st_mode)
    assert facts.st_rdev == 0
    assert os.getxattr(target / "o", "trusted.overlay.opaque") == b"y"
    merged = tmp_path / "merged"
    merged.mkdir()
    layers = f"lowerdir={target}:{below / 'target'}"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(merged)], check=True)
    try:
        found = sorted(str(path.relative_to(merged)) for path in merged.rglob("*"))
    finally:
        subprocess.run(["umount", str(merged)], check=True)
    assert found == ["d", "o", "o/new"]
    assert kinds(above / "index") == {
        "d": "dir", "d/old": "whiteout", "o": "opaque", "o/new": "file", "gone": "whiteout",
        "gone-d": "whiteout",
    }  # fmt: skip


def test_the_index_knows_every_entry(tmp_path: Path) -> None:
    unpack(tmp_path, archive(directory("d"), entry("d/f", content=b"hello", uid=4),
                             symlink("s", "d"), hardlink("h", "d/f")))  # fmt: skip
    found = {seen.path: seen for seen in read_index(str(tmp_path / "index"))}
    assert set(found) == {"d", "d/f", "s", "h"}
    file = found["d/f"]
    assert (file.kind, file.size, file.uid, file.mode) == ("file", 5, 4, 0o644)
    assert f"sha256:{file.digest}" == digest(b"hello")
    assert file.mtime_ns == MTIME * 10**9
    assert (found["s"].kind, found["s"].link) == ("symlink", "d")
    assert (found["h"].kind, found["h"].link) == ("hardlink", "d/f")


@pytest.mark.parametrize("kind", ["plain", "gzip", "gzip-members", "zstd", "zstd-frames"])
def test_compressions(kind: str, tmp_path: Path) -> None:
    content = os.urandom(3 << 20) + bytes(3 << 20)
    tar = archive(entry("f", content=content))
    half = len(tar) // 2
    blob = {
        "plain": tar,
        "gzip": gzip.compress(tar, 1),
        "gzip-members": gzip.compress(tar[:half], 1) + gzip.compress(tar[half:], 1) + bytes(512),
        "zstd": zstandard.compress(tar),
        "zstd-frames": zstandard.compress(tar[:half]) + zstandard.compress(tar[half:]),
    }[kind]
    media = (
        "application/vnd.oci.image.layer.v1.tar" + {"p": "", "g": "+gzip", "z": "+zstd"}[kind[0]]
    )
    target = unpack(tmp_path, tar, blob, media_type=media)
    assert (target / "f").read_bytes() == content


def test_sparse_files_stay_sparse(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "holes").open("wb") as file:
        for offset in (1 << 20, 5 << 20, 9 << 20):
            file.seek(offset)
            file.write(os.urandom(5000))
        file.truncate(16 << 20)
    for form in ("gnu", "pax"):
        place = tmp_path / form
        place.mkdir()
        tar = subprocess.run(
            ["tar", "--sparse", f"--format={form}", "-C", str(source), "-c", "holes"],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        assert len(tar) < 1 << 20
        got = unpack(place, tar) / "holes"
        assert got.read_bytes() == (source / "holes").read_bytes()
        assert got.stat().st_blocks * 512 < 1 << 20
        [index] = read_index(str(place / "index"))
        assert f"sha256:{index.digest}" == digest(got.read_bytes())


def test_sparse_files_of_the_older_formats_and_empty_values(tmp_path: Path) -> None:
    pieces = b"head" + b"tail"
    size, offsets = b"1000004", (b"0", b"4", b"1000000", b"4")
    zero = b"".join(
        pax_record(b"GNU.sparse." + key, value)
        for key, value in zip((b"offset", b"numbytes") * 2, offsets, strict=True)
    )
    one = pax_record(b"GNU.sparse.name", b"one") + pax_record(b"GNU.sparse.map", b",".join(offsets))
    told = pax_record(b"GNU.sparse.size", size)
    tar = archive(
        pax_header(told + zero),
        entry("zero", content=pieces),
        pax_header(told + one),
        entry("GNUSparseFile.0/one", content=pieces),
        pax_header(pax_record(b"uid", b"") + pax_record(b"SCHILY.xattr.user.empty", b"")),
        entry("plain", content=b"x", uid=5),
    )
    target = unpack(tmp_path, tar)
    wanted = b"head" + bytes(999_996) + b"tail"
    for name in ("zero", "one"):
        assert (target / name).read_bytes() == wanted
        assert (target / name).stat().st_blocks * 512 < 100_000
    assert not (target / "GNUSparseFile.0").exists()
    assert (target / "plain").stat().st_uid == 5
    assert os.getxattr(target / "plain", "user.empty") == b""


def test_a_directory_without_an_entry_is_indexed_and_hides_what_its_whiteout_did(
    tmp_path: Path,
) -> None:
    tar = archive(entry(".wh.d"), entry("d/deep/f", content=b"x"), entry("a/b/c", content=b"y"))
    target = unpack(tmp_path, tar)
    assert (target / "d/deep/f").read_bytes() == b"x"
    assert os.getxattr(target / "d", "trusted.overlay.opaque") == b"y"
    found = kinds(tmp_path / "index")
    assert {name: found[name] for name in ("a", "a/b", "a/b/c", "d/deep")} == {
        "a": "dir", "a/b": "dir", "a/b/c": "file", "d/deep": "dir"}  # fmt: skip


def test_a_group_that_a_directory_passes_on_is_not_taken(tmp_path: Path) -> None:
    tar = archive(directory("d", mode=0o2775, gid=50), entry("d/f"), directory("d/e"))
    target = unpack(tmp_path, tar)
    assert [(target / name).stat().st_gid for name in ("d", "d/f", "d/e")] == [50, 0, 0]
    assert stat.S_IMODE((target / "d/e").stat().st_mode) == 0o755


def test_the_index_has_what_is_there_at_the_end(tmp_path: Path) -> None:
    tar = archive(
        directory("d"), entry("d/gone", content=b"1"), entry("f", content=b"1"),
        entry("f", content=b"22"), entry("d", content=b"now a file"), entry("e", content=b"3"),
    )  # fmt: skip
    unpack(tmp_path, tar)
    found = {seen.path: (seen.kind, seen.size) for seen in read_index(str(tmp_path / "index"))}
    assert found == {"f": ("file", 2), "d": ("file", 10), "e": ("file", 1)}


def test_later_entries_replace_earlier_ones(tmp_path: Path) -> None:
    target = unpack(tmp_path, archive(
        entry("f", content=b"one"), entry("f", content=b"two"),
        directory("d"), entry("d/x"), directory("d", mode=0o700),
        entry("was-file"), directory("was-file"), entry("was-file/x"),
        directory("was-dir"), entry("was-dir/x"), entry("was-dir", content=b"now a file"),
    ))  # fmt: skip
    assert (target / "f").read_bytes() == b"two"
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o700
    assert (target / "d/x").exists()
    assert (target / "was-file/x").exists()
    assert (target / "was-dir").read_bytes() == b"now a file"


def test_files_below_links_and_missing_directories(tmp_path: Path) -> None:
    target = unpack(tmp_path, archive(
        directory("usr"), directory("usr/bin"), symlink("bin", "usr/bin"), symlink("abs", "/usr"),
        entry("bin/tool", content=b"x"), entry("abs/other", content=b"y"),
        entry("made/on/the/way", content=b"z"),
    ))  # fmt: skip
    assert (target / "usr/bin/tool").read_bytes() == b"x"
    assert (target / "usr/other").read_bytes() == b"y"
    assert (target / "made/on/the/way").read_bytes() == b"z"
    assert stat.S_IMODE((target / "made/on").stat().st_mode) == 0o755


def test_equal_to_gnu_tar(tmp_path: Path) -> None:
    tar = debian_rootfs().read_bytes()
    other = tmp_path / "gnu"
    other.mkdir()
    subprocess.run(
        ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-owner", "-xpf", "-",
         "-C", str(other)],
        input=tar, check=True,
    )  # fmt: skip
    target = unpack(tmp_path, tar, tar, media_type=MEDIA_TYPE.removesuffix("+gzip"))
    wanted, found = snapshot(other), snapshot(target)
    assert len(found) > 5000
    assert found.keys() == wanted.keys()
    assert [
        (path, found[path], wanted[path]) for path in found if found[path] != wanted[path]
    ] == []
    shutil.rmtree(other)


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    return ImageStore(paths, Database(paths), Config())


def put(store: ImageStore, tar: bytes) -> tuple[str, Descriptor, str]:
    """Store a layer's blob; return what `add_layer` wants."""
    blob = gzip.compress(tar, 1, mtime=0)
    descriptor = Descriptor(MEDIA_TYPE, digest(blob), len(blob))
    store.blobs.write(descriptor.digest, [blob])
    return store.blobs.path(descriptor.digest), descriptor, digest(tar)


def nothing(*_: object) -> None:
    """Neither report nor stop."""


def layer_names(paths: Paths) -> list[str]:
    return sorted(name for name in os.listdir(paths.layers) if not name.endswith(".lock"))


def test_a_layer_is_unpacked_once(store: ImageStore, paths: Paths) -> None:
    wanted = put(store, archive(entry("f", content=b"x")))
    first = store.layers.add(*wanted, nothing, nothing)
    assert store.layers.add(*wanted, nothing, nothing) == first
    assert store.layers.has(wanted[2])
    assert [found.path for found in store.layers.files(wanted[2])] == ["f"]
    assert layer_names(paths) == [str(first), f"{first}.index"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    paths = Paths(f"{small}/data", str(tmp_path / "run"))
    database = Database(paths)
    try:
        store = ImageStore(paths, database, Config())
        wanted = put(store, archive(entry("f", content=bytes(2 << 20))))
        with pytest.raises(HostError, match=f"unpacked into {paths.layers}/.*: No space left"):
            store.layers.add(*wanted, nothing, nothing)
        assert layer_names(paths) == []
    finally:
        database.close()
        subprocess.run(["umount", "-l", small], check=True)


def test_a_refused_layer_leaves_nothing(store: ImageStore, paths: Paths) -> None:
    wanted = put(store, archive(entry("fine"), entry("../bad")))
    with pytest.raises(Exception, match=r"\.\./bad"):
        store.layers.add(*wanted, nothing, nothing)
    assert layer_names(paths) == []
    assert not store.layers.has(wanted[2])


def test_processes_share_the_work(store: ImageStore, paths: Paths) -> None:
    blob, descriptor, diff_id = put(
        store, archive(*(entry(f"f{n}", content=os.urandom(2000)) for n in range(3000)))
    )
    program = (
        "import sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from core.config import Config\n"
        "from core.database import Database\n"
        "from core.images.manifest import Descriptor\n"
        "from core.images.store import ImageStore\n"
        "from core.paths import Paths\n"
        f"paths = Paths({paths.data!r}, {paths.run!r})\n"
        "store = ImageStore(paths, Database(paths), Config())\n"
        f"descriptor = Descriptor({MEDIA_TYPE!r}, {descriptor.digest!r}, {descriptor.size})\n"
        "nothing = lambda *_: None\n"
        f"print(store.layers.add({blob!r}, descriptor, {diff_id!r}, nothing, nothing))\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert set(outputs) == {"1\n"}
    assert layer_names(paths) == ["1", "1.index"]
    assert len(os.listdir(f"{paths.layers}/1")) == 3000


def test_a_killed_child_leaves_nothing(store: ImageStore, paths: Paths) -> None:
    wanted = put(store, archive(*(entry(f"f{n}", content=os.urandom(100_000)) for n in range(600))))
    errors: list[BaseException] = []

    def add() -> None:
        try:
            store.layers.add(*wanted, nothing, nothing)
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    os.kill(_child_of_this_process(), signal.SIGKILL)
    thread.join(30)
    assert len(errors) == 1
    assert "layer sha256:" in str(errors[0])
    assert layer_names(paths) == []
    number = store.layers.add(*wanted, nothing, nothing)
    assert len(os.listdir(f"{paths.layers}/{number}")) == 600


def _child_of_this_process() -> int:
    """Wait for the process that unpacks and return its PID, once it has begun to make files."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pid in [pid for child in _children("self") for pid in _children(child)]:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"unpack_child" in words and os.readlink(f"/proc/{pid}/root") != "/":
                return int(pid)
        time.sleep(0.002)
    raise TimeoutError("no child appeared")


def _children(pid: str) -> list[str]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def test_what_a_killed_limpet_left_is_swept_by_the_next_pull(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    paths.make()
    layers = Path(paths.layers)
    left = layers / ("." + "ab" * 32)
    (left / "half").mkdir(parents=True)
    for name in (f"{left}.index", f"{left}.lock"):
        Path(name).touch()
    make_starter(store, Job(1, "starter"))
    assert not [name for name in os.listdir(layers) if name.startswith(".")]


def test_the_starter_is_the_same_every_time(store: ImageStore, tmp_path: Path) -> None:
    first = make_starter(store, Job(1, "starter"))
    assert first.tags
    assert store.resolve("starter").digest == first.digest
    other = Paths(str(tmp_path / "other"), str(tmp_path / "other-run"))
    other.make()
    again = make_starter(ImageStore(other, Database(other), Config()), Job(2, "starter"))
    assert again.digest == first.digest
    [layer] = store.lowerdirs(first.digest)
    root = Path(store.blobs.path(first.digest)).parents[2] / "layers" / str(layer)
    done = subprocess.run(["chroot", str(root), "/bin/sh", "-c", "echo hello; id -u"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "hello\n0\n"


def test_removal_does_what_it_showed(store: ImageStore, paths: Paths) -> None:
    image = make_starter(store, Job(1, "starter"))
    plan = store.plan_removal(("starter",), force=False, users={})
    assert plan.images == (image.digest,)
    assert plan.bytes_back > 0
    store.apply_removal(plan)
    assert store.images() == []
    assert layer_names(paths) == []
    assert list(Path(paths.blobs).rglob("*")) == [Path(paths.blobs) / "sha256"]


def test_tools_of_others_made_it(store: ImageStore, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    root = tmp_path / "bundle/rootfs"
    for command in (
        ["umoci", "init", "--layout", str(layout)],
        ["umoci", "new", "--image", f"{layout}:latest"],
        ["umoci", "unpack", "--image", f"{layout}:latest", str(tmp_path / "bundle")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    (root / "bin").mkdir()
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    os.link(root / "bin/busybox", root / "bin/sh")
    subprocess.run(["umoci", "repack", "--image", f"{layout}:latest", str(tmp_path / "bundle")],
                   check=True, capture_output=True)  # fmt: skip
    from json import loads

    def blob(name: str) -> bytes:
        return (layout / "blobs" / name.replace(":", "/")).read_bytes()

    manifest = loads(blob(loads((layout / "index.json").read_text())["manifests"][0]["digest"]))
    [layer] = manifest["layers"]
    diff_ids = loads(blob(manifest["config"]["digest"]))["rootfs"]["diff_ids"]
    descriptor = Descriptor(layer["mediaType"], layer["digest"], layer["size"])
    path = str(layout / "blobs" / layer["digest"].replace(":", "/"))
    number = store.layers.add(path, descriptor, diff_ids[0], nothing, nothing)
    made = Path(store.blobs.path(layer["digest"])).parents[2] / "layers" / str(number)
    assert (made / "bin/sh").samefile(made / "bin/busybox")
    assert (made / "bin/busybox").read_bytes() == Path("/bin/busybox").read_bytes()


def odd_layer(random: Random) -> bytes:
    """Return a layer that has few names, most of them more than once."""
    entries = []
    for number in range(random.randint(2, 9)):
        name = random.choice(("a", "b", "a/b", "a/b/c", "a/d"))
        folder, _, last = name.rpartition("/")
        place = f"{folder}/" if folder else ""
        entries.append(random.choice((
            entry(name, content=b"%d" % number), entry(name, content=b"%d" % number),
            directory(name), hardlink(name, random.choice(("a", "b", "a/d"))),
            entry(f"{place}.wh.{last}"), entry(f"{place}.wh..wh..opq"),
        )))  # fmt: skip
    return archive(*entries)


def test_the_index_is_true_of_whatever_order(tmp_path: Path) -> None:
    sound = 0
    for seed in range(80):
        place = tmp_path / str(seed)
        place.mkdir()
        try:
            target = unpack(place, odd_layer(Random(seed)))
        except ImageError:
            continue  # a hard link to what is not there, say
        told, there = (
            {(seen.path, seen.kind == "opaque"): seen for seen in found}
            for found in (read_index(str(place / "index")), index_tree(str(target)))
        )
        assert told.keys() == there.keys(), seed
        for (path, _), seen in told.items():
            one, other = behind(seen, told), behind(there[path, _], there)
            assert (one.kind, one.digest) == (other.kind, other.digest), (seed, path)
        sound += 1
    assert sound > 20


def behind(seen: FileEntry, entries: dict[tuple[str, bool], FileEntry]) -> FileEntry:
    while seen.kind == "hardlink" and seen.link != seen.path:
        seen = entries[seen.link, False]
    return seen
