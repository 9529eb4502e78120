"""The last resort for terminals and fonts that have nothing but ASCII."""

from __future__ import annotations

from rich.segment import Segment
from textual.filter import LineFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.color import Color

INSTEAD = str.maketrans({
    "…": "~", "▾": "v", "▸": ">", "→": ">", "─": "-", "━": "=", "│": "|", "▌": ">", "▏": "|",
    "┌": "+", "┐": "+", "└": "+", "┘": "+",
    "●": "*", "◐": "=", "○": "o", "✕": "x", "›": ">", "▼": "v", "▲": "^", "·": ".", "×": "x",
    "▁": "_", "▂": ".", "▃": "-", "▄": ":", "▅": "=", "▆": "+", "▇": "*", "█": "#",
})  # fmt: skip
"""Each sign the app draws, and a character of the same width that says nearly the same."""


class AsciiOnly(LineFilter):
    """Replaces the app's own signs; what containers print stays as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line with the signs replaced."""
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(INSTEAD), segment.style, segment.control)
            for segment in segments
        ]
