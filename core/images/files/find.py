"""Which layers and images hold a file: by name, by pattern, by content, over the whole store.

The indexes keep paths and digests uncompressed, so this is a search of bytes; an index is
taken apart only where something was found.
"""

from __future__ import annotations

import os

from core.errors import UsageError
from core.images.digest import is_hex
from core.images.index import DIGEST_BYTES, column, columns, index_path
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.database import Database
    from core.paths import Paths

    Match = Callable[[bytes], bool]

WILD = frozenset(b"*?[")
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
    search = _search(pattern)
    holders = _holders(database)
    found = []
    for number, diff_id in database.query("SELECT id, diff_id FROM layers ORDER BY id"):
        try:
            with open(index_path(paths, number), "rb", buffering=0) as file:
                rows = search(_Index(file.fileno()))
        except (OSError, ValueError):
            continue
        images = holders.get(diff_id, ())
        found += [Hit(*row, diff_id, images) for row in rows]
    return sorted(found, key=lambda hit: (hit.path, hit.layer))


class _Index:
    """An index of which no more is read than is asked for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        size = os.fstat(fd).st_size
        self.count, self._places, self._is_old = columns(_Bytes(fd, size))

    def column(self, name: str) -> bytes:
        start, end = self._places[name]
        content = os.pread(self._fd, end - start, start)
        return column(content, {name: (0, end - start)}, name, self._is_old)

    def texts(self, name: str) -> list[str]:
        return self.column(name).decode("utf-8", "surrogateescape").split("\0")

    def rows(self, numbers: list[int]) -> list[tuple[str, str, int, str]]:
        """Return path, kind, size and digest of some entries."""
        if not numbers:
            return []
        paths, kinds, sizes = self.texts("path"), self.texts("kind"), self.texts("size")
        digests = self.column("digest")
        found = []
        files = counted = 0
        for number in sorted(numbers):
            files += kinds[counted:number].count("file")
            counted = number
            at = files * DIGEST_BYTES
            digest = digests[at : at + DIGEST_BYTES].hex() if kinds[number] == "file" else ""
            found.append((paths[number], kinds[number], int(sizes[number]), digest))
        return found


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


def _search(pattern: str) -> Callable[[_Index], list[tuple[str, str, int, str]]]:
    value = pattern.removeprefix("sha256:")
    if value != pattern or (len(value) == 64 and is_hex(value)):
        if not is_hex(value) or not SHORTEST <= len(value) <= 64:
            raise UsageError(
                f"{pattern!r} is no digest", hint=f"sha256: and at least {SHORTEST} hex digits"
            )
        return lambda index: index.rows(_by_digest(index, value))
    name = os.fsencode(pattern.lstrip("/"))
    if not name:
        raise UsageError("nothing to find", hint="image find NAME, '*.pem' or sha256:…")
    if WILD.isdisjoint(name):
        return lambda index: index.rows(_numbers(index.column("path"), name + b"\0", _at_part))
    literal, matches = _glob(name)
    return lambda index: index.rows(
        _numbers(index.column("path"), literal, lambda path, _place: matches(path))
    )


def _by_digest(index: _Index, value: str) -> list[int]:
    digests, start = index.column("digest"), bytes.fromhex(value[: len(value) & ~1])
    found, at = set(), digests.find(start)
    while at >= 0:
        if at % DIGEST_BYTES == 0 and digests[at : at + DIGEST_BYTES].hex().startswith(value):
            found.add(at // DIGEST_BYTES)
        at = digests.find(start, at + 1)
    if not found:
        return []
    files = [number for number, kind in enumerate(index.texts("kind")) if kind == "file"]
    return [files[place] for place in found]


def _numbers(paths: bytes, literal: bytes, matches: Callable[[bytes, int], bool]) -> list[int]:
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

    def test(path: bytes) -> bool:
        return matches(path if whole else path.rpartition(b"/")[2]) is not None

    return _literal(name), test


def _literal(name: bytes) -> bytes:
    pieces, piece, inside = [], b"", False
    for byte in name:
        character = bytes((byte,))
        if inside or byte in WILD:
            pieces.append(piece)
            piece = b""
            inside = character == b"[" or (inside and character != b"]")
        else:
            piece += character
    # What ends the pattern ends the path, too.
    pieces.append(piece + b"\0" if piece else b"")
    return max(pieces, key=len) or b"\0"


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
