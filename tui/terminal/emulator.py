"""What a terminal shows: bytes in, cells out.

The pane knows only `Emulator`; pyte stands behind it, with what pyte lacks: the alternate
screen, lines that were scrolled away, line-drawing characters beside UTF-8, sequences that
terminfo's xterm has, and deafness to those that pyte takes for others.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from functools import lru_cache
from itertools import groupby
from unicodedata import combining

import pyte
from rich.segment import Segment
from rich.style import Style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    class Emulator(Protocol):
        """A terminal's screen."""

        def feed(self, data: bytes) -> set[int]:
            """Take output; return the rows that may look different now."""

        def resize(self, columns: int, rows: int) -> None:
            """Change the size."""

        def row(self, number: int) -> list[Segment]:
            """Return a row; negative numbers are those scrolled away, -1 the last."""

        @property
        def scrolled(self) -> int:
            """How many rows were scrolled away and are kept."""

        @property
        def cursor(self) -> tuple[int, int] | None:
            """Column and row of the cursor, None while it is hidden."""

        @property
        def is_alternate(self) -> bool:
            """Whether a program has the screen that nothing scrolls away from."""

        def is_on(self, mode: int) -> bool:
            """Tell whether a private mode (DECSET) is on: 1 application keys, 2004 paste."""


MOST_SCROLLED = 5000
ALTERNATE = (47, 1047, 1049)
PRIVATE_SHIFT = 5
"""pyte keeps private modes shifted by so many bits."""
DEAF = re.compile(
    rb"\x1b\[[<=>][0-9;:]*[ -/]*[@-~]"  # xterm's own: keyboards, versions
    rb"|\x1b\[\?[0-9;]*(?:[ -/]+[@-~]|[@-gi-km-~])"  # private forms other than h and l
    rb"|\x1b\[[0-9;]*[ -/]+[@-~]"  # cursor shapes
    rb"|\x1b[P^_X].*?\x1b\\",  # strings to devices, privacy messages
    re.DOTALL,
)
PART = re.compile(rb"\x1b(?:\[[0-9;:<=>?]*[ -/]*|[P^_X\]][^\x07]*|[ -/]*)?$", re.DOTALL)
"""A sequence that goes on in the next read."""
LONGEST_PART = 4096
LONGEST_SEQUENCE = 1 << 20
"""pyte keeps one until its end; one that has none by then is given up."""
MOST_ACCENTS = 8
"""Of one letter; no language has more."""
COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}


class PyteEmulator:
    """pyte as an `Emulator`; `answer` is given what the terminal says back."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        self._screen = _Screen(columns, rows, answer)
        self._stream = self._new_stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._half = b""
        self._unended = 0
        """Letters that pyte has taken for one sequence, or more."""

    def feed(self, data: bytes) -> set[int]:
        """Take output; return the rows that may look different now."""
        before = self._screen.cursor.y
        data = self._half + data
        part = PART.search(data, max(0, len(data) - LONGEST_PART))
        data, self._half = (data[: part.start()], part[0]) if part else (data, b"")
        text = self._decoder.decode(DEAF.sub(b"", data))
        try:
            self._stream.feed(text)
        except Exception:  # noqa: BLE001 - pyte falls over some sequences; the rest goes on
            self._stream = self._new_stream()
        self._unended = 0 if self._stream.is_between else self._unended + len(text)
        if self._unended > LONGEST_SEQUENCE:
            self._stream, self._unended = self._new_stream(), 0
        dirty = {*self._screen.dirty, before, self._screen.cursor.y}
        self._screen.dirty.clear()
        return dirty

    def _new_stream(self) -> _Stream:
        stream = _Stream(self._screen)
        # Line-drawing sets are for containers without a UTF-8 locale; decoding is done here.
        stream.use_utf8 = False
        return stream

    def resize(self, columns: int, rows: int) -> None:
        """Change the size."""
        self._screen.resize(rows, columns)
        self._screen.dirty.update(range(rows))

    def row(self, number: int) -> list[Segment]:
        """Return a row; negative numbers are those scrolled away, -1 the last."""
        if number < 0:
            line = self._screen.gone[number]
            return _segments(line[x] for x in range(min(self._screen.columns, len(line))))
        found = self._screen.buffer[number]
        return _segments(found[x] for x in range(self._screen.columns))

    @property
    def scrolled(self) -> int:
        """How many rows were scrolled away and are kept."""
        return len(self._screen.gone)

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Column and row of the cursor, None while it is hidden."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (min(cursor.x, self._screen.columns - 1), cursor.y)

    @property
    def is_alternate(self) -> bool:
        """Whether a program has the screen that nothing scrolls away from."""
        return self._screen.is_alternate

    def is_on(self, mode: int) -> bool:
        """Tell whether a private mode (DECSET) is on: 1 application keys, 2004 paste."""
        return mode << PRIVATE_SHIFT in self._screen.mode


class _Stream(pyte.Stream):
    """pyte's parser with what programs send that have looked up xterm in terminfo."""

    csi = {**pyte.Stream.csi, "b": "repeat", "S": "scroll_up", "T": "scroll_down",
           "Z": "tab_back", "s": "keep_cursor", "u": "take_cursor"}  # fmt: skip

    @property
    def is_between(self) -> bool:
        """Whether no sequence has begun that has not ended."""
        return bool(self._taking_plain_text)


