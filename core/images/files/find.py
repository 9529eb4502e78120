"""Which layers and images hold a file: by name, by pattern, by content, over the whole store.

The indexes keep paths and digests uncompressed, so this is a search of bytes; an index is
taken apart only where something was found.
"""

from __future__ import annotations

import os
import zlib

from core.errors import Corrupt, UsageError
from core.images.digest import is_hex
from core.images.index import DIGEST_BYTES, index_path, read_index, read_layout
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.database import Database
    from core.paths import Paths

    Row = tuple[str, str, int, str]
    """Path, kind, size and digest."""
    Match = Callable[[bytes, int], bool]
    """Tells whether a path, or a name, fits in which a literal stands at that place."""

PATH, DIGEST = 0, 3
"""Fields of a Row."""

WILD = frozenset(b"*?[")
MANY = 100
"""Of an index's texts are looked at: fewer are found sooner than all are taken apart."""
SHORTEST = 8
"""Hex digits that a digest's beginning has at least."""


class Hit(Record):
    """A file in a layer."""

    path: str
    kind: str
    size: int
    digest: str
    """sha256 of its content in hex; empty for everything but files."""
    layer: str
    """The layer's diff ID."""
    images: tuple[str, ...]
    """Names, or IDs, of the images that have the layer."""


def find(paths: Paths, database: Database, pattern: str) -> list[Hit]:
    """Return the files that a pattern means, by path.

    `NAME` is a file's whole name, `DIR/NAME` the end of its path, with * ? [] as a shell has
    them (against the whole path when it holds a slash); `sha256:HEX`, or its beginning, is its
    content.  Layers whose index is damaged are left out: fsck names them.  Raises UsageError.
    """
    search, field = _search(pattern)
    holders = _holders(database)
    found = []
    for number, diff_id in database.query("SELECT id, diff_id FROM layers ORDER BY id"):
        path = index_path(paths, number)
        try:
            with open(path, "rb", buffering=0) as file:
                index = _Index(file.fileno())
                rows = search(index)
                if index.repeats:
                    rows = _remaining(rows, path, field)
        except (OSError, ValueError, IndexError, zlib.error, Corrupt):
            continue
        images = holders.get(diff_id, ())
        found += [Hit(*row, diff_id, images) for row in rows]
    return sorted(found, key=lambda hit: (hit.path, hit.layer))


class _Index:
    """An index of which no more is read than is asked for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._layout = read_layout(_Bytes(fd, os.fstat(fd).st_size))
        self.repeats = False
        """Whether a path of what was found stands twice: then not all entries are there."""

    def column(self, name: str) -> bytes:
        """Return a column; of an old index that of paths stands for that of names, too."""
        if name not in self._layout.places:
            name = "path"
        start, end = self._layout.places[name]
        return self._layout.unpacked(name, os.pread(self._fd, end - start, start))

    def rows(self, numbers: list[int]) -> list[Row]:
        """Return path, kind, size and digest of some entries, given in their order."""
        if not numbers:
            return []
        paths = self._paths(numbers)
        kinds = self.column("kind").split(b"\0")
        sizes = _texts(self.column("size"), numbers)
        digests = self.column("digest")
        found = []
        files = counted = 0
        for number, path, size in zip(numbers, paths, sizes, strict=True):
            files += kinds[counted:number].count(b"file")
            counted = number
            at = files * DIGEST_BYTES
            kind = kinds[number].decode()
            digest = digests[at : at + DIGEST_BYTES].hex() if kind == "file" else ""
            found.append((path.decode("utf-8", "surrogateescape"), kind, int(size), digest))
        return found

    def _paths(self, numbers: list[int]) -> Iterator[bytes]:
        column = self.column("path")
        if self._layout.once:
            return _texts(column, numbers)
        every = column.split(b"\0")
        self.repeats = len(set(every)) < len(every)
        return map(every.__getitem__, numbers)


def _texts(column: bytes, numbers: list[int]) -> Iterator[bytes]:
    """Return the texts of some entries, given in their order.  Raises IndexError, ValueError."""
    if len(numbers) > MANY:
        return map(column.split(b"\0").__getitem__, numbers)
    return _few_texts(column, numbers)


def _few_texts(column: bytes, numbers: list[int]) -> Iterator[bytes]:
    place = passed = 0
    for number in numbers:
        place = _ahead(column, place, number - passed)
        end = column.index(b"\0", place)
        yield column[place:end]
        place, passed = end + 1, number + 1


def _ahead(column: bytes, place: int, count: int) -> int:
    """Return the place so many texts ahead: in steps that double, then halve."""
    step = 64
    while count and place < len(column):
        passed = column.count(b"\0", place, place + step)
        if passed < count or step == 1:
            place += step
            count -= passed
            step *= 2
        else:
            step //= 2
    return place


def _remaining(rows: list[Row], path: str, field: int) -> list[Row]:
    """Return what the layer has in the end with the same value in the field."""
    wanted = {row[field] for row in rows}
    there = ((one.path, one.kind, one.size, one.digest) for one in read_index(path))
    return [row for row in there if row[field] in wanted]


class _Bytes:
    """A file that can be sliced like bytes, for the few at the columns' heads."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start = part.start or 0
        return os.pread(self._fd, part.stop - start, start)


