"""Finds lines that are on the screen already, some lines higher or lower.

A terminal moves lines by itself (DECSTBM, and IL or DL: ECMA-48, and the VT102's manual), for
two dozen bytes; to send them again is what a screen costs.
"""

from __future__ import annotations

from operator import itemgetter

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Cell = tuple[str, str, str]
    Row = Sequence[Cell]

LETTER = itemgetter(0)
LEAST = 4
"""So many lines more must come to where they belong than leave it."""


class Scroll(Record):
    """The lines from `top` to before `bottom` move up by `by`, or down where that is negative."""

    top: int
    bottom: int
    by: int

    @property
    def sequence(self) -> str:
        """What has a terminal do it; no colours may be set, the lines that come in have them."""
        lines = f"{self.by}M" if self.by > 0 else f"{-self.by}L"
        return f"\x1b[{self.top + 1};{self.bottom}r\x1b[{self.top + 1};1H\x1b[{lines}\x1b[r"

    def move(self, rows: list[list[Cell]], gap: list[Cell]) -> None:
        """Do with the rows of a screen as the terminal does; what comes in is a `gap`."""
        gaps = [gap.copy() for _ in range(abs(self.by))]
        if self.by > 0:
            rows[self.top : self.bottom] = rows[self.top + self.by : self.bottom] + gaps
        else:
            rows[self.top : self.bottom] = gaps + rows[self.top : self.bottom + self.by]


def find_scroll(before: Sequence[Row], after: Mapping[int, Row]) -> Scroll | None:
    """Return how most lines of `after` (those that change, by their place) come to be there.

    By their letters alone: what has another colour is painted over as any other cell.
    """
    if len(after) < LEAST:
        return None
    places: dict[str, int] = {}
    first, last = min(after), max(after)
    for place, row in enumerate(before[first : last + 1], first):
        text = _text(row)
        places[text] = -1 if text in places else place  # what is there twice tells nothing
    moves: dict[int, list[int]] = {}
    for place, row in after.items():
        was = places.get(_text(row), -1)
        if was not in (-1, place):
            moves.setdefault(was - place, []).append(place)
    if not moves:
        return None
    by, found = max(moves.items(), key=lambda item: len(item[1]))
    top, bottom = min(found) + min(by, 0), max(found) + max(by, 0) + 1
    leaving = sum(place not in after for place in range(top, bottom))
    return Scroll(top, bottom, by) if len(found) - leaving >= LEAST else None


def _text(row: Row) -> str:
    return "".join(map(LETTER, row))
