"""The terminal's own side: what it shows after all that was written to it, and what that lacks."""

from __future__ import annotations

import re

import pyte
from pyte.screens import Char

from tests.e2e.terminal import COMPLETE, readable
from tests.screen_cells import cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.screen_cells import Cells

MARK = re.compile(rb"\x1b\]7077;(\d+)\x07")
"""Written by the watched app where it stood when it told what it means to show."""
UNPAINTED = Char("▓")
"""What a terminal shows after a change of its size is its own business."""
NEVER = re.compile(
    r"\[/?(?:bold|dim|italic|red|green|yellow|blue|reverse|link)\b|\[/\]|Traceback \(most"
    r"|<[\w.]+ object at 0x|\bNone\b(?!['\"])"
)
"""Words that nobody means to show."""


class Glass:
    """A terminal's picture."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._half = b""
        self.seen: dict[int, tuple[Cells, tuple[int, int]]] = {}
        """By the number of a mark: the cells, and where the cursor was."""

    @property
    def text(self) -> str:
        """What is shown, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def resize(self, columns: int, rows: int) -> None:
        """Have another size, with nothing of use on it."""
        if (columns, rows) == (self._screen.columns, self._screen.lines):
            return
        self._screen.resize(rows, columns)
        for y in range(rows):
            self._screen.buffer[y].update(dict.fromkeys(range(columns), UNPAINTED))

    def feed(self, data: bytes) -> None:
        """Show what was written."""
        data = self._half + data
        cut = data.rfind(b"\x1b")
        whole = cut < 0 or len(data) - cut > 4096 or COMPLETE.match(data, cut)
        data, self._half = (data, b"") if whole else (data[:cut], data[cut:])
        for number, part in enumerate(MARK.split(data)):
            if number % 2:
                cursor = self._screen.cursor
                self.seen[int(part)] = cells(self._screen), (cursor.x, cursor.y)
            else:
                self._stream.feed(readable(part))


def painted(columns: int, rows: int, picture: str) -> Cells:
    """Return the cells of a terminal to which a whole picture was written."""
    screen = pyte.Screen(columns, rows)
    pyte.ByteStream(screen).feed(readable(picture.encode()))
    return cells(screen)


def differing(seen: Cells, meant: Cells) -> list[str]:
    """Return for each line that differs what is shown, what is meant, and where they part."""
    found = []
    for y, (one, other) in enumerate(zip(seen, meant, strict=True)):
        if one != other:
            x = next(x for x, cell in enumerate(one) if cell != other[x])
            found.append(
                f"line {y} from column {x}: {one[x]} for {other[x]}\n"
                f" shown {line(one)}\n meant {line(other)}"
            )
    return found


def line(cells_: list[tuple[str, ...]]) -> str:
    """Return the text of cells."""
    return "".join(cell[0] for cell in cells_).rstrip()
