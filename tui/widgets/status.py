"""The two lines at the edges: where one is and what runs, and which keys are at hand."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.ground import Toned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from tui.theme import Part


CUT_UNSEEN = " ─-"
"""What may be cut without a word."""


class StatusLine(Toned, Widget):
    """One line of parts: the left ones are cut where both do not fit, the right ones stay."""

    class Clicked(Message):
        """The mouse pressed a key that the line shows, as people write it."""

        def __init__(self, sign: str) -> None:
            super().__init__()
            self.sign = sign

    def __init__(self, *, id: str) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._left: Sequence[Part] = ()
        self._right: Sequence[Part] = ()

    def show(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Show these; nothing is painted when they are the same as before."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint it."""
        base, width = self.ground, self.outer_size.width
        right = self._strip(self._right)
        left = self._strip(self._left)
        room = max(0, width - right.cell_length - bool(self._right))
        if left.crop(room).text.strip(CUT_UNSEEN):
            left = Strip.join([left.crop(0, max(0, room - 1)), Strip([Segment("…", base)])])
        left = left.extend_cell_length(width - right.cell_length, base)
        return Strip.join([left, right]).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        """Press the key that stands there, or that the words there belong to."""
        sign = sign_at(self._left, event.x)
        if sign:
            self.post_message(self.Clicked(sign))

    def _strip(self, parts: Sequence[Part]) -> Strip:
        looks = self._tones.on(self.ground)
        return Strip([Segment(text, looks[tone]) for text, tone in parts])


def sign_at(parts: Sequence[Part], x: int) -> str:
    """Return the key that column `x` of a line shows, nothing where it shows none.

    A numbered name is pressed by its number.  Of several keys (`[ ]`) that have the same
    words, the words are the last one's.
    """
    start, keys = 0, ""
    for text, tone in parts:
        end = start + cell_len(text)
        number = text.split()[0] if text.split() else ""
        if number.isdecimal() and len(number) == 1:
            keys = number
        elif tone == "accent":
            keys = text.strip()
        if start <= x < end:
            words = keys.split()
            if tone == "accent" and len(words) > 1:
                inside = text[: x - start + 1].split()
                return words[max(0, len(inside) - 1)]
            return words[-1] if words else ""
        start = end
    return ""


def that_fit(hints: Sequence[str], width: int) -> str:
    """Return the first of the hints, as many as there is room for."""
    words = ""
    for hint in hints:
        longer = f"{words}   {hint}" if words else hint
        if cell_len(longer) > width:
            break
        words = longer
    return words


BACK = (("esc", "back"), ("?", "help"))


def hint_parts(hints: Sequence[tuple[str, str]], width: int, kept: int = 1) -> list[Part]:
    """Return as many keys with their words as fit; the last ones, such as help, always do."""
    parts: list[Part] = []
    used = 0
    *rest, last = [(key, words, cell_len(key) + cell_len(words) + 3) for key, words in hints]
    always = [*rest[len(rest) - kept + 1 :], last]
    room = width - sum(size for _, _, size in always)
    for key, words, size in rest[: len(rest) - kept + 1]:
        if used + size > room:
            break
        parts += [(f" {key}", "accent"), (f" {words} ", "dim")]
        used += size
    for key, words, _ in always:
        parts += [(f" {key}", "accent"), (f" {words} ", "dim")]
    return parts


def screen_hints(hints: Sequence[tuple[str, str]], width: int) -> list[Part]:
    """Return the keys of a screen that can be left, which is always said, as is help."""
    return hint_parts([*hints, *BACK], width, len(BACK))
