"""The images as the database has them, and the files that go with them."""

from __future__ import annotations

import os

import pytest

from core.config import Config
from core.database import Database
from core.images.digest import digest_of
from core.images.store import ImageStore
from core.paths import Paths


def test_files_go_when_it_is_on_the_disk_that_nothing_names_them(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut an image would be there again, and its files would not."""
    store = ImageStore(paths, Database(paths), Config())
    digest = digest_of(b"a blob")
    store.blobs.write(digest, [b"a blob"])
    done: list[str] = []
    fsync, unlink = os.fsync, os.unlink

    def synced(fd: int) -> None:
        done.append(f"sync {os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))}")
        fsync(fd)

    def unlinked(path: str) -> None:
        done.append(f"unlink {os.path.basename(path)}")
        unlink(path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "unlink", unlinked)
    store.let_go([digest])
    assert done == ["sync limpet.db-wal", f"unlink {digest.partition(':')[2]}"]
    store.database.close()
