"""Which files of an image hold a text: every file is read, piece by piece."""

from __future__ import annotations

import os

from core.errors import Error
from core.record import Record
from tui.answers import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_HITS = 200
PIECE = 4 << 20
AROUND = 60
"""Bytes of a line that are shown in front of what was found, and behind."""


class Hit(Record):
    """A file that holds it; `words` is the first place in it."""

    path: str
    words: str


def search_contents(
    files: Iterable[tuple[str, Callable[[], int]]], wanted: str, stopped: Callable[[], bool]
) -> list[Hit]:
    """Return the first files that hold the text; without capital letters in it, case is ignored.

    `files` are paths, and what opens each.  A file that cannot be opened holds nothing.
    """
    ignore_case = wanted == wanted.lower()
    sought = wanted.encode("utf-8", "surrogateescape")
    hits: list[Hit] = []
    for path, opener in files:
        if stopped() or len(hits) == MOST_HITS:
            break
        try:
            words = _first(opener(), sought, ignore_case=ignore_case)
        except (Error, OSError):
            continue
        if words is not None:
            hits.append(Hit(path, words))
    return hits


def _first(fd: int, sought: bytes, *, ignore_case: bool) -> str | None:
    """Return what stands around the first place, None for none; closes the descriptor."""
    kept = len(sought) - 1 + AROUND
    before = b""
    with os.fdopen(fd, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
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
    return visible(data[start:end].decode("utf-8", "replace").strip())
