"""Which rows of a log stand on the screen.

Where it stands is a line's number, so it stays on the same words while others come and fall
out.  A `place` counts the lines that can be shown, from the oldest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.widgets.ansi import Span
    from tui.widgets.log.ring import Kept, LogRing
    from tui.widgets.log.rows import LogRows

    Where = tuple[int, int]
    """Number of a line, and which of its rows."""

LAST_ROW = 1 << 30


class LogWindow:
    """So many rows of a ring as the screen is high."""

    def __init__(self, ring: LogRing, rows: LogRows) -> None:
        self._ring = ring
        self._rows = rows
        self.height = 0
        self.kept: Kept | None = None
        """Which lines can be shown; None: all."""
        self.following = True
        """Whether it stays at the newest line."""
        self.top: Where = (0, 0)
        """The first row shown."""
        self.shown: list[tuple[int, list[Span]]] = []
        """The rows, each with its line's number."""
        self.settled = 0
        """The number of the line after the last when the rows were chosen."""

    @property
    def count(self) -> int:
        """How many lines can be shown."""
        return len(self._ring) if self.kept is None else len(self.kept.numbers)

    @property
    def last(self) -> int:
        """The number of the last line on the screen; -1 when there is none."""
        return self.shown[-1][0] if self.shown else -1

    def place(self, number: int) -> int:
        """Return the place of a line, of one that is not shown where it would be."""
        if self.kept is not None:
            return self.kept.place(number)
        return max(0, number - self._ring.first)

    def number(self, place: int) -> int:
        """Return the number of the line at a place, or of the nearest one."""
        if not self.count:
            return self._ring.first
        place = max(0, min(place, self.count - 1))
        return self.kept.numbers[place] if self.kept else self._ring.first + place

    def settle(self) -> None:
        """Choose the rows."""
        height, count = self.height, self.count
        if self.following:
            self.top = self._end
        elif self.top[0] < self._ring.first:
            self.top = (self._ring.first, 0)
        rows: list[tuple[int, list[Span]]] = []
        place, skip = self.place(self.top[0]), self.top[1]
        while place < count and len(rows) < height:
            number = self.number(place)
            rows += [(number, row) for row in self._rows[number][skip:]]
            place, skip = place + 1, 0
        self.shown = rows[:height]
        self.settled = self._ring.end

    @property
    def _end(self) -> Where:
        """The first row of the last screen."""
        return self._before((self.number(self.count - 1), LAST_ROW), self.height - 1)

    def _before(self, where: Where, rows: int) -> Where:
        """Return the place `rows` rows before `where`, or the first."""
        if not self.count:
            return (self._ring.first, 0)
        number, row = where
        place = self.place(number)
        row = min(row, len(self._rows[self.number(place)]) - 1)
        while rows > row:
            if place == 0:
                return (self.number(0), 0)
            rows -= row + 1
            place -= 1
            row = len(self._rows[self.number(place)]) - 1
        return (self.number(place), row - rows)

    def _after(self, where: Where, rows: int) -> Where | None:
        """Return the place `rows` rows after `where`, None beyond the end."""
        number, row = where
        place, row = self.place(number), row + rows
        while place < self.count:
            size = len(self._rows[self.number(place)])
            if row < size:
                return (self.number(place), row)
            row -= size
            place += 1
        return None

    def scroll(self, by: int) -> None:
        """Go up or down by rows; who comes to the end wants to see what comes."""
        if by < 0:
            self.following = False
            self.top = self._before(self.top, -by)
            return
        last, there = self._end, self._after(self.top, by)
        if there is None or (self.place(there[0]), there[1]) >= (self.place(last[0]), last[1]):
            self.following = True
        else:
            self.top = there

    def go_first(self) -> None:
        """Go to the oldest line."""
        self.following, self.top = False, (self.number(0), 0)

    def reveal(self, number: int) -> None:
        """Bring a line onto the screen, with as little scrolling as it takes."""
        shown = [other for other, _ in self.shown]
        if number not in shown:
            self.following = False
            above = bool(shown) and number < shown[0]
            self.top = self._before((number, 0), 0 if above else self.height - 1)
