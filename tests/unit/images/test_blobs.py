"""The store of blobs: what is there is whole, verified, and on the disk before it has its name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from core.errors import Corrupt
from core.images.blobs import MAX_READ, BlobStore, unlink_unlocked
from core.images.digest import digest_of
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"content"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def files(paths: Paths) -> list[str]:
    return [file.name for root in (paths.blobs, paths.partial)
            for file in Path(root).rglob("*") if file.is_file()]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"contenT", b"content\0"])
def test_what_is_something_else_is_not_stored(paths: Paths, content: bytes) -> None:
    with pytest.raises(Corrupt, match=DIGEST):
        BlobStore(paths).write(DIGEST, [content])
    assert files(paths) == []


def test_a_writer_that_fails_leaves_nothing(paths: Paths) -> None:
    def half() -> Iterator[bytes]:
        yield CONTENT[:3]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        BlobStore(paths).write(DIGEST, half())
    assert files(paths) == []


def test_a_blob_is_on_the_disk_before_it_has_its_name(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a name may stand for nothing else: fsync(2), rename(2), fsync(2)."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        fsync(fd)
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        if done[-1] == "file":
            assert os.pread(fd, 100, 0) == CONTENT

    def renamed(source: str, target: str) -> None:
        rename(source, target)
        done.append("name")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    store = BlobStore(paths)
    store.write(DIGEST, [CONTENT[:3], CONTENT[3:]])
    assert done == ["file", "name", "folder"]
    assert store.read(DIGEST) == CONTENT


@pytest.mark.parametrize("digest", ["sha256:" + "../" * 21 + "x", "sha256:", "md5:" + "0" * 32])
def test_what_is_no_digest_names_no_file(paths: Paths, digest: str) -> None:
    with pytest.raises(Corrupt):
        BlobStore(paths).path(digest)


def test_a_sweep_between_two_steps_of_a_writer_costs_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a new file is locked, it looks like what a dead writer left."""
    store, made = BlobStore(paths), tempfile.mkstemp

    def swept(*, dir: str, prefix: str) -> tuple[int, str]:  # noqa: A002 - mkstemp's word
        fd, path = made(dir=dir, prefix=prefix)
        monkeypatch.setattr(tempfile, "mkstemp", made)
        store.sweep()
        return fd, path

    monkeypatch.setattr(tempfile, "mkstemp", swept)
    store.write(DIGEST, [CONTENT])
    assert store.read(DIGEST) == CONTENT
    assert len(files(paths)) == 1


def test_what_another_has_begun_meanwhile_is_not_swept_away(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a file and locking it, its writer may end and another one begin."""
    path, lock = Path(paths.partial) / "sha256-one", fcntl.flock
    path.write_bytes(b"the first one's")

    def late(fd: int, how: int) -> None:
        path.unlink()
        path.write_bytes(b"the second one's")
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    unlink_unlocked(str(path))
    assert path.read_bytes() == b"the second one's"


def test_a_layer_is_never_read_into_memory_as_a_manifest(paths: Paths) -> None:
    store, large = BlobStore(paths), bytes(MAX_READ + 1)
    digest = digest_of(large)
    store.write(digest, [large])
    with pytest.raises(Corrupt, match="too large"):
        store.read(digest)
