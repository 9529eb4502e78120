"""What a layer holds, kept beside it: the index that browsing and searching stand on.

It is written in the same pass that unpacks the layer, in blocks of entries, so that
memory does not grow with the layer.  A block is compressed by columns: names compress
well beside names, numbers beside numbers, and the digests not at all.

File: MAGIC, blocks, END.  Block: 4 bytes length (little-endian), zlib data.  In it: the
column lengths as 4 bytes each, then the columns in the order of `_COLUMNS`.
"""

from __future__ import annotations

import os
import zlib
from array import array

from core.errors import Corrupt
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.paths import Paths

MAGIC = b"limpet-index-2\n"
BLOCK_ENTRIES = 8192
DIGEST_BYTES = 32

KINDS = ("file", "hardlink", "symlink", "char", "block", "dir", "fifo", "whiteout", "opaque", "gone")
"""By number, the first seven as in tar; `gone` is a tree that a later entry replaced."""
FILE, WHITEOUT, OPAQUE, GONE = 0, 7, 8, 9

_END = bytes(4)
_COLUMNS = ("paths", "links", "kinds", "modes", "uids", "gids", "sizes", "times", "digests")
_ARRAYS = {"modes": "H", "uids": "I", "gids": "I", "sizes": "Q", "times": "q"}


class FileEntry(Record):
    """One file of a layer."""

    path: str
    """Relative to the root, without a leading slash; bytes that are not UTF-8 as surrogates."""
    kind: str
    """file, dir, symlink, hardlink, char, block, fifo; whiteout for a path that lower layers
    have and this one hides; opaque for a directory that hides all that they have in it."""
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    digest: str
    """sha256 of a file's content in hex; empty for everything else."""
    link: str
    """Where a symlink points, or the path that a hardlink shares."""


class IndexWriter:
    """Writes an index to a descriptor, entry by entry; `close` ends it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._write(MAGIC)
        self._clear()
        self.entries = 0

    def add(
        self, path: bytes, kind: int, mode: int = 0, uid: int = 0, gid: int = 0, size: int = 0,
        mtime_ns: int = 0, digest: bytes = b"", link: bytes = b"",
    ) -> None:  # fmt: skip
        """Add one entry; `kind` is a number of KINDS, `digest` 32 bytes for a file."""
        self._paths.append(path)
        self._links.append(link)
        self._kinds.append(kind)
        self._modes.append(mode)
        self._uids.append(uid)
        self._gids.append(gid)
        self._sizes.append(size)
        self._times.append(mtime_ns)
        if digest:
            self._digests.append(digest)
        self.entries += 1
        if len(self._paths) == BLOCK_ENTRIES:
            self._flush()

    def close(self) -> None:
        """Write what is left and the end mark; the descriptor stays open."""
        if self._paths:
            self._flush()
        self._write(_END)

    def _clear(self) -> None:
        self._paths: list[bytes] = []
        self._links: list[bytes] = []
        self._kinds = bytearray()
        self._modes, self._uids, self._gids = array("H"), array("I"), array("I")
        self._sizes, self._times = array("Q"), array("q")
        self._digests: list[bytes] = []

    def _flush(self) -> None:
        columns = [
            b"\0".join(self._paths),
            b"\0".join(self._links),
            bytes(self._kinds),
            *map(_little_endian, (self._modes, self._uids, self._gids, self._sizes, self._times)),
            b"".join(self._digests),
        ]
        lengths = b"".join(len(column).to_bytes(4, "little") for column in columns)
        block = zlib.compress(lengths + b"".join(columns), 1)
        self._write(len(block).to_bytes(4, "little") + block)
        self._clear()

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]


def index_path(paths: Paths, layer: int) -> str:
    """Return where a layer's index lies."""
    return f"{paths.layers}/{layer}.index"


def read_index(path: str) -> list[FileEntry]:
    """Return a layer's entries in the order of its tar; Corrupt if the index is damaged.

    Of several entries with one path the last counts, as it did in unpacking.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        return _merge(content)
    except (OSError, ValueError, zlib.error) as error:
        raise Corrupt(
            f"the index {path} cannot be read: {error}",
            hint="remove the image and pull it again",
            subject=path,
        ) from error


def _merge(content: bytes) -> list[FileEntry]:
    entries: dict[tuple[str, bool], FileEntry] = {}
    for block in _blocks(content):
        for entry in _parse(block):
            if entry.kind == "gone":
                _drop(entries, entry.path)
            else:
                entries[entry.path, entry.kind == "opaque"] = entry
    return list(entries.values())


def _drop(entries: dict[tuple[str, bool], FileEntry], path: str) -> None:
    below = path + "/"
    for key in [key for key in entries if key[0] == path or key[0].startswith(below)]:
        del entries[key]


def _blocks(content: bytes) -> Iterator[bytes]:
    if not content.startswith(MAGIC):
        raise ValueError("it is no index of this version")
    position = len(MAGIC)
    while True:
        length = int.from_bytes(content[position : position + 4], "little")
        position += 4
        if position + length > len(content):
            raise ValueError("it is cut off")
        if not length:
            return
        yield zlib.decompress(content[position : position + length])
        position += length


def _parse(block: bytes) -> list[FileEntry]:
    position = 4 * len(_COLUMNS)
    columns: dict[str, bytes] = {}
    for number, name in enumerate(_COLUMNS):
        length = int.from_bytes(block[4 * number : 4 * number + 4], "little")
        columns[name] = block[position : position + length]
        position += length
    numbers = {name: _native(code, columns[name]) for name, code in _ARRAYS.items()}
    kinds = columns["kinds"]
    if kinds and max(kinds) >= len(KINDS):
        raise ValueError("it holds an unknown kind of file")
    hexes = columns["digests"].hex()
    width = 2 * DIGEST_BYTES
    digests = [""] * len(kinds)
    position = 0
    for place, kind in enumerate(kinds):
        if kind == FILE:
            digests[place] = hexes[position : position + width]
            position += width
    return [
        FileEntry(*row)
        for row in zip(
            columns["paths"].decode("utf-8", "surrogateescape").split("\0"),
            map(KINDS.__getitem__, kinds),
            numbers["modes"], numbers["uids"], numbers["gids"],
            numbers["sizes"], numbers["times"],
            digests,
            columns["links"].decode("utf-8", "surrogateescape").split("\0"),
            strict=True,
        )
    ]  # fmt: skip


def _little_endian(values: array[int]) -> bytes:
    import sys

    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _native(code: str, column: bytes) -> array[int]:
    import sys

    values = array(code, column)
    if sys.byteorder == "big":
        values.byteswap()
    return values
