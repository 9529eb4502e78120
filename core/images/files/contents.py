"""The contents of an image's files, wherever its layers are: searched, and brought out.

Who has the layers gives contents in the order that is best there; one in a registry is read
once, whatever is wanted of it.
"""

from __future__ import annotations

import os

from core.errors import Error, NotFound
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from core.images.file_table import FileEntry
    from core.images.files.layer_stack import Stack

    Place = tuple[str, str]
    """A layer's diff ID, and the path of a regular file in it."""

CHUNK = 1 << 20
CONTENT_KINDS = ("file", "hardlink")
MOST_LINKS = 40
MOST_HITS = 200
AROUND = 60
"""Bytes of a line that are shown in front of what was found, and behind."""


class Content(Record):
    """A file of a layer; `pieces` can be gone through once, before the next content comes."""

    place: Place
    size: int
    pieces: Iterator[bytes]


class Hit(Record):
    """A file that holds a text; `words` is what stands around its first place."""

    path: str
    words: str


def place_of(stack: Stack, layers: Sequence[str], path: str, number: int) -> Place:
    """Return where the content of a file is that layers up to `number` show at a path.

    `layers` are their diff IDs, the lowest first.  Raises NotFound for what has no content.
    """
    holders = [
        holder
        for holder, entry in stack.versions(path)
        if entry is not None and entry.kind in CONTENT_KINDS and holder <= number
    ]
    name, entry = _behind_links(stack, path, holders[-1]) if holders else ("", None)
    if not holders or (entry is not None and entry.kind not in CONTENT_KINDS):
        raise NotFound(f"/{path} has no content", subject=path)
    return layers[holders[-1]], name


def followed(stack: Stack, path: str, entry: FileEntry, number: int) -> FileEntry:
    """Return what layers up to `number` show at a path, where that is `entry`, hard links followed.

    One that leads out of its layer stays what it is.
    """
    if entry.kind != "hardlink":
        return entry
    holder = max(holder for holder, own in stack.versions(path) if own and holder <= number)
    return _behind_links(stack, path, holder)[1] or entry


def _behind_links(stack: Stack, path: str, holder: int) -> tuple[str, FileEntry | None]:
    """Return where the hard links of a layer lead that begin at a path, and what it has there."""
    entry = None
    for _ in range(MOST_LINKS):
        entry = dict(stack.versions(path)).get(holder)
        if entry is None or entry.kind != "hardlink":
            break
        path = entry.link
    return path, entry


def open_contents(
    opener: Callable[[str, str], int], places: Iterable[Place], *, missing_ok: bool = False
) -> Iterator[Content]:
    """Yield contents of files that `opener` opens.

    With `missing_ok` what cannot be opened is left out; else that raises as `opener` does.
    """
    for place in places:
        try:
            fd = opener(*place)
        except (Error, OSError):
            if missing_ok:
                continue
            raise
        with os.fdopen(fd, "rb", buffering=0) as file:
            yield Content(place, os.fstat(fd).st_size, iter(lambda: file.read(CHUNK), b""))


def search(contents: Iterable[Content], paths: Mapping[Place, str], wanted: str) -> list[Hit]:
    """Return the first files that hold the text, by path; `paths` says what to call each.

    Without capital letters in it, case is ignored.
    """
    ignore_case = wanted == wanted.lower()
    sought = wanted.encode("utf-8", "surrogateescape")
    hits: list[Hit] = []
    for content in contents:
        words = _first(content.pieces, sought, ignore_case=ignore_case)
        if words is not None:
            hits.append(Hit(paths[content.place], words))
        if len(hits) == MOST_HITS:
            break
    return sorted(hits, key=lambda hit: hit.path)


def _first(pieces: Iterator[bytes], sought: bytes, *, ignore_case: bool) -> str | None:
    """Return what stands around the first place, None for none."""
    kept = len(sought) - 1 + AROUND
    before = b""
    for piece in pieces:
        data = before + piece
        place = (data.lower() if ignore_case else data).find(sought)
        if place >= 0:
            return _around(data, place, len(sought))
        before = data[-kept:]
    return None


def _around(data: bytes, place: int, length: int) -> str:
    start = max(data.rfind(b"\n", 0, place) + 1, place - AROUND)
    end = data.find(b"\n", place + length)
    end = min(len(data) if end < 0 else end, place + length + AROUND)
    return data[start:end].decode("utf-8", "replace").strip()