def _search(pattern: str) -> tuple[Callable[[_Index], list[Row]], int]:
    """Return what searches an index, and which field of a row it looks at."""
    value = pattern.removeprefix("sha256:")
    if value != pattern or (len(value) == 64 and is_hex(value)):
        if not is_hex(value) or not SHORTEST <= len(value) <= 64:
            raise UsageError(
                f"{pattern!r} is no digest", hint=f"sha256: and at least {SHORTEST} hex digits"
            )
        return lambda index: index.rows(_by_digest(index, value)), DIGEST
    name = os.fsencode(pattern.lstrip("/"))
    if not name:
        raise UsageError("nothing to find", hint="image find NAME, '*.pem' or sha256:…")
    literal, fits = (name + b"\0", _at_part) if WILD.isdisjoint(name) else _glob(name)
    column = "path" if b"/" in name else "name"
    return lambda index: index.rows(_numbers(index.column(column), literal, fits)), PATH


def _by_digest(index: _Index, value: str) -> list[int]:
    digests, start = index.column("digest"), bytes.fromhex(value[: len(value) & ~1])
    found: set[int] = set()
    at = digests.find(start)
    while at >= 0:
        if at % DIGEST_BYTES == 0 and digests[at : at + DIGEST_BYTES].hex().startswith(value):
            found.add(at // DIGEST_BYTES)
        at = digests.find(start, at + 1)
    if not found:
        return []
    kinds = index.column("kind").split(b"\0")
    files = [number for number, kind in enumerate(kinds) if kind == b"file"]
    return [files[place] for place in sorted(found)]


def _numbers(paths: bytes, literal: bytes, matches: Match) -> list[int]:
    """Return the numbers of paths that hold a literal and match; each path ends with a NUL."""
    found: list[int] = []
    number = counted = 0
    for start, end, place in _occurrences(paths, literal):
        if matches(paths[start:end], place - start):
            number += paths.count(b"\0", counted, start)
            counted = start
            found.append(number)
    return found


def _occurrences(paths: bytes, literal: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield begin and end of each path that holds a literal, and where it does so last."""
    at = paths.find(literal)
    while at >= 0:
        start = paths.rfind(b"\0", 0, at) + 1
        end = paths.find(b"\0", at)
        yield start, end, at
        at = paths.find(literal, end if literal[-1:] != b"\0" else end + 1)


def _at_part(_path: bytes, place: int) -> bool:
    """Tell whether what was found begins a part of the path."""
    return place == 0 or _path[place - 1 : place] == b"/"


def _glob(name: bytes) -> tuple[bytes, Match]:
    """Return the longest literal of a pattern, and what tells whether a path matches it."""
    import fnmatch
    import re

    matches = re.compile(fnmatch.translate(name.decode("latin-1")).encode("latin-1")).match
    whole = b"/" in name

    def test(path: bytes, _place: int) -> bool:
        return matches(path if whole else path.rpartition(b"/")[2]) is not None

    return _literal(name), test


def _literal(name: bytes) -> bytes:
    """Return the longest part of a pattern that stands in whatever matches it."""
    import re

    *pieces, last = re.split(rb"[*?]|\[!?\]?[^\]]*\]", name)
    # What ends the pattern ends the path, too.
    return max([*pieces, last and last + b"\0"], key=len) or b"\0"


def _holders(database: Database) -> dict[str, tuple[str, ...]]:
    from core.images.reference import familiar_name

    found: dict[str, tuple[str, ...]] = {}
    for diff_id, config, names in database.query(
        "SELECT il.diff_id, i.config_digest, (SELECT GROUP_CONCAT(t.name, ' ') FROM tags t "
        "WHERE t.digest = i.digest) FROM image_layers il JOIN images i ON i.digest = il.image "
        "ORDER BY i.created DESC"
    ):
        shown = [familiar_name(name) for name in (names or "").split()] or [config[7:19]]
        known = found.get(diff_id, ())
        found[diff_id] = (*known, *(name for name in shown if name not in known))
    return found
