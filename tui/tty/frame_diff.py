"""Sends the terminal only the cells that changed.

Textual repaints whole dirty regions: one typed character is some kilobytes, which is felt
over SSH.  Here the strips of an update are expanded to cells, compared with what the
terminal shows, and only the differing runs are written, after lines that are only elsewhere
were moved (`scroll.py`).

It leans on private names of Textual (`App._display`, the two compositor updates), so the
release is pinned, and `LIMPET_FRAME_DIFF=0` or `tui.frame_diff = false` turns it off.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import lru_cache
from itertools import compress, count
from operator import ne

from rich.cells import split_graphemes
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.strip import Strip

from tui.tty.pen import Pen, can_erase
from tui.tty.scroll import find_scroll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rich.console import Console, RenderableType
    from rich.style import Style
    from textual.events import Resize
    from textual.screen import Screen

    from tui.tty.pen import Cell

    Rows = Iterable[tuple[int, int, list[Strip]]]
    Piece = tuple[int, int, list[Cell]]
    """Cells of one line from a column on: column, line, cells."""

UNKNOWN: Cell = ("", "unknown", "")
CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
"""Characters that would steer the terminal; Textual counts no cell for them."""
MOST_TEXTS = 512
"""Of so many stretches the cells are kept: two screens full, some hundred kilobytes."""
JOIN = 6
"""Unchanged cells between two runs that are cheaper to send again than a cursor move."""


class Frame:
    """The cells the terminal shows."""

    def __init__(self, *, erases: bool = False) -> None:
        self._rows: list[list[Cell]] = []
        self._width = 0
        self._erases = erases
        """Whether the terminal erases to the background that is set."""
        self._joins = False
        """Whether letters of several characters have been among the cells; most never are."""

    def forget(self) -> None:
        """Assume nothing about the terminal; the next update is sent whole."""
        self._rows = []

    def resize(self, width: int, height: int) -> None:
        """Forget everything if the size differs from the last one."""
        if width != self._width or height != len(self._rows):
            self._width = width
            self._rows = [[UNKNOWN] * width for _ in range(height)]

    def update(self, rows: Rows, colours: ColorSystem) -> str:
        """Take the strips that start at (x, y) into the frame; return what to write."""
        pieces = []
        for x, y, strips in rows:
            if 0 <= y < len(self._rows) and x < self._width:
                pieces.append((x, y, self._cells(strips, colours)[: self._width - x]))
        pen = Pen(erases=self._erases)
        for x, y, cells in self._scrolled(pieces, pen):
            self._update_row(x, y, cells, pen)
        return pen.end()

    def _scrolled(self, pieces: list[Piece], pen: Pen) -> list[Piece]:
        """Have the terminal move lines that are there already; return what is left to do."""
        after: dict[int, list[Cell]] = {}
        for x, y, cells in pieces:
            if y in after or self._rows[y][x : x + len(cells)] != cells:
                row = after.setdefault(y, self._rows[y].copy())
                row[x : x + len(cells)] = cells
        scroll = find_scroll(self._rows, after)
        if scroll is None:
            return pieces
        moved = range(scroll.top, scroll.bottom)
        # Copies: the rows themselves are about to move, and to be written to.
        whole = [(0, y, after.get(y) or self._rows[y].copy()) for y in moved]
        if any(UNKNOWN in cells for _, _, cells in whole):
            return pieces
        pen.send(scroll.sequence)
        scroll.move(self._rows, [UNKNOWN] * self._width)
        return [*whole, *(piece for piece in pieces if piece[1] not in moved)]

    def _update_row(self, x: int, y: int, cells: list[Cell], pen: Pen) -> None:
        row = self._rows[y]
        if row[x : x + len(cells)] == cells:
            return  # most of what is painted anew
        in_place = self._joins and (_has_joined(cells) or _has_joined(row))
        # Terminals disagree about the width of joined characters: place each anew.
        changed = [True] * len(cells) if in_place else map(ne, row[x : x + len(cells)], cells)
        for start, end in _runs(compress(count(), changed)):
            if start and not cells[start][0]:
                start -= 1  # a wide character is written from its left half
            pen.write(x + start, y, cells[start:end], in_place=in_place)
        row[x : x + len(cells)] = cells

    def _cells(self, strips: list[Strip], colours: ColorSystem) -> list[Cell]:
        """Return one entry a column."""
        cells: list[Cell] = []
        for strip in strips:
            for text, style, control in strip:
                if control:
                    continue
                found, joins = _text_cells(text, *_codes(style, colours))
                cells += found
                self._joins = self._joins or joins
        return cells


@lru_cache(MOST_TEXTS)
def _text_cells(text: str, sgr: str, link: str) -> tuple[list[Cell], bool]:
    """Return the cells of a text, and whether several characters share one.

    They are the same ones whenever it is there, and soon compared.
    """
    if not text.isprintable():
        text = text.translate(CONTROLS)
    if text.isspace() and text.isascii():  # most of a screen
        return [(" ", sgr, link)] * len(text), False
    if text.isascii():
        return [(letter, sgr, link) for letter in text], False
    cells: list[Cell] = []
    for start, end, width in split_graphemes(text)[0]:
        if width:
            cells.append((text[start:end], sgr, link))
            cells += [("", sgr, link)] * (width - 1)
    return cells, _has_joined(cells)


def _has_joined(cells: list[Cell]) -> bool:
    """Tell whether a letter is of several characters."""
    letters = [cell[0] for cell in cells]
    return not "".join(letters).isascii() and max(map(len, letters)) > 1


def _codes(style: Style | None, colours: ColorSystem) -> tuple[str, str]:
    if style is None:
        return "", ""
    sgr = style._ansi  # noqa: SLF001 - Textual's own cache of these codes
    if sgr is None:
        sgr = Strip.render_ansi(style, colours)
    return sgr, style.link or ""


def _runs(changed: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Join changed places that lie close together to (start, end)."""
    for start in changed:
        last = start
        for place in changed:
            if place - last > JOIN:
                yield start, last + 1
                start = place
            last = place
        yield start, last + 1


