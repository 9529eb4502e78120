"""What a terminal's cells show, to be compared with one another."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyte

    Cells = list[list[tuple[str, ...]]]


def cells(screen: pyte.Screen) -> Cells:
    """Return text, colours and attributes of every cell; of a blank those that can be seen."""
    return [
        [_cell(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)
    ]


def _cell(char: pyte.screens.Char) -> tuple[str, ...]:
    if char.data == " " and not (char.underscore or char.reverse or char.strikethrough):
        return " ", char.bg
    on = (char.bold, char.italics, char.underscore, char.reverse, char.strikethrough)
    return char.data, char.fg, char.bg, *map(str, on)
