"""What the lines of a live table look like: its title, the names of its columns, its rows."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.theme import Tones, glyphs
from tui.widgets.table.columns import GAP, GUTTER, pad
from tui.widgets.table.rows import LABEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.theme import Part
    from tui.widgets.table.line_table import LineTable
    from tui.widgets.table.rows import Line, Row

LIT, LIT_WHOLE = 64, 100
"""So much of the cursor's row is lit, or all of a narrow one: it is sent again at every move."""


class TableLines:
    """Paints the lines of one table as it stands."""

    def __init__(self, table: LineTable) -> None:
        self._table = table
        self._tones = Tones(table)
        self._glyphs = glyphs()

    def title(self, width: int) -> Strip:
        """Return the line above all: title and note, and what is done to the rows."""
        table = self._table
        rule, active = self._glyphs.rule, table.has_focus
        left: list[Part] = [(rule + " ", "faint"), (table.title, "accent" if active else "dim")]
        if table.note:
            left.append((f"  {table.note}", "dim"))
        right: list[Part] = []
        for fact in self._facts():
            right += [(f" {fact} ", "accent"), (rule, "faint")]
        used = sum(cell_len(text) for text, _ in (*left, *right)) + 1
        middle = " " + rule * max(0, width - used)
        return self._strip([*left, (middle, "faint"), *right], width)

    def _facts(self) -> list[str]:
        table = self._table
        facts = []
        if table.wanted:
            facts.append(f"/{table.wanted}")
        if table.sort is not None:
            arrow = self._glyphs.down if table.reversed else self._glyphs.up
            facts.append(f"{table.columns[table.sort].title.lower()}{arrow}")
        if table.group:
            facts.append(f"by {self._group_name}")
        if table.marked:
            facts.append(f"{len(table.marked)} marked")
        if table.counted:
            facts.append(f"{table.place + 1 if table.rows else 0}/{len(table.rows)}")
        return facts

    def empty(self, line: int, width: int) -> Strip:
        """Return a line of a table without rows to show, counted from 0 below the title."""
        table = self._table
        lines: Sequence[Part] = table.empty
        if table.total:
            lines = [("nothing matches the filter; esc clears it", "dim")]
        parts = [("   ", ""), lines[line - 1]] if 0 < line <= len(lines) else []
        return self._strip(parts, width)

    def names(self, width: int) -> Strip:
        """Return the names of the columns."""
        table = self._table
        parts: list[Part] = [(" " * GUTTER, "")]
        for place in table.widths.shown:
            column = table.columns[place]
            tone = "accent" if place == table.sort else "faint"
            parts.append((pad(column.title, table.widths.cells[place], column.right), tone))
            parts.append((" " * GAP, ""))
        return self._strip(parts, width)

    def row(self, line: Line, width: int) -> Strip:
        """Return a row, or the head of a group."""
        table, cells = self._table, self._table.widths.cells
        active = line.cursor and table.has_focus
        parts: list[Part] = [
            (self._glyphs.cursor if line.cursor else " ", "accent" if active else "faint"),
            (self._glyphs.mark if line.marked else " ", "accent"),
            (" ", ""),
        ]
        if line.row.heads >= 0:
            return self._strip([*parts, *self._head(line.row)], width, self._over(active))
        for place, (cell, tone) in enumerate(zip(line.row.cells, line.row.tones, strict=True)):
            if cells[place]:
                text = pad(cell, cells[place], table.columns[place].right)
                parts.append((text, "accent" if line.marked and tone == "" else tone))
                parts.append((" " * GAP, ""))
        if not active:
            return self._strip(parts, width)
        end = self._lit_end(width)
        lit = self._strip(parts, end, self._over(active))
        return Strip.join([lit, self._strip(parts, width).crop(end)])

    def _lit_end(self, width: int) -> int:
        """Return where the light on the cursor's row ends: one blank behind a whole column."""
        if width <= LIT_WHOLE:
            return width
        end = GUTTER
        for cells in self._table.widths.cells:
            if cells and end + cells > LIT:
                break
            end += cells + GAP if cells else 0
        return end - GAP + 1 if end > GUTTER else LIT

    def _head(self, head: Row) -> list[Part]:
        name = head.cells[0]
        sign = self._glyphs.up if name in self._table.folded else self._glyphs.down
        return [
            (f"{sign} ", "accent"),
            (name or f"no {self._group_name}", "bold" if name else "dim"),
            (f"  {head.heads}", "dim"),
        ]

    @property
    def _group_name(self) -> str:
        return self._table.group.removeprefix(LABEL).rpartition(".")[2]

    def _over(self, active: bool) -> Style | None:
        return self._table.get_component_rich_style("line-table--cursor") if active else None

    def _strip(self, parts: Sequence[Part], width: int, over: Style | None = None) -> Strip:
        base = self._table.rich_style + over if over else self._table.rich_style
        tones = self._tones.lit if over else self._tones.__getitem__
        segments = [Segment(text, base + tones(tone)) for text, tone in parts]
        return Strip(segments).adjust_cell_length(width, base)