class _Screen(pyte.Screen):
    """pyte's screen with an alternate one beside it, and a memory for what scrolls away."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        self.gone: deque[Any] = deque(maxlen=MOST_SCROLLED)
        self._other: tuple[Any, Any] | None = None
        self._answer = answer
        self._drawn = ""
        """The last sign that was drawn."""
        self._accents = 0
        """Signs without a width since the last letter."""
        super().__init__(columns, rows)

    @property
    def is_alternate(self) -> bool:
        """Whether a program has the screen that nothing scrolls away from."""
        return self._other is not None

    def draw(self, data: str) -> None:
        """Also keep the sign that `repeat` is about."""
        if not data.isascii():
            data = "".join(filter(self._has_place, data))
        self._drawn = data[-1:]
        super().draw(data)

    def _has_place(self, letter: str) -> bool:
        """Tell whether pyte takes a sign: at one without a width it drops all behind it.

        To a letter it adds every accent there is, and looks at all of them for each.
        """
        if pyte.screens.wcwidth(letter) > 0:
            self._accents = 0
            return True
        self._accents += 1
        return bool(combining(letter)) and self._accents <= MOST_ACCENTS

    def repeat(self, count: int = 0) -> None:
        """Draw the last sign again (REP)."""
        self.draw(self._drawn * min(count or 1, self.columns * self.lines))

    def scroll_up(self, count: int = 0, *_: int) -> None:
        """Move the lines between the margins up, the cursor stays (SU)."""
        self._scroll(self.index, (self.margins or (0, self.lines - 1))[1], count)

    def scroll_down(self, count: int = 0, *_: int) -> None:
        """Move the lines between the margins down, the cursor stays (SD)."""
        self._scroll(self.reverse_index, (self.margins or (0, 0))[0], count)

    def _scroll(self, step: Callable[[], None], edge: int, count: int) -> None:
        before, self.cursor.y = self.cursor.y, edge
        for _ in range(min(count or 1, self.lines)):
            step()
        self.cursor.y = before

    def keep_cursor(self, *_: int) -> None:
        """Save the cursor (SCOSC)."""
        self.save_cursor()

    def take_cursor(self, *_: int) -> None:
        """Restore the cursor (SCORC)."""
        self.restore_cursor()

    def tab_back(self, count: int = 0) -> None:
        """Go to the tab stop before (CBT)."""
        for _ in range(min(count or 1, self.columns)):
            self.cursor.x = max((at for at in self.tabstops if at < self.cursor.x), default=0)

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        """Also go to the alternate screen."""
        super().set_mode(*modes, **kwargs)
        if kwargs.get("private") and set(modes) & set(ALTERNATE) and self._other is None:
            self._other = (dict(self.buffer), self.cursor)
            self.buffer.clear()
            self.cursor = pyte.screens.Cursor(self.cursor.x, self.cursor.y)
            self.dirty.update(range(self.lines))

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        """Also come back from the alternate screen."""
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and set(modes) & set(ALTERNATE) and self._other is not None:
            lines, self.cursor = self._other
            self.buffer.clear()
            self.buffer.update(lines)
            self._other = None
            self.cursor.x = min(self.cursor.x, self.columns - 1)
            self._fit(0)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Keep the cursor's line, as xterm does; pyte would drop the first lines, full or not."""
        rows, y, x = dict(self.buffer), self.cursor.y, self.cursor.x
        grown = (lines or self.lines) - self.lines
        super().resize(lines, columns)
        self.buffer.clear()
        self.buffer.update(rows)
        self.cursor.y, self.cursor.x = y, min(x, self.columns - 1)
        self._fit(grown)

    def _fit(self, grown: int) -> None:
        """Let lines leave at the top that the cursor's line has no room for, or come back."""
        gone = max(0, self.cursor.y + 1 - self.lines)
        back: list[Any] = []
        if self._other is None:
            self.gone.extend(self.buffer[y] for y in range(gone))
            back = [self.gone.pop() for _ in range(min(grown, len(self.gone)))][::-1]
        rows = [*back, *(self.buffer[y] for y in range(gone, gone + self.lines - len(back)))]
        self.buffer.clear()
        self.buffer.update(enumerate(rows))
        self.cursor.y += len(back) - gone
        self.dirty.update(range(self.lines))

    def index(self) -> None:
        """Also keep the line that leaves the screen at the top."""
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom and top == 0 and self._other is None:
            self.gone.append(self.buffer[0])
        super().index()

    def write_process_input(self, data: str) -> None:
        """Answer a question of the program: where the cursor is, what this terminal is."""
        self._answer(data.encode())


def _segments(cells: Iterable[Any]) -> list[Segment]:
    """Join neighbouring cells that look the same; a wide character's right half is empty."""
    found = []
    for look, same in groupby(cells, key=_look):
        found.append(Segment("".join(cell.data for cell in same), _style(*look)))
    return found


def _look(cell: Any) -> tuple[str, str, bool, bool, bool, bool, bool]:
    return (
        cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.strikethrough,
        cell.reverse,
    )  # fmt: skip


@lru_cache(4096)
def _style(
    fg: str, bg: str, bold: bool, italic: bool, underline: bool, strike: bool, reverse: bool
) -> Style:
    return Style(
        color=_colour(fg), bgcolor=_colour(bg), bold=bold or None, italic=italic or None,
        underline=underline or None, strike=strike or None, reverse=reverse or None,
    )  # fmt: skip


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(letter in "0123456789abcdef" for letter in name):
        return f"#{name}"
    name = COLOURS.get(name, name)
    is_plain = name.startswith("bright") and "_" not in name
    return name.replace("bright", "bright_") if is_plain else name