class _Changes(CompositorUpdate):
    """An update that has already been reduced to what must be written."""

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence

    def render_segments(self, console: Console) -> str:
        return self.sequence


class FrameDiffApp(App[int], inherit_bindings=False):
    """An app that writes only changed cells while `frame_diff` is true."""

    frame_diff = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._frame = Frame(erases=can_erase(os.environ.get("TERM", "")))
        self._cursor_shown = (-1, -1)

    def forget_frame(self) -> None:
        """Send the next update whole: something else may have written to the terminal."""
        self._frame.forget()

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Give the terminal away for a while, and paint everything anew afterwards."""
        with super().suspend():
            yield
        self.forget_frame()

    def on_resize(self, event: Resize) -> None:
        """Paint everything anew, also when a size is as before: the terminal was another since."""
        self.forget_frame()
        if event.size == self.size:  # at which Textual leaves it
            self.call_later(self._check_resize)

    def _check_resize(self) -> None:
        super()._check_resize()
        if self.screen_stack:  # behind its layout, which would put it off
            self.screen.call_later(self.screen.refresh)

    def _resume_signal(self) -> None:
        self.forget_frame()
        super()._resume_signal()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        # Textual notes the place when a key moves it, which may be before the line has its own.
        self.cursor_position = getattr(self.focused, "cursor_screen_offset", self.cursor_position)
        driver = self._driver
        if (
            not self.frame_diff
            or not isinstance(renderable, LayoutUpdate | ChopsUpdate | None)
            or self._batch_count
            or not self._running
            or self._closed
            or driver is None
            or driver.is_headless
            or driver.is_inline
        ):
            super()._display(screen, renderable)
            return
        sequence = self._sequence(renderable) if renderable else ""
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        if sequence or cursor != self._cursor_shown:
            self._cursor_shown = cursor
            super()._display(screen, _Changes(sequence))  # type: ignore[arg-type]
        else:
            self.post_display_hook()

    def _sequence(self, update: LayoutUpdate | ChopsUpdate) -> str:
        """Return what differs from what the terminal shows."""
        self._frame.resize(*self.size)
        rows = _layout_rows(update) if isinstance(update, LayoutUpdate) else _chop_rows(update)
        colours = self.console._color_system or ColorSystem.TRUECOLOR  # noqa: SLF001
        return self._frame.update(rows, colours)


def _layout_rows(update: LayoutUpdate) -> Rows:
    for y, strips in enumerate(update.strips, update.region.y):
        yield update.region.x, y, list(strips)


def _chop_rows(update: ChopsUpdate) -> Rows:
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x > x2 or end <= x1:
                continue
            whole = x2 > x >= x1 and end <= x2
            yield x, y, [strip if whole else strip.crop(0, min(end, x2) - x)]
