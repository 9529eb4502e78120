"""The last lines of a log, bounded in bytes and in lines, and which of them match.

Lines stay the bytes they came as: what is never shown is never decoded.  Lines are known
by a number that counts from the first ever seen, so that a view can stay where it is
while old lines fall out.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections import deque
from itertools import islice

from tui.widgets.ansi import plain_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Line = tuple[int, bytes | bytearray]

COST = 100
"""Bytes that CPython needs for a line besides its text."""
MOST_LINES = 1_000_000
LONGEST = 1 << 20
"""A line that never ends is cut here."""
SEARCHED = 8 << 10
"""Characters of a line that a pattern looks at; some patterns take quadratic time."""
SLICE_S = 0.010


class LogRing:
    """Lines in the order they came; the oldest fall out."""

    def __init__(self, max_bytes: int, max_lines: int = MOST_LINES) -> None:
        self.first = 0
        """Number of the oldest line that is kept: so many have fallen out."""
        self.dropped_bytes = 0
        self.size_bytes = 0
        """Memory the kept lines take."""
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._lines: deque[Line] = deque()
        self._begun: dict[int, int] = {}
        """Number of the line that each stream has begun and not ended."""

    @property
    def end(self) -> int:
        """The number that the next line gets."""
        return self.first + len(self._lines)

    @property
    def settled(self) -> int:
        """The number up to which no line grows any more."""
        return min(self._begun.values(), default=self.end)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> Line:
        return self._lines[number - self.first]

    def lines(self, start: int, end: int) -> Iterable[Line]:
        """Return the lines with these numbers, `end` excluded."""
        return islice(self._lines, max(0, start - self.first), max(0, end - self.first))

    def extend(self, pieces: Iterable[Line]) -> None:
        """Add (stream, text) pieces; one that does not end in a newline is gone on with."""
        lines, begun, size = self._lines, self._begun, self.size_bytes
        for piece in pieces:
            stream, text = piece
            if begun and stream in begun:
                size += self._go_on(stream, text)
            else:
                lines.append(piece)
                size += len(text) + COST
                if not text.endswith(b"\n"):
                    begun[stream] = self.first + len(lines) - 1
            if size > self._max_bytes or len(lines) > self._max_lines:
                self.size_bytes = size
                self._drop()
                size = self.size_bytes
        self.size_bytes = size

    def _go_on(self, stream: int, text: bytes | bytearray) -> int:
        """Lengthen the line that the stream has begun; return by how many bytes."""
        place = self._begun[stream] - self.first
        begun = self._lines[place][1]
        if not isinstance(begun, bytearray):
            begun = bytearray(begun)
            self._lines[place] = (stream, begun)
        begun += text
        if text.endswith(b"\n") or len(begun) >= LONGEST:
            del self._begun[stream]
        return len(text)

    def _drop(self) -> None:
        lines = self._lines
        # The newest line stays, however long it is.
        while len(lines) > 1 and (
            self.size_bytes > self._max_bytes or len(lines) > self._max_lines
        ):
            text = lines.popleft()[1]
            self.size_bytes -= len(text) + COST
            self.dropped_bytes += len(text)
            self.first += 1
        for stream, number in list(self._begun.items()):
            if number < self.first:
                del self._begun[stream]


class Matches:
    """Tells which lines match what a person typed: a regular expression, or plain words.

    Letters' case counts only when a capital is typed.  What is no valid expression is
    searched as it stands.  A `!` in front keeps the lines that do not match.
    """

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self._inverse = wanted.startswith("!") and len(wanted) > 1
        wanted = wanted[self._inverse :]
        case = re.NOFLAG if any(letter.isupper() for letter in wanted) else re.IGNORECASE
        try:
            self._pattern = re.compile(wanted, case)
        except (re.error, OverflowError, RecursionError):
            self._pattern = re.compile(re.escape(wanted), case)

    def __call__(self, text: str) -> bool:
        """Tell whether the text holds it."""
        return (self._pattern.search(text, 0, SEARCHED) is None) is self._inverse

    def ranges(self, text: str) -> list[tuple[int, int]]:
        """Return where in the text it stands; empty finds do not count."""
        found = islice(self._pattern.finditer(text, 0, SEARCHED), 500)
        return [match.span() for match in found if match.end() > match.start()]


class Kept:
    """The numbers of the lines that pass a filter, found a slice at a time."""

    def __init__(self, ring: LogRing, matches: Callable[[str], bool], skip: int = 0) -> None:
        self.matches = matches
        self.numbers: deque[int] = deque()
        self._ring = ring
        self._next = ring.first
        self._skip = skip

    @property
    def pending(self) -> int:
        """How many lines have not been looked at."""
        return max(0, self._ring.settled - max(self._next, self._ring.first))

    def scan(self, seconds: float = SLICE_S) -> int:
        """Look at further lines for about so long; return how many passed."""
        ring, numbers = self._ring, self.numbers
        while numbers and numbers[0] < ring.first:
            numbers.popleft()
        number = self._next = max(self._next, ring.first)
        before = len(numbers)
        deadline = time.monotonic() + seconds
        for _, line in ring.lines(number, ring.settled):
            if self.matches(plain_text(line)[self._skip :]):
                numbers.append(number)
            number += 1
            if not number & 0xFF and time.monotonic() > deadline:
                break
        self._next = number
        return len(numbers) - before

    def place(self, number: int) -> int:
        """Return the place of the first kept line with at least this number."""
        return bisect_left(self.numbers, number)
