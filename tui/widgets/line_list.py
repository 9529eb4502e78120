"""A list painted line by line: what is not on the screen costs nothing."""

from __future__ import annotations

from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip, get_line_length
from textual.widget import Widget

from tui.theme import glyphs
from tui.widgets.ground import Toned
from tui.widgets.moves import MOVES, Wheel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.style import Style

    from tui.theme import Part

    Make = Callable[[int], Sequence[Part]]


MOST_MARKS = 4
"""A cell's letter and its accents are no more characters."""
FOLD_SIGNS = "▸▾"
"""What stands before a line that more lines belong to, when they are hidden and when shown."""


class LineList(Wheel, Toned, Widget, can_focus=True):
    """Lines with a cursor, or, when `cursor` is False, a text to scroll through."""

    DEFAULT_CSS = "LineList { height: 1fr; }"
    COMPONENT_CLASSES = {"line-table--cursor"}
    BINDINGS = [
        *MOVES,
        Binding("greater_than_sign", "sideways(8)", "Right", show=False),
        Binding("less_than_sign", "sideways(-8)", "Left", show=False),
    ]

    class Moved(Message, bubble=False):
        """The cursor is on another line, or other lines are on the screen: told to the screen."""

        def __init__(self, lines: LineList) -> None:
            super().__init__()
            self.lines = lines

        def can_replace(self, message: Message) -> bool:
            """Tell of several moves once."""
            return isinstance(message, LineList.Moved) and message.lines is self.lines

    class Chosen(Message):
        """A line was clicked twice, or the sign that it folds by once."""

        def __init__(self, lines: LineList) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, *, cursor: bool = True, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.cursor = 0
        self.count = 0
        self._has_cursor = cursor
        self._top = 0
        self._left = 0
        self._make: Make = lambda _: ()
        self._glyphs = glyphs()

    def show(self, count: int, make: Make) -> None:
        """Show `count` lines; `make` gives a line's parts when it is painted."""
        before = self.count - self._top
        self.count, self._make = count, make
        self._settle()
        # What was empty and stays so is left alone.
        self.refresh(Region(0, 0, self.size.width, max(1, before, count - self._top)))

    def show_lines(self, lines: Sequence[Sequence[Part]]) -> None:
        """Show these lines."""
        self.show(len(lines), lambda number: lines[number])

    @property
    def below(self) -> int:
        """How many lines are below the screen."""
        return max(0, self.count - self._top - self.size.height)

    def go(self, line: int) -> None:
        """Put the cursor on a line, or scroll to it."""
        cursor, top = self.cursor, self._top
        if self._has_cursor:
            self.cursor = line
        else:
            self._top = line
        self._settle()
        if self._top != top:
            self.refresh()
        elif self.cursor != cursor:
            self.refresh(*(Region(0, y - top, self.size.width, 1) for y in (cursor, self.cursor)))
        else:
            return
        self._tell_moved()

    def _tell_moved(self) -> None:
        # Not through what it is in, each a turn of the event loop: the screen was painted before
        # it heard, and again behind it.
        if self.is_attached:
            self.screen.post_message(self.Moved(self))

    def _settle(self) -> None:
        """Keep the cursor on a line, the line on the screen, and no gap below the last."""
        height = max(1, self.size.height)
        self.cursor = max(0, min(self.cursor, self.count - 1))
        top = self._top
        if self._has_cursor:
            top = max(min(top, self.cursor), self.cursor - height + 1)
        self._top = max(0, min(top, self.count - height))

    def render_line(self, y: int) -> Strip:
        """Paint one line."""
        number, width, base = self._top + y, self.outer_size.width, self.ground
        if number >= self.count:
            return Strip.blank(width, base)
        here = self._has_cursor and number == self.cursor
        focused = self.has_focus
        lit = here and focused
        if lit:
            base += self.get_component_rich_style("line-table--cursor", partial=True)
        looks = self._tones.on(base, lit=lit)
        most = (self._left + width + 1) * MOST_MARKS  # a file's line may be all of its megabytes
        body = [Segment(text[:most], looks[tone]) for text, tone in self._make(number)]
        if not self._has_cursor:
            return Strip(self._cut(body, width, base), width)
        tone = "accent" if focused else "faint"
        bar = Segment(self._glyphs.cursor if here else " ", self._tones.on(base)[tone])
        return Strip([bar, *self._cut(body, width - 1, base)], width)

    def _cut(self, body: list[Segment], width: int, base: Style) -> list[Segment]:
        """Return the part of a line that is looked at, with a sign where it goes on."""
        length = get_line_length(body)
        if not self._left and length <= width:
            blanks = " " * (width - length)
            return [*body, Segment(blanks, base)] if blanks else body
        strip = Strip(body, length)
        shown = strip.crop_extend(self._left, self._left + width, base)
        if length > self._left + width > 0:
            more = Segment("…", self._tones.on(base)["accent"])
            return [*shown.crop(0, width - 1), more]
        return list(shown)

    def on_resize(self) -> None:
        """Keep the cursor on the screen."""
        self._settle()
        self.refresh()
        self._tell_moved()

    async def _on_key(self, event: events.Key) -> None:
        """Hand it to the screen past what the list is in, which has no use for keys."""
        event.stop()
        key = events.Key(event.key, event.character)
        key._set_forwarded()  # noqa: SLF001 - the app has seen it: it would come here again
        self.screen.post_message(key)

    def on_focus(self) -> None:
        """Show that keys go here."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move by lines."""
        self.go((self.cursor if self._has_cursor else self._top) + by)

    def action_page(self, by: int) -> None:
        """Move by screens."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_end(self, which: int) -> None:
        """Go to the first line (-1) or the last (1)."""
        self.go(0 if which < 0 else self.count - 1)

    def action_sideways(self, by: int) -> None:
        """Look at the rest of long lines."""
        self._left = max(0, self._left + by)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the mouse; two clicks, or one on a fold's sign, open the line."""
        line = self._top + event.y
        if self._has_cursor and line < self.count:
            self.go(line)
            # The first click of two on a sign has done it.
            if (event.chain == 2) != self._is_sign(line, event.x - 1 + self._left):
                self.post_message(self.Chosen(self))

    def _is_sign(self, line: int, column: int) -> bool:
        body = Strip([Segment(text) for text, _ in self._make(line)])
        clicked = body.crop(max(0, column - 1), column + 1).text
        return any(sign in clicked for sign in FOLD_SIGNS)
