"""Indexes a directory laid out as a layer, without packing it: a container's own changes."""

from __future__ import annotations

import hashlib
import os

from core.images.file_table import FileEntry
from core.images.packing.tree_walk import OPEN_DIRECTORY, walk
from core.images.tar.reader import FILE
from core.images.unpacking.extract import KIND_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from core.images.packing.tree_walk import Found

PIECE = 1 << 20


def index_tree(
    directory: str,
    left_out: Container[bytes] = (),
    known: Mapping[str, FileEntry] | None = None,
) -> list[FileEntry]:
    """Return what a layer made of the directory would hold, now; `left_out` as in `walk`.

    A file that has the size and the time of its entry in `known`, by path, is not read again.
    Raises OSError, ImageError.
    """
    root = os.open(directory, OPEN_DIRECTORY)
    entries = []
    try:
        for found in walk(root, left_out):
            if found.is_socket:
                continue
            path = os.fsdecode(found.entry.name)
            if found.is_whiteout:
                entries.append(FileEntry(path, "whiteout", 0, 0, 0, 0, 0, "", ""))
                continue
            if path:
                entries.append(_entry(path, found, (known or {}).get(path)))
            if found.opaque:
                entries.append(FileEntry(path, "opaque", 0, 0, 0, 0, 0, "", ""))
    finally:
        os.close(root)
    return entries


def _entry(path: str, found: Found, before: FileEntry | None) -> FileEntry:
    entry = found.entry
    digest = ""
    if entry.kind == FILE:
        same = before is not None and (
            (before.size, before.mtime_ns) == (entry.size, entry.mtime_ns)
        )
        digest = before.digest if same and before else _digest(found.fd)
    return FileEntry(
        path, KIND_NAMES[entry.kind], entry.mode, entry.uid, entry.gid, entry.size,
        entry.mtime_ns, digest, os.fsdecode(entry.link),
    )  # fmt: skip


def _digest(fd: int) -> str:
    summer = hashlib.sha256(usedforsecurity=False)
    place = 0
    while data := os.pread(fd, PIECE, place):
        summer.update(data)
        place += len(data)
    return summer.hexdigest()
