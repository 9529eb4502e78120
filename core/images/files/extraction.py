"""Brings a file of an image onto this host, or a directory as one tar archive.

Nothing that an image names is ever made here: what is written is one new file, which goes
again when the writing fails.
"""

from __future__ import annotations

import os
import tarfile
from contextlib import contextmanager

from core.errors import Conflict, HostError
from core.images.files.contents import CHUNK, Content, followed
from core.images.files.file_tree import REMOVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from core.images.file_table import FileEntry
    from core.images.files.contents import Place
    from core.images.files.file_tree import Node
    from core.images.files.layer_stack import Stack

    Entries = list[tuple[str, FileEntry]]
    Files = dict[Place, list[tuple[str, FileEntry]]]
    """By where the content is, the paths that show it."""

KINDS = {
    "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE,
}  # fmt: skip


def refuse_existing(target: str) -> None:
    """Raise Conflict where something is already: it is left alone."""
    if os.path.lexists(os.path.expanduser(target)):
        raise Conflict(
            f"{target} exists already", hint="write to another name, or remove it", subject=target
        )


def write_file(contents: Iterator[Content], mode: int, target: str) -> int:
    """Write the first of the contents to a new file on this host; returns its bytes.

    Of the mode only reading, writing and executing are kept, for the owner.  Raises Conflict
    where something is already, HostError for what cannot be written, and what reading raises.
    """
    with _new_file(target, mode & 0o700 | 0o600) as file:
        return sum(file.write(piece) for piece in next(contents).pieces)


def write_from(fd: int, target: str) -> int:
    """Do the same with what a descriptor is open for, and close it."""
    with os.fdopen(fd, "rb") as source:
        facts = os.fstat(fd)
        pieces = iter(lambda: source.read(CHUNK), b"")
        content = Content(("", ""), facts.st_size, pieces)
        return write_file(iter((content,)), facts.st_mode, target)


def entries_below(root: Node, path: str, stack: Stack, number: int) -> Entries:
    """Return what `write_tree` takes: all below a node of layers up to `number`, with its path.

    Directories come before what is in them.  Device numbers are not known to the index, and
    devices are left out.
    """
    found = []
    todo = [(path, root)]
    while todo:
        here, node = todo.pop()
        todo += [(f"{here}/{child.name}".lstrip("/"), child) for child in reversed(node.ordered)]
        if here and node.status != REMOVED and node.entry:
            entry = followed(stack, here, node.entry, number)
            if entry.kind not in ("char", "block"):
                found.append((here, entry))
    return found


def files_of(entries: Entries, place_of: Callable[[str], Place]) -> Files:
    """Return whose contents `write_tree` takes; `place_of` tells where a path's content is."""
    files: Files = {}
    for here, entry in entries:
        if entry.kind not in KINDS:
            files.setdefault(place_of(here), []).append((here, entry))
    return files


def write_tree(entries: Entries, target: str, files: Files, contents: Iterable[Content]) -> int:
    """Write entries as a tar to a new file; returns how many there are.

    `contents` are those of all `files`, in any order.  Names of one file are hard links of each
    other.  Raises as `write_file`.
    """
    with (
        _new_file(target, 0o600) as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for here, entry in entries:
            if entry.kind in KINDS:
                info = _info(here, entry)
                info.type = KINDS[entry.kind]
                info.linkname = entry.link if entry.kind == "symlink" else ""
                archive.addfile(info)
        for content in contents:
            (first, entry), *links = files[content.place]
            info = _info(first, entry)
            info.size = content.size
            archive.addfile(info, _Exactly(content.pieces))
            for here, entry in links:
                info = _info(here, entry)
                info.type, info.linkname = tarfile.LNKTYPE, first
                archive.addfile(info)
    return len(entries)


def _info(path: str, entry: FileEntry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.mtime = entry.mtime_ns // 10**9
    return info


@contextmanager
def _new_file(target: str, mode: int) -> Iterator[BinaryIO]:
    path = os.path.expanduser(target)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    refuse_existing(target)
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            try:
                yield file
            except BaseException:
                os.unlink(path)
                raise
    except OSError as error:
        raise HostError(
            f"{target} cannot be written: {error.strerror}", subject=target, errno=error.errno or 0
        ) from error


class _Exactly:
    """Pieces as tarfile reads a file: as many bytes as it asks for, until there are no more."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._ahead = b""

    def read(self, size: int = CHUNK, /) -> bytes:
        parts, count = [self._ahead], len(self._ahead)
        while count < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            count += len(piece)
        data = b"".join(parts)
        self._ahead = data[size:]
        return data[:size]
