"""What the mouse has marked in a terminal: signs from one place to another, over several lines."""

from __future__ import annotations

from core.record import Record

Place = tuple[int, int]
"""Line, counted from the oldest that is kept, and column."""


class Selection(Record):
    """From where the button went down to where the mouse is, both of them included."""

    start: Place
    end: Place

    def on_line(self, line: int, width: int) -> range:
        """Return the columns of a line that are marked."""
        first, last = sorted((self.start, self.end))
        if not first[0] <= line <= last[0]:
            return range(0)
        begin = first[1] if line == first[0] else 0
        end = last[1] + 1 if line == last[0] else width
        return range(begin, min(end, width))

    @property
    def lines(self) -> range:
        """The lines that it is about."""
        first, last = sorted((self.start, self.end))
        return range(first[0], last[0] + 1)
