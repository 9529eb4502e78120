"""The store of blobs: what is there is whole, verified, and on the disk before it has its name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from core.errors import Corrupt
from core.images.blobs import BlobStore
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
