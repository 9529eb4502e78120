"""What a layer holds, kept beside it: the index that browsing and searching stand on.

One file a layer, by columns: numbers compress well beside numbers.  Paths and digests stay as
they are, so that a search of the whole store is a search of bytes.  It is
written in the same pass that unpacks the layer.
"""

from __future__ import annotations

import zlib

from core.errors import Corrupt
from core.garbage import NoSearch
from core.images.file_table import FileEntry, FileTable, numbers
from core.images.remaining import remaining

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.images.file_table import Others
    from core.paths import Paths

MAGIC = b"limpet-index-3\n"
OLD_MAGIC = b"limpet-index-2\n"
"""Of indexes in which the plain columns are compressed, too."""
PLAIN = ("path", "digest")
"""Columns that are not compressed: they are searched, and digests do not compress anyway."""
LEVEL = 3
"""zlib's: the index is written while a pull waits."""
BATCH = 4096
"""Entries that are compressed together."""
DIGEST_BYTES = 32


def index_path(paths: Paths, layer: int) -> str:
    """Return where a layer's index lies."""
    return f"{paths.layers}/{layer}.index"


class IndexWriter:
    """Takes entries one by one and keeps them as they will be written: 100 bytes for each."""

    def __init__(self) -> None:
        self.count = 0
        self._columns = [
            None if name in PLAIN else zlib.compressobj(LEVEL) for name in FileEntry.fields
        ]
        self._done: list[list[bytes]] = [[] for _ in FileEntry.fields]
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
            for column, done in zip(self._columns, self._done, strict=True):
                data = b"".join(done) + (column.flush() if column else b"")
                out.write(len(data).to_bytes(8, "little") + data)

    def _pack(self) -> None:
        if not self._rows:
            return
        for number, values in enumerate(zip(*self._rows, strict=True)):
            if FileEntry.fields[number] == "digest":
                data = b"".join(bytes.fromhex(str(value)) for value in values if value)
            else:
                text = "\0".join(map(str, values)) + "\0"
                data = text.encode("utf-8", "surrogateescape")
            column = self._columns[number]
            self._done[number].append(column.compress(data) if column else data)
        self._rows.clear()


def read_index(path: str) -> FileTable:
    """Return what a layer holds, in the order of its tar; Corrupt if the index is damaged.

    Of several entries with one path those count that the layer itself has in the end.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        with NoSearch():
            table = _parse(content)
            once = len(set(table.paths)) == len(table)
            return table if once else FileTable.of(remaining(list(table))[0])
    except (OSError, ValueError, zlib.error) as error:
        raise Corrupt(f"{path}: {error}", hint="remove the image and pull it again") from error


def columns(content: Any) -> tuple[int, dict[str, tuple[int, int]], bool]:
    """Return the number of entries, where each column lies, and whether all are compressed.

    `content` is sliced like bytes.  Raises ValueError.
    """
    magic = bytes(content[: len(MAGIC)])
    if magic not in (MAGIC, OLD_MAGIC):
        raise ValueError("not an index")
    place = len(MAGIC) + 8
    count = int.from_bytes(content[len(MAGIC) : place], "little")
    found = {}
    for name in FileEntry.fields:
        length = int.from_bytes(content[place : place + 8], "little")
        found[name] = (place + 8, place + 8 + length)
        place += 8 + length
    if place > len(content):
        raise ValueError("it is cut off")
    return count, found, magic == OLD_MAGIC


def column(content: Any, places: dict[str, tuple[int, int]], name: str, is_old: bool) -> bytes:
    """Return one column's bytes.  Raises zlib.error."""
    start, end = places[name]
    data = content[start:end]
    return bytes(data) if name in PLAIN and not is_old else zlib.decompress(data)


def _parse(content: bytes) -> FileTable:
    count, places, is_old = columns(content)
    found = {name: column(content, places, name, is_old) for name in FileEntry.fields}
    for name, data in found.items():
        if name != "digest" and (data.count(0) != count or (data and data[-1])):
            raise ValueError(f"{data.count(0)} times {name} for {count} entries")
    kinds, digests = _texts(found["kind"]), found["digest"]
    if len(digests) != DIGEST_BYTES * kinds.count("file"):
        raise ValueError(f"{len(digests)} bytes of digests for {kinds.count('file')} files")
    rest = [found[name] for name in ("mode", "uid", "gid", "mtime_ns", "link")]

    def others() -> Others:
        modes, uids, gids, times, links = map(_texts, rest)
        return modes, uids, gids, times, _digests(digests, kinds), links

    return FileTable(_texts(found["path"]), kinds, [*numbers(_texts(found["size"]))], others)


def _texts(data: bytes) -> list[str]:
    texts = data.decode("utf-8", "surrogateescape").split("\0")
    texts.pop()
    return texts


def _digests(found: bytes, kinds: list[str]) -> list[bytes]:
    """Return the digest of each entry: only files have one."""
    each = iter([found[at : at + DIGEST_BYTES] for at in range(0, len(found), DIGEST_BYTES)])
    return [next(each) if kind == "file" else b"" for kind in kinds]
