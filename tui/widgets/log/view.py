"""Shows a log of any length and speed: only lines on the screen are decoded.

Lines come as bytes, many at a time.  Where the view stands is a line's number, so it stays on
the same words while others come and fall out.
"""

from __future__ import annotations

import time

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from core.containers.log.blocks import Block
from tui.theme import Tones, glyphs
from tui.widgets.ground import OnGround
from tui.widgets.log.levels import ERROR, WARN, find_level
from tui.widgets.log.ring import Kept, LogRing, Matches
from tui.widgets.log.rows import PRETTY, RAW, SHORT, STAMP, LogRows
from tui.widgets.log.window import LogWindow
from tui.widgets.moves import Wheel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.containers.log.blocks import Line
    from tui.widgets.log.ring import Lot

GUTTER = 2
STDERR = 2
FLOOD_S = 0.25
"""Time between two pictures while more than a screen comes in between them."""
RATE_S = 1.0


class LogView(Wheel, OnGround, Widget, can_focus=True):
    """A log with following, searching, filtering, wrapping and selecting.

    Each line begins with its time (RFC 3339, nine decimals).
    """

    BINDINGS = [
        Binding("down,j,ctrl+n", "move(1)", "Down", show=False),
        Binding("up,k,ctrl+p", "move(-1)", "Up", show=False),
        Binding("pagedown,space,ctrl+f,ctrl+v", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b,alt+v", "page(-1)", "Page up", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("g,home,alt+less_than_sign", "first", "Oldest line", show=False),
        Binding("G,end,f,F,alt+greater_than_sign", "follow", "Newest line, and follow", show=False),
        Binding("n", "hit(1)", "Next match", show=False),
        Binding("N", "hit(-1)", "Match before", show=False),
        Binding("w", "wrap", "Wrap long lines", show=False),
        Binding("T", "stamps", "Show times", show=False),
        Binding("V", "select", "Select lines", show=False),
        Binding("v", "level", "Only warnings, only errors, all", show=False),
        Binding("J", "json", "JSON lines in words, indented, as they came", show=False),
    ]

    class Changed(Message):
        """Where it stands, what it keeps or how much there is has changed."""

    class Missed(Message):
        """No line has what is searched."""

        def __init__(self, wanted: str) -> None:
            super().__init__()
            self.wanted = wanted

    def __init__(
        self,
        max_bytes: int,
        *,
        named: int = 0,
        id: str | None = None,  # noqa: A002 - the base's name
    ) -> None:
        super().__init__(id=id)
        self.ring = LogRing(max_bytes)
        self._empty = ""
        self._tones = Tones(self)
        self._glyphs = glyphs()
        self.rows = LogRows(self.ring, self._tones)
        self.rows.named = named
        self._window = LogWindow(self.ring, self.rows)
        self._wanted: Matches | None = None
        self.level = 0
        """The least level of the lines that are shown; 0: all."""
        self._hit = -1
        self._anchor = -1
        self._cursor = -1
        """Ends of the selection; -1 when nothing is selected."""
        self._flooded = 0.0
        """When more than a screen was last shown at once."""
        self._rated = (time.monotonic(), -1)
        """When lines were last counted, and how many; -1: none yet, what comes is the past."""
        self.rate = 0
        """Lines a second that come in."""

    # What comes in

    def feed(self, lots: Iterable[Lot]) -> None:
        """Take further lines; the screen is painted once however many there are."""
        ring, window = self.ring, self._window
        before, end = ring.first, ring.end
        for lot in lots:
            ring.extend(lot)
        if window.kept is not None:
            window.kept.scan()
        if window.following or ring.first != before or end - window.top[0] <= self.size.height:
            stands = ring.first <= window.top[0]  # what is on the screen has not fallen out
            if window.following and stands and ring.end - window.settled > self.size.height:
                if time.monotonic() - self._flooded < FLOOD_S:
                    return  # nobody reads what is replaced at once; `tick` shows it
                self._flooded = time.monotonic()
            self._settle()
        self.post_message(self.Changed())

    def tick(self) -> None:
        """Go on with what was not finished, and measure how fast lines come."""
        if self._window.kept is not None and self._window.kept.pending:
            self._window.kept.scan()
            self._settle()
            self.post_message(self.Changed())
        if self._window.settled != self.ring.end and time.monotonic() - self._flooded >= FLOOD_S:
            self._flooded = time.monotonic()
            self._settle()
            self.post_message(self.Changed())
        before, count = self._rated
        now = time.monotonic()
        if now - before >= RATE_S:
            rate = round((self.ring.end - count) / (now - before)) if count >= 0 else 0
            self._rated = (now, self.ring.end)
            if rate != self.rate:
                self.rate = rate
                self.post_message(self.Changed())

    # Which lines are shown

    @property
    def count(self) -> int:
        """How many lines can be shown."""
        return self._window.count

    @property
    def following(self) -> bool:
        """Whether it stays at the newest line."""
        return self._window.following

    @property
    def filter(self) -> str:
        """What lines must match to be shown."""
        return self._wanted.wanted if self._wanted else ""

    @property
    def pending(self) -> int:
        """How many lines the filter has not looked at."""
        return self._window.kept.pending if self._window.kept else 0

    @property
    def missed(self) -> int:
        """How many lines came too fast for the filter to look at them."""
        return self._window.kept.missed if self._window.kept else 0

    @property
    def selecting(self) -> bool:
        """Whether lines are being selected."""
        return self._cursor >= 0

    @property
    def position(self) -> int:
        """Which of the `count` lines is the last on the screen, from 1."""
        return self._window.place(self._window.last) + 1 if self._window.shown else 0

    def shown(self) -> list[str]:
        """Return the lines on the screen, or those that are selected."""
        if self.selecting:
            return [self.rows.text(number) for number in self._selected()]
        return [
            self.rows.text(number) for number in dict.fromkeys(n for n, _ in self._window.shown)
        ]

    def _selected(self) -> list[int]:
        low, high = sorted((self._anchor, self._cursor))
        return [
            self._window.number(place)
            for place in range(self._window.place(low), self._window.place(high) + 1)
        ]

    def everything(self) -> Iterator[Line]:
        """Return all lines that pass the filter now, as they came: another thread may go on."""
        ring = self.ring.copy()
        if self._window.kept is None:
            return ring.lines(ring.first, ring.end)
        return map(ring.__getitem__, self._window.kept.numbers.copy())

    # Rows

    def _forget(self) -> None:
        self.rows.forget()
        self._settle()

    def _settle(self) -> None:
        """Choose the rows of the screen, and paint them."""
        self._window.height = self.size.height
        if self.size.height:
            self._window.settle()
            self.refresh()

    # Painting

    def render_line(self, y: int) -> Strip:
        """Paint one row."""
        width, base = self.size.width, self.ground
        if not self._window.shown and y == 1 and self._empty:
            return Strip(
                [Segment(f"  {self._empty}", base + self._tones["dim"])]
            ).adjust_cell_length(width, base)
        if y >= len(self._window.shown):
            return Strip.blank(width, base)
        number, row = self._window.shown[y]
        mark = base
        if self.selecting:
            low, high = sorted((self._anchor, self._cursor))
            if low <= number <= high:
                mark = base + self._tones["primary"] + Style(reverse=True)
        wrong = self.ring[number][0] == STDERR if number >= self.ring.first else False
        sign = self._glyphs.cursor if wrong else " "
        here = ">" if number == self._hit else " "
        gutter = [
            Segment(sign, base + self._tones["warn"]),
            Segment(here, base + self._tones["accent"]),
        ]
        body = Strip([Segment(text, mark + style) for text, style in row])
        left = 0 if self.rows.wraps else self.rows.left
        whole = body.cell_length
        body = body.crop_extend(left, left + width - GUTTER, mark)
        if whole > left + width - GUTTER > 0 and not self.rows.wraps:
            more = Segment("…", mark + self._tones["accent"])
            body = Strip.join([body.crop(0, width - GUTTER - 1), Strip([more], 1)])
        return Strip.join([Strip(gutter, GUTTER), body])

    def notify_style_update(self) -> None:
        """Take the colours of another theme."""
        super().notify_style_update()
        self._forget()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.rows.width = self.size.width - GUTTER
        self._forget()

    # Keys

    def action_move(self, by: int) -> None:
        """Scroll by rows, or move the end of the selection."""
        if not self.count:
            return
        if self.selecting:
            self._move_cursor(by)
            return
        self._window.scroll(by)
        self._settle()
        self.post_message(self.Changed())

    def _move_cursor(self, by: int) -> None:
        place = max(0, min(self._window.place(self._cursor) + by, self.count - 1))
        self._cursor = self._window.number(place)
        self._reveal(self._cursor)
        self.post_message(self.Changed())

    def _reveal(self, number: int) -> None:
        """Bring a line onto the screen, with as little scrolling as it takes."""
        self._window.reveal(number)
        self._settle()

    def action_page(self, by: int) -> None:
        """Scroll by screens."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_sideways(self, by: int) -> None:
        """Look at the rest of long lines."""
        if not self.rows.wraps:
            self.rows.left = max(0, self.rows.left + by)
            self._forget()

    def action_first(self) -> None:
        """Go to the oldest line that is kept."""
        if self.selecting:
            self._move_cursor(-self.count)
            return
        self._window.go_first()
        self._settle()
        self.post_message(self.Changed())

    def action_follow(self) -> None:
        """Go to the newest line and stay at the end."""
        if self.selecting:
            self._move_cursor(self.count)
            return
        self._window.following = True
        self._settle()
        self.post_message(self.Changed())

    def action_wrap(self) -> None:
        """Show long lines whole, in several rows."""
        self.rows.wraps = not self.rows.wraps
        self.rows.left = 0
        self._window.top = (self._window.top[0], 0)
        self._forget()
        self.post_message(self.Changed())

    def action_stamps(self) -> None:
        """Show when each line was written, in UTC."""
        self.rows.stamps = not self.rows.stamps
        self._forget()
        self.post_message(self.Changed())

    def action_select(self) -> None:
        """Begin to select lines at the last one shown, or end it."""
        self._anchor = self._cursor = -1 if self.selecting else self._window.last
        self._window.following = False
        self.refresh()
        self.post_message(self.Changed())

    def leave_selection(self) -> bool:
        """End selecting; return whether lines were being selected."""
        was = self.selecting
        if was:
            self.action_select()
        return was

    def say_when_empty(self, words: str) -> None:
        """Have `words` stand where no line is shown."""
        if words != self._empty:
            self._empty = words
            self.refresh()

    def keep(self, wanted: str) -> None:
        """Show only lines that match; the empty filter shows all."""
        if wanted != self.filter:
            self._wanted = Matches(wanted) if wanted else None
            self._keep()

    def action_level(self) -> None:
        """Show only warnings and errors; then only errors; then all again."""
        self.level = {0: WARN, WARN: ERROR}.get(self.level, 0)
        self._keep()

    def _keep(self) -> None:
        """Choose the lines anew."""
        kept = None
        if self._wanted is not None:
            kept = Kept(self.ring, self._passes, STAMP, self._wanted.rules_out)
        elif self.level:
            kept = Kept(self.ring, self._passes, STAMP)
        self._window.kept = kept
        if kept is not None:
            kept.scan()
        self._settle()
        self.post_message(self.Changed())

    def _passes(self, text: str) -> bool:
        if self.level and find_level(text[self.rows.named :])[0] < self.level:
            return False
        return self._wanted is None or self._wanted(text)

    def action_json(self) -> None:
        """Show JSON lines in a person's words; then indented; then as they came."""
        self.rows.json = {RAW: SHORT, SHORT: PRETTY}.get(self.rows.json, RAW)
        self._window.top = (self._window.top[0], 0)
        self._forget()
        self.post_message(self.Changed())

    def search(self, wanted: str) -> None:
        """Show where it stands: on the screen, else the nearest above, else below."""
        self.rows.searched = Matches(wanted) if wanted else None
        self._hit = -1
        self.rows.forget()
        if self.rows.searched:
            start = self._window.place(self._window.last) if self._window.shown else 0
            self._go_to_hit([*range(start, -1, -1), *range(start + 1, self.count)])
        self._settle()
        self.post_message(self.Changed())

    def action_hit(self, by: int) -> None:
        """Go to the next line that holds what is searched, or the one before."""
        if not self.rows.searched or not self.count:
            return
        start = self._window.place(self._hit if self._hit >= 0 else self._window.last)
        ahead = range(start + by, self.count if by > 0 else -1, by)
        around = range(0 if by > 0 else self.count - 1, start + by, by)
        self._go_to_hit([*ahead, *around])
        self.post_message(self.Changed())

    def _go_to_hit(self, places: Sequence[int]) -> None:
        wanted = self.rows.searched
        if wanted is None:
            return
        block, is_ruled_out = -1, False
        for place in places:
            if place >= self.count:
                continue  # there are no lines, or those that were shown fell out
            number = self._window.number(place)
            start, part = self.ring.part(number)
            if start != block:
                block = start
                is_ruled_out = (
                    not self.rows.stamps  # which stand elsewhere in the file
                    and isinstance(part, Block)
                    and part.lacks(wanted.rules_out)
                )
            if not is_ruled_out and wanted(self.rows.text(number)):
                self._hit = number
                self._reveal(number)
                return
        self.post_message(self.Missed(wanted.wanted))
