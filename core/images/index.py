"""What a layer holds, kept beside it: the index that browsing and searching stand on.

One file a layer, by columns: numbers compress well beside numbers.  Paths and digests stay as
they are, so that a search of the whole store is a search of bytes, and the names that paths end
in stand once more by themselves: a quarter of the bytes, and what is mostly searched for.  It is
written in the same pass that unpacks the layer.
"""

from __future__ import annotations

import zlib

from core.errors import Corrupt
from core.garbage import NoSearch
from core.images.file_table import FileEntry, FileTable, numbers
from core.images.remaining import remaining
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.images.file_table import Others
    from core.paths import Paths

COLUMNS = (*FileEntry.fields, "name")
MAGIC = b"limpet-index-4\n"
NAMELESS_MAGIC = b"limpet-index-3\n"
"""Of indexes that have no names, and do not say whether a path stands twice."""
PACKED_MAGIC = b"limpet-index-2\n"
"""Of those in which all columns are compressed, too."""
PLAIN = ("path", "digest", "name")
"""Columns that are not compressed: they are searched, and digests do not compress anyway."""
LEVEL = 3
"""zlib's: the index is written while a pull waits."""
BATCH = 4096
"""Entries that are compressed together."""
DIGEST_BYTES = 32
ONCE, NOT_ONCE = b"\1", b"\0"


def index_path(paths: Paths, layer: int) -> str:
    """Return where a layer's index lies."""
    return f"{paths.layers}/{layer}.index"


class IndexWriter:
    """Takes entries one by one and keeps them as they will be written: 200 bytes for each."""

    def __init__(self) -> None:
        self.count = 0
        self._paths: set[int] = set()
        """Hashes of all."""
        self._columns = [None if name in PLAIN else zlib.compressobj(LEVEL) for name in COLUMNS]
        self._done: list[list[bytes]] = [[] for _ in COLUMNS]
        self._rows: list[tuple[object, ...]] = []

    def add(self, *row: object) -> None:
        """Add an entry: the fields of a FileEntry, in their order."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= BATCH:
            self._pack()

    def write(self, file: str | int) -> None:
        """Write the index to a path or a descriptor, which is closed."""
        self._pack()
        with open(file, "wb") as out:
            out.write(MAGIC + self.count.to_bytes(8, "little"))
            out.write(ONCE if len(self._paths) == self.count else NOT_ONCE)
            for column, done in zip(self._columns, self._done, strict=True):
                data = b"".join(done) + (column.flush() if column else b"")
                out.write(len(data).to_bytes(8, "little") + data)

    def _pack(self) -> None:
        if not self._rows:
            return
        columns: list[Sequence[object]] = [*zip(*self._rows, strict=True)]
        self._paths.update(map(hash, columns[0]))
        columns.append(_names(columns[0]))
        for number, values in enumerate(columns):
            if COLUMNS[number] == "digest":
                data = b"".join(bytes.fromhex(str(value)) for value in values if value)
            else:
                text = "\0".join(map(str, values)) + "\0"
                data = text.encode("utf-8", "surrogateescape")
            column = self._columns[number]
            self._done[number].append(column.compress(data) if column else data)
        self._rows.clear()


class Layout(Record):
    """Where what lies in an index."""

    count: int
    """Of entries."""
    places: Mapping[str, tuple[int, int]]
    """Begin and end of each column; an old index has none of names."""
    once: bool
    """No path stands twice, for certain."""
    packed: bool
    """All columns are compressed."""

    def unpacked(self, name: str, data: bytes) -> bytes:
        """Return what a column's bytes stand for.  Raises zlib.error."""
        return data if name in PLAIN and not self.packed else zlib.decompress(data)


def read_index(path: str) -> FileTable:
    """Return what a layer holds, in the order of its tar; Corrupt if the index is damaged.

    Of several entries with one path those count that the layer itself has in the end.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        with NoSearch():
            layout = read_layout(content)
            table = _parse(content, layout)
            once = layout.once or len(set(table.paths)) == len(table)
            return table if once else FileTable.of(remaining(list(table))[0])
    except (OSError, ValueError, zlib.error) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise Corrupt(f"{path}: {cause}", hint="limpet image fsck --repair mends it") from error


def agrees_with_itself(path: str) -> bool:
    """Return whether an index that can be read says the same of a path wherever it does."""
    with open(path, "rb") as file:
        content = file.read()
    layout = read_layout(content)
    start, end = layout.places.get("name", (0, 0))
    paths = _parse(content, layout).paths
    names = "".join(f"{name}\0" for name in _names(paths)).encode("utf-8", "surrogateescape")
    said_once = not layout.once or len(set(paths)) == len(paths)
    return said_once and ("name" not in layout.places or content[start:end] == names)


def read_layout(content: Any) -> Layout:
    """Return where what lies; `content` is sliced like bytes.  Raises ValueError."""
    magic = bytes(content[: len(MAGIC)])
    if magic not in (MAGIC, NAMELESS_MAGIC, PACKED_MAGIC):
        raise ValueError("not an index")
    place = len(MAGIC) + 8
    count = int.from_bytes(content[len(MAGIC) : place], "little")
    once, columns = False, FileEntry.fields
    if magic == MAGIC:
        once, columns = content[place : place + 1] == ONCE, COLUMNS
        place += 1
    places = {}
    for name in columns:
        length = int.from_bytes(content[place : place + 8], "little")
        places[name] = (place + 8, place + 8 + length)
        place += 8 + length
    if place > len(content):
        raise ValueError("it is cut off")
    return Layout(count, places, once, magic == PACKED_MAGIC)


def _parse(content: bytes, layout: Layout) -> FileTable:
    found = {
        name: layout.unpacked(name, content[slice(*layout.places[name])])
        for name in FileEntry.fields
    }
    count, digests = layout.count, found["digest"]
    paths, kinds, sizes = (_texts(found[name], count) for name in ("path", "kind", "size"))
    if len(digests) != DIGEST_BYTES * kinds.count("file"):
        raise ValueError(f"{len(digests)} bytes of digests for {kinds.count('file')} files")
    rest = [found[name] for name in ("mode", "uid", "gid", "mtime_ns", "link")]
    for data in rest:
        if data.count(0) != count or (data and data[-1]):
            raise ValueError(f"{data.count(0)} values for {count} entries")

    def others() -> Others:
        modes, uids, gids, times, links = (_texts(data, count) for data in rest)
        return modes, uids, gids, times, _digests(digests, kinds), links

    return FileTable(paths, kinds, [*numbers(sizes)], others)


def _names(paths: Sequence[object]) -> list[str]:
    return [str(path).rpartition("/")[2] for path in paths]


def _texts(data: bytes, count: int) -> list[str]:
    texts = data.decode("utf-8", "surrogateescape").split("\0")
    if texts.pop() or len(texts) != count:
        raise ValueError(f"{len(texts)} values for {count} entries")
    return texts


def _digests(found: bytes, kinds: list[str]) -> list[bytes]:
    """Return the digest of each entry: only files have one."""
    each = iter([found[at : at + DIGEST_BYTES] for at in range(0, len(found), DIGEST_BYTES)])
    return [next(each) if kind == "file" else b"" for kind in kinds]
