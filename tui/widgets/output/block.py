"""One command line with its answer, and how lines of an answer are wrapped."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.answers import Parts
    from tui.session.live import Live, Look

INDENT = "  "


class Block:
    """One command line and what came of it."""

    def __init__(self, number: int, line: str) -> None:
        self.number = number
        self.line = line
        self.note = "…"
        self.tone = "faint"
        self.body: Sequence[Parts] = ()
        self.wraps = True
        self.live: Live | None = None
        self.folded = False
        self.look: Look | None = None
        """As painted last."""
        self.lines: list[Parts] = []
        """As wrapped for the present width of the pane."""
        self.width = 0
        """Of the widest line."""


def wrap(parts: Parts, width: int) -> list[Parts]:
    """Cut a line into lines of at most `width` cells, at blanks where there are some."""
    if sum(cell_len(text) for text, _ in parts) <= width:
        return [parts]
    lines: list[Parts] = [[]]
    used = 0
    for text, tone in parts:
        for word in _words(text, width - len(INDENT)):
            if used and used + cell_len(word.rstrip()) > width:
                lines.append([(INDENT, "")])
                used = len(INDENT)
                word = word.lstrip()
            lines[-1].append((word, tone))
            used += cell_len(word)
    return lines


def _words(text: str, width: int) -> list[str]:
    """Return the words with the blanks that follow them, long ones in pieces."""
    words: list[str] = []
    for piece in text.split(" "):
        words += chop_cells(piece, width) if cell_len(piece) > width else [piece]
        words[-1] += " "
    words[-1] = words[-1][:-1]
    return words
