"""The columns of a table: how wide each is, which go where there is no room, cells cut to fit."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from tui.widgets.table.rows import Row

GAP = 2
"""Cells between two columns."""
GUTTER = 3
"""Cells before the first: cursor bar, mark, a blank."""
WIDEST = 2
"""Cells that one character takes at most."""


class Column(Record):
    """How one column is shown.  The lower `rank` is, the longer it stays on a narrow screen."""

    key: str
    title: str
    least: int
    most: int
    rank: int = 0
    right: bool = False
    """Numbers: aligned at the right, sorted from the highest."""


class Widths:
    """How wide the columns of one table are; they only grow by themselves: nothing jumps."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._content = [0] * len(columns)
        self.cells = [column.least for column in columns]
        """Of each column, 0 for one that is left out."""

    def measure(self, rows: Iterable[Row]) -> bool:
        """Take the cells' sizes in; return whether a column wants to be wider than it is."""
        most = [column.most for column in self._columns]
        content = self._content
        wider = False
        for row in rows:
            for place, cell in enumerate(row.cells):
                if content[place] < most[place] and len(cell) * WIDEST > content[place]:
                    size = len(cell) if cell.isascii() else cell_len(cell)
                    if size > content[place]:
                        content[place] = size
                        wider = wider or size > self.cells[place]
        return wider

    def forget(self) -> None:
        """Know no cell any more."""
        self._content = [0] * len(self._columns)

    def share(self, width: int, hidden: Container[str]) -> bool:
        """Share the cells of a line out, none for `hidden` keys; return whether that differs."""
        shown = [n for n, column in enumerate(self._columns) if column.key not in hidden]
        found = fit(
            [self._columns[n] for n in shown],
            [self._content[n] for n in shown],
            max(1, width - GUTTER),
            GAP,
        )
        before, self.cells = self.cells, [0] * len(self._columns)
        for place, cells in zip(shown, found, strict=True):
            self.cells[place] = cells
        return self.cells != before

    @property
    def shown(self) -> list[int]:
        """The places of the columns that are not left out."""
        return [place for place, cells in enumerate(self.cells) if cells]

    def at(self, x: int) -> int | None:
        """Return the place of the column at a cell of the line, None behind the last."""
        end = GUTTER
        for place in self.shown:
            end += self.cells[place] + GAP
            if x < end:
                return place
        return None


def fit(columns: Sequence[Column], content: Sequence[int], width: int, gap: int) -> list[int]:
    """Return a width for each column, 0 for one that is left out.

    Columns get what their content needs, within their bounds.  Where that is too much,
    columns of the highest rank go first, then the widest shrink to their least.
    """
    want = [
        max(min(size, column.most), len(column.title))
        for column, size in zip(columns, content, strict=True)
    ]
    least = [min(column.least, size) for column, size in zip(columns, want, strict=True)]
    kept = list(range(len(columns)))

    def total(sizes: Sequence[int]) -> int:
        return sum(sizes[place] for place in kept) + gap * (len(kept) - 1)

    while len(kept) > 1 and total(least) > width:
        kept.remove(max(kept, key=lambda place: (columns[place].rank, place)))
    while total(want) > width:
        widest = max(
            (place for place in kept if want[place] > least[place]),
            key=lambda place: want[place],
            default=None,
        )
        if widest is None:
            break
        want[widest] -= 1
    return [want[place] if place in kept else 0 for place in range(len(columns))]


def pad(text: str, width: int, right: bool) -> str:
    """Return the text in exactly `width` cells, with a mark where it was cut."""
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]
    blank = " " * (width - size)
    return blank + text if right else text + blank
