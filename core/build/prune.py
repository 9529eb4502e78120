"""The build cache as things that take space, and what of it may go."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.images.store import ImageStore
    from core.paths import Paths


class Entry(Record):
    """A step's result, or the directory of a cache mount."""

    kind: str
    """step or mount."""
    name: str
    """The step's key, or the mount's directory."""
    words: str
    """The instruction, or the mount's id."""
    digests: tuple[str, ...]
    """The layer's and the blob's."""
    created: float
    used: float
    bytes: int
    shared: bool
    """Whether images or the trash hold the layer as well: it gives no space back."""


def entries(store: ImageStore, paths: Paths) -> list[Entry]:
    """Return all that the cache has, last used first."""
    from core.images.holders import LAYER_HOLDERS, held

    rows = store.database.query(
        "SELECT c.key, c.instruction, c.diff_id, c.blob_digest, c.created, c.used, "
        "COALESCE(l.size, 0), c.blob_size FROM build_cache c LEFT JOIN layers l USING (diff_id) "
        "ORDER BY c.used DESC"
    )
    others = [sql for sql in LAYER_HOLDERS if "build_cache" not in sql]
    shared = held(store.database.connection(), others, {row[2] for row in rows if row[2]})
    found = []
    for key, words, diff_id, blob, created, used, size, blob_size in rows:
        digests = tuple(digest for digest in (diff_id, blob) if digest)
        found.append(
            Entry("step", key, words, digests, created, used, size + blob_size, diff_id in shared)
        )
    return [*found, *_mounts(paths)]


def _mounts(paths: Paths) -> list[Entry]:
    top = f"{paths.data}/build/mounts"
    found = []
    for name in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        path = f"{top}/{name}"
        if os.path.isdir(path):
            facts = os.stat(path)
            lock = f"{path}.lock"
            used = os.stat(lock).st_atime if os.path.exists(lock) else facts.st_mtime
            found.append(
                Entry("mount", path, _mount_id(path), (), facts.st_ctime, used, _size(path), False)
            )
    return found


def _mount_id(path: str) -> str:
    try:
        with open(f"{path}.id", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return os.path.basename(path)


def _size(path: str) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(FileNotFoundError):  # a build writes to it
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
    return total


def choose(found: Sequence[Entry], *, everything: bool, before: float) -> list[Entry]:
    """Return what goes: steps that no image holds, or all and the mounts; last used `before`."""
    return [
        entry
        for entry in found
        if (everything or (entry.kind == "step" and not entry.shared))
        and (not before or entry.used < before)
    ]


def remove(store: ImageStore, going: Sequence[Entry]) -> int:
    """Remove entries and return the bytes that came back; a mount in use stays."""
    gone: list[str] = []
    with store.database.write() as sql:
        steps = [entry for entry in going if entry.kind == "step"]
        sql.executemany("DELETE FROM build_cache WHERE key=?", [(step.name,) for step in steps])
        digests = [digest for step in steps for digest in step.digests]
        freed = store.collect(sql, dict.fromkeys(digests), gone)
    store.discard(gone)
    return freed + sum(_remove_mount(entry) for entry in going if entry.kind == "mount")


def _remove_mount(entry: Entry) -> int:
    from core.trees import remove_tree

    fd = os.open(f"{entry.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    else:
        remove_tree(entry.name)
        if os.path.exists(f"{entry.name}.id"):
            os.unlink(f"{entry.name}.id")
        # The lock's file stays: a build may wait for it.
        return entry.bytes
    finally:
        os.close(fd)
