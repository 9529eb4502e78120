"""The last lines of a log, bounded in bytes and in lines, and which of them match.

Lines stay the bytes they came as, in blocks where they came so: what is never looked at is
never taken apart.  Lines are known by a number that counts from the first ever seen, so that
a view can stay where it is while old lines fall out.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import islice

from core.containers.log.blocks import Block
from tui.widgets.ansi import plain_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from core.containers.log.blocks import Line

    Lot = Block | Sequence[Line]
    """Lines that come at once; a block of whole ones, or pieces."""

COST = 100
"""Bytes that CPython needs for a line, or for a block, besides its text."""
FEW, MANY = 64, 256
"""A block of few lines is not worth being kept as one; so many single ones are in a part."""
MOST_LOOKED_INTO = 20_000
"""Lines that blocks were taken apart into, and that are remembered."""
MOST_LINES = 1_000_000
LONGEST = 1 << 20
"""A line that never ends is cut here."""
SEARCHED = 8 << 10
"""Characters of a line that a pattern looks at; some patterns take quadratic time."""
SLICE_S = 0.010
NEWEST = 5000
"""Where lines fall out before they are looked at, these are worth more than those to go next."""
PLAIN = re.compile(r"[ !#%&',/0-9:;<=>@A-Z_`a-z~-]+")
"""What stands for itself in a regular expression, and in a JSON string."""


def size_of(lot: Lot) -> int:
    """Return the bytes of its text."""
    return lot.size if isinstance(lot, Block) else sum(len(text) for _, text in lot)


class LogRing:
    """Lines in the order they came; the oldest fall out."""

    def __init__(self, max_bytes: int, max_lines: int = MOST_LINES) -> None:
        self.first = 0
        """Number of the oldest line that is kept: so many have fallen out."""
        self.end = 0
        """The number that the next line gets."""
        self.size_bytes = 0
        """Memory the kept lines take."""
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._parts: deque[Block | deque[Line]] = deque()
        """Blocks that nobody has looked into, and between them lines that came one by one."""
        self._starts: deque[int] = deque()
        """Number of the first line of each part."""
        self._looked_into: dict[int, list[Line]] = {}
        """Lines of the blocks that were looked into last, by the number of their first."""
        self._begun: dict[int, int] = {}
        """Number of the line that each stream has begun and not ended."""

    @property
    def settled(self) -> int:
        """The number up to which no line grows any more."""
        return min(self._begun.values(), default=self.end)

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, number: int) -> Line:
        place = self._place(number)
        return self._lines(place)[number - self._starts[place]]

    def lines(self, start: int, end: int) -> Iterator[Line]:
        """Return the lines with these numbers, `end` excluded."""
        number, end = max(start, self.first), min(end, self.end)
        place = self._place(number)
        while number < end:
            start, lines = self._starts[place], self._lines(place)
            yield from islice(lines, number - start, end - start)
            number, place = start + len(lines), place + 1

    def part(self, number: int) -> tuple[int, Block | deque[Line]]:
        """Return the part that a line is in, behind the number of its first."""
        place = self._place(number)
        return self._starts[place], self._parts[place]

    def copy(self) -> LogRing:
        """Return a ring with the same lines, which nothing is added to: for another thread."""
        copied = LogRing(self._max_bytes, self._max_lines)
        copied.first, copied.end, copied.size_bytes = self.first, self.end, self.size_bytes
        copied._starts = self._starts.copy()
        copied._parts = deque(
            part if isinstance(part, Block) else part.copy() for part in self._parts
        )
        for number in self._begun.values():
            stream, text = self[number]
            copied._replace(number, (stream, bytes(text)))
        return copied

    def _place(self, number: int) -> int:
        """Return which part a line is in."""
        return bisect_right(self._starts, number) - 1

    def _lines(self, place: int) -> Sequence[Line]:
        part = self._parts[place]
        if not isinstance(part, Block):
            return part
        known, start = self._looked_into, self._starts[place]
        if start not in known:
            known[start] = part.lines()
            while len(known) > 1 and sum(map(len, known.values())) > MOST_LOOKED_INTO:
                del known[next(iter(known))]
        return known[start]

    def extend(self, lot: Lot) -> None:
        """Add lines: a block, or pieces, of which one without a newline is gone on with."""
        if isinstance(lot, Block) and len(lot) >= FEW and not self._begun:
            self._append(lot, len(lot))
            self.size_bytes += lot.size + COST
        else:
            self._add(lot)
        self._drop()

    def _append(self, part: Block | deque[Line], count: int) -> None:
        self._starts.append(self.end)
        self._parts.append(part)
        self.end += count

    def _add(self, pieces: Iterable[Line]) -> None:
        begun = self._begun
        for piece in pieces:
            stream, text = piece
            if stream in begun:
                self._go_on(stream, text)
            else:
                if not text.endswith(b"\n"):
                    begun[stream] = self.end
                self._newest().append(piece)
                self.end += 1
                self.size_bytes += len(text) + COST

    def _newest(self) -> deque[Line]:
        """Return the part that lines are added to one by one."""
        newest = self._parts[-1] if self._parts else None
        if newest is None or isinstance(newest, Block) or len(newest) >= MANY:
            newest = deque()
            self._append(newest, 0)
        return newest

    def _go_on(self, stream: int, text: bytes | bytearray) -> None:
        """Lengthen the line that the stream has begun."""
        number = self._begun[stream]
        begun = self[number][1]
        if not isinstance(begun, bytearray):
            begun = bytearray(begun)
            self._replace(number, (stream, begun))
        begun += text
        self.size_bytes += len(text)
        if text.endswith(b"\n") or len(begun) >= LONGEST:
            del self._begun[stream]

    def _replace(self, number: int, line: Line) -> None:
        """Put another in the place of a line that came by itself."""
        place = self._place(number)
        part = self._parts[place]
        assert not isinstance(part, Block)
        part[number - self._starts[place]] = line

    def _drop(self) -> None:
        """Let the oldest fall out; the newest stays, however long it is."""
        parts, starts = self._parts, self._starts
        while len(self) > 1 and (self.size_bytes > self._max_bytes or len(self) > self._max_lines):
            oldest = parts[0]
            if not isinstance(oldest, Block):
                self.size_bytes -= len(oldest.popleft()[1]) + COST
                self.first += 1
                if oldest:
                    starts[0] = self.first
                    continue
            elif len(parts) == 1:
                break
            else:
                self.size_bytes -= oldest.size + COST
                self.first += len(oldest)
                self._looked_into.pop(starts[0], None)
            parts.popleft()
            starts.popleft()
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
        self._any_case = case is re.IGNORECASE
        self._plain = b"" if self._inverse or not PLAIN.fullmatch(wanted) else wanted.encode()
        try:
            self._pattern = re.compile(wanted, case)
        except (re.error, OverflowError, RecursionError):
            self._pattern = re.compile(re.escape(wanted), case)

    def __call__(self, text: str) -> bool:
        """Tell whether the text holds it."""
        return (self._pattern.search(text, 0, SEARCHED) is None) is self._inverse

    def rules_out(self, data: bytes | bytearray) -> bool:
        """Tell, sooner than by looking at each, that no line of a log's file or of a ring matches.

        In doubt it does not: sequences that are not shown may stand in the middle of a word.
        """
        return (
            bool(self._plain)
            and data.isascii()
            and b"\x1b" not in data
            and self._plain not in (data.lower() if self._any_case else data)
            and b"\\u00" not in data
        )

    def ranges(self, text: str) -> list[tuple[int, int]]:
        """Return where in the text it stands; empty finds do not count."""
        found = islice(self._pattern.finditer(text, 0, SEARCHED), 500)
        return [match.span() for match in found if match.end() > match.start()]


class Kept:
    """The numbers of the lines that pass a filter, found a slice at a time."""

    def __init__(
        self,
        ring: LogRing,
        matches: Callable[[str], bool],
        skip: int = 0,
        rules_out: Callable[[bytes | bytearray], bool] = lambda _: False,
    ) -> None:
        """`rules_out` tells of the bytes of lines that `matches` is true of none."""
        self.matches = matches
        self.rules_out = rules_out
        self.numbers: deque[int] = deque()
        self.missed = 0
        """Lines that fell out, or were about to, before they could be looked at."""
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
        number, end = self._next, ring.settled
        if number < ring.first:
            number = max(ring.first, end - NEWEST)
            self.missed += number - self._next
        before = len(numbers)
        deadline = time.monotonic() + seconds
        while number < end and time.monotonic() <= deadline:
            start, part = ring.part(number)
            if start == number and isinstance(part, Block) and part.lacks(self.rules_out):
                number += len(part)
            else:
                number = self._look(number, min(number + MANY, start + len(part), end))
        self._next = number
        return len(numbers) - before

    def _look(self, start: int, end: int) -> int:
        """Look at lines one by one; return `end`."""
        for number, (_, line) in enumerate(self._ring.lines(start, end), start):
            if not self.rules_out(line) and self.matches(plain_text(line)[self._skip :]):
                self.numbers.append(number)
        return end

    def place(self, number: int) -> int:
        """Return the place of the first kept line with at least this number."""
        return bisect_left(self.numbers, number)
