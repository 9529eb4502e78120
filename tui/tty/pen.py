"""Writes cells in few bytes: where to, in which colours, which letters.

To change colours and to change them back costs up to forty bytes, to go elsewhere eight: so all
that has one look is written, then all that has the next.  A stretch of blanks is erased at once
(ECH), on terminals that leave the background behind that is set (terminfo: `bce`).
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Cell = tuple[str, str, str]
    """Text (empty for the right half of a wide character), SGR codes, link."""
    Look = tuple[str, str]
    """SGR codes, link."""
    Stroke = tuple[int, int, str, Look]
    """What is written in one go: the first column, the one where the cursor is then, text, look."""

UNSEEN_ON_BLANKS = frozenset(("", "0", "1", "2", "3", "5"))
"""Attributes that do not show without a letter: none, bold, dim, italic, blinking."""
IN_PLACE = 0
"""The rank of what comes before all that is sorted by its look."""
NOWHERE = -1
"""Terminals disagree about the width of joined characters, and so about where the cursor is."""
LEAST = 6
"""So many blanks at an end are cheaper to erase than to write."""
INNER = re.compile(r" {12,}")
"""So many elsewhere: they have to be stepped over as well."""


def can_erase(term: str) -> bool:
    """Tell whether a terminal erases characters and gives them the background that is set."""
    import _curses

    try:
        _curses.setupterm(term, 1)
    except _curses.error:  # unknown
        return False
    return _curses.tigetflag("bce") == 1 and _curses.tigetstr("ech") == b"\x1b[%p1%dX"


class Pen:
    """Collects what one update writes."""

    def __init__(self, *, erases: bool) -> None:
        self._erases = erases
        self._before = ""
        self._strokes: list[tuple[int, int, Stroke]] = []
        """The rank of each one's look, its line, and itself."""
        self._ranks: dict[Look, int] = {}

    def send(self, sequence: str) -> None:
        """Send a sequence before anything is written."""
        self._before += sequence

    def write(self, x: int, y: int, cells: Sequence[Cell], *, in_place: bool) -> None:
        """Write cells from column `x` of line `y` on; `in_place`: from left to right."""
        ranks = self._ranks
        for stroke in _strokes(x, cells):
            rank = IN_PLACE if in_place else ranks.setdefault(stroke[3], len(ranks) + 1)
            self._strokes.append((rank, y, stroke))

    def end(self) -> str:
        """Return all that is sent; it leaves the terminal without colours and links."""
        out, sgr, link, here = [self._before], "", "", (NOWHERE, NOWHERE)
        self._strokes.sort(key=_rank)
        for _, y, (x, end, text, (now, target)) in self._strokes:
            if here != (x, y):
                out.append(f"\x1b[{y + 1};{x + 1}H")
            if target != link:
                out.append(f"\x1b]8;;{target}\x1b\\")
                link = target
            if now != sgr:
                out.append(_change(sgr, now))
                sgr = now
            if self._erases and not link and " " * LEAST in text and _is_unseen(sgr):
                text, short = _erase(text)
                end -= short
            out.append(text)
            here = (end, y)
        if link:
            out.append("\x1b]8;;\x1b\\")
        if sgr:
            out.append("\x1b[0m")
        return "".join(out)


def _rank(stroke: tuple[int, int, Stroke]) -> int:
    return stroke[0]


def _strokes(x: int, cells: Sequence[Cell]) -> Iterator[Stroke]:
    """Part cells where the look changes, and around each joined character."""
    text, start, look, is_joined = "", x, ("", ""), False
    for place, (letter, sgr, link) in enumerate(cells, x):
        if not letter:
            continue
        if text and (
            is_joined
            or len(letter) > 1
            or (sgr != look[0] and not (letter == " " and _blanks_alike(look[0], sgr)))
            or link != look[1]
        ):
            yield start, NOWHERE if is_joined else place, text, look
            text = ""
        if not text:
            start, look, is_joined = place, (sgr, link), len(letter) > 1
        text += letter
    if text:
        yield start, NOWHERE if is_joined else x + len(cells), text, look


def _erase(text: str) -> tuple[str, int]:
    """Return text that erases its blanks, and by how much the cursor then is short of its end."""
    kept = text.rstrip(" ")
    blanks = len(text) - len(kept)
    written = INNER.sub(lambda found: "\x1b[{0}X\x1b[{0}C".format(len(found[0])), kept)
    if blanks < LEAST:
        return written + " " * blanks, 0
    return f"{written}\x1b[{blanks}X", blanks


@lru_cache(4096)
def _change(before: str, now: str) -> str:
    """Return the shortest sequence that turns one set of SGR codes into another."""
    old, new = _split(before), _split(now)
    if not before or not now or old[0] != new[0] or "" in new[1:]:
        return f"\x1b[0;{now}m" if before and now else f"\x1b[{now}m"
    return "\x1b[" + ";".join(code for code, was in zip(new, old, strict=True) if code != was) + "m"


@lru_cache(4096)
def _blanks_alike(one: str, other: str) -> bool:
    """Tell whether a blank looks the same with either codes, whatever its foreground."""
    same = bool(one) and bool(other) and _split(one)[2] == _split(other)[2]
    return same and _is_unseen(one) and _is_unseen(other)


@lru_cache(4096)
def _is_unseen(codes: str) -> bool:
    """Tell whether of codes a blank shows no more than the background."""
    return UNSEEN_ON_BLANKS.issuperset(_split(codes)[0].split(";"))


def _split(codes: str) -> tuple[str, str, str]:
    """Return attributes, foreground and background of codes in Textual's order."""
    numbers = codes.split(";")
    attributes, colours = [], ["", ""]
    while numbers:
        number = int(numbers.pop(0) or 0)
        more = {"5": 2, "2": 4}.get(numbers[0], 0) if number in (38, 48) and numbers else 0
        whole = ";".join([str(number), *numbers[:more]])
        del numbers[:more]
        if number in (38, 39) or 30 <= number <= 37 or 90 <= number <= 97:
            colours[0] = whole
        elif number in (48, 49) or 40 <= number <= 47 or 100 <= number <= 107:
            colours[1] = whole
        else:
            attributes.append(whole)
    return ";".join(attributes), colours[0], colours[1]
