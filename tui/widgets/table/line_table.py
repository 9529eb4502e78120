"""A live table whose cost is the screen's, not the list's.

It keeps rows by key, compares each snapshot with what is shown, and repaints only the
lines that differ.  There is one object a row, the row itself; a line becomes a strip when
it is painted.
"""

from __future__ import annotations

from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.moves import MOVES, Wheel
from tui.widgets.table.columns import Widths
from tui.widgets.table.lines import TableLines
from tui.widgets.table.rows import (
    Line,
    Row,
    arrange,
    changed_lines,
    group_of,
    grouped,
    window,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from tui.theme import Part
    from tui.widgets.table.columns import Column

HEAD = 2
"""Lines above the rows: the title and the column names."""
RIGHT = 3
"""The mouse's button."""


class LineTable(Wheel, ScrollView, can_focus=True):
    """A table of `Row`s with a cursor that follows its row, marks, a filter and an order."""

    DEFAULT_CSS = "LineTable { overflow: hidden hidden; scrollbar-size: 0 0; }"
    COMPONENT_CLASSES = {"line-table--cursor"}
    BINDINGS = [
        *MOVES,
        Binding("space", "mark", "Mark", show=False),
        Binding("asterisk", "mark_all", "Mark all shown", show=False),
        Binding("ctrl+backslash", "unmark", "Clear marks", show=False),
        Binding("greater_than_sign", "sort(1)", "Sort by the next column", show=False),
        Binding("less_than_sign", "sort(-1)", "Sort by the column before", show=False),
        Binding("O", "reverse", "Reverse the order", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row, or the marks are others."""

        def __init__(self, table: LineTable) -> None:
            super().__init__()
            self.table = table

    class Opened(Message):
        """A row was clicked twice."""

        def __init__(self, table: LineTable) -> None:
            super().__init__()
            self.table = table

    class Asked(Message):
        """The mouse asked what can be done with a row."""

    def __init__(self, title: str, columns: Sequence[Column], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.title = title
        self.note = ""
        """Stands behind the title: counts."""
        self.empty: Sequence[Part] = ()
        """Lines for a table without rows, each with its tone."""
        self.columns = columns
        self.wanted = ""
        self.sort: int | None = None
        self.reversed = False
        self.cursor = ""
        self.marked: set[str] = set()
        self.hidden: set[str] = set()
        """Keys of columns that are not to be shown."""
        self.group = ""
        """What rows are grouped by, see `rows.group_of`."""
        self.folded: set[str] = set()
        """Names of groups of which only the head is shown."""
        self._rows: dict[str, Row] = {}
        self._view: list[Row] = []
        self.place = 0
        """Where the cursor is among the rows that are shown."""
        self.widths = Widths(columns)
        self._painted: list[Line | None] = []
        self._lines = TableLines(self)

    def bind_key(self, key: str, action: str, words: str, *, at_once: bool = False) -> None:
        """Let a key do something while the table has the keys.

        `at_once`: before the key behind it is given to anybody.  A key's usual way, to the
        table and back, takes long enough for the next ones to go to the table as well.
        """
        self._bindings.bind(key, action, words, priority=at_once)

    # What it holds

    @property
    def selected(self) -> Row | None:
        """The row under the cursor, None on the head of a group."""
        row = self._view[self.place] if self._view else None
        return row if row and row.heads < 0 else None

    @property
    def at_hand(self) -> Row | None:
        """The row that keys are about: that under the cursor; on a head, the first marked one."""
        marked = (row for row in self._rows.values() if row.key in self.marked)
        return self.selected or next(marked, None)

    @property
    def on_head(self) -> bool:
        """Whether the cursor is on the head of a group."""
        return bool(self._view) and self._view[self.place].heads >= 0

    @property
    def chosen(self) -> list[str]:
        """The names of the marked rows, filtered out or not, or of the one under the cursor."""
        if self.marked:
            return [row.name for row in self._rows.values() if row.key in self.marked]
        return [self.selected.name] if self.selected else []

    def chosen_text(self) -> str:
        """Return the marked rows, or the one under the cursor, with tabs between the cells."""
        rows = [row for row in self._view if row.key in self.marked]
        if not rows and self.selected:
            rows = [self.selected]
        return "\n".join("\t".join(row.cells) for row in rows)

    @property
    def total(self) -> int:
        """How many rows there are, filtered out or not."""
        return len(self._rows)

    @property
    def all_rows(self) -> list[Row]:
        """The rows, filtered out or not."""
        return list(self._rows.values())

    @property
    def rows(self) -> list[Row]:
        """The rows in the order they are shown."""
        return self._view

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show this snapshot; only lines that differ are painted."""
        if self.widths.measure(self._replace(rows)):
            self._fit()
        self._arrange()

    def _replace(self, rows: Sequence[Row]) -> list[Row]:
        """Hold these rows from now on; return those that were not held before."""
        known = self._rows
        pairs = [
            (old, row) for old, row in zip(known.values(), rows, strict=False) if old is not row
        ]
        if len(rows) == len(known) and all(old.key == row.key for old, row in pairs):
            others = {row.key: row for _, row in pairs}
            known.update(others)
            return list(others.values())
        self._rows = {row.key: row for row in rows}
        self.marked &= self._rows.keys()
        return [row for row in rows if known.get(row.key) is not row]

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; rows that fit them must follow."""
        self.columns, self._rows, self._view, self.sort = columns, {}, [], None
        self.widths = Widths(columns)
        self._fit()

    def set_filter(self, wanted: str) -> None:
        """Show only the rows that match; the empty filter shows all."""
        if wanted != self.wanted:
            self.wanted = wanted
            self._arrange()
            self._paint_title()

    def hide(self, key: str) -> None:
        """Leave a column out, or show it again; the first one stays."""
        if key != self.columns[0].key:
            self.hidden ^= {key}
            self._fit()
            self.refresh()

    def set_group(self, by: str) -> None:
        """Group the rows; nothing shows them one below the other."""
        self.group = by
        self.folded.clear()
        self._painted = []
        self._arrange()
        self._paint_title()

    def fold(self) -> None:
        """Fold the group whose head is under the cursor, or unfold it."""
        if self.on_head:
            self.folded ^= {self._view[self.place].cells[0]}
            self._arrange()

    def set_note(self, note: str) -> None:
        """Say something behind the title."""
        if note != self.note:
            self.note = note
            self._paint_title()

    def forget_widths(self) -> None:
        """Measure the columns anew."""
        self.widths.forget()
        self.widths.measure(self._rows.values())
        self._fit()

    def _fit(self) -> None:
        if self.widths.share(self.size.width, self.hidden):
            self._painted = []
            self.refresh()

    def _arrange(self) -> None:
        held = {row.key: place for place, row in enumerate(self._view)} if self.marked else {}
        self._view = arrange(
            self._rows.values(), self.wanted, self.sort, reverse=self.reversed, held=held
        )
        if self.group:
            self._view = grouped(self._view, self.group, self.columns, self.folded)
        before, place = self.cursor, self.place
        self.place = self._place_of(self.cursor)
        self.cursor = self._view[self.place].key if self._view else ""
        size = Size(0, len(self._view) + HEAD)
        if size != self.virtual_size or (place != self.place and self.counted):
            self.virtual_size = size
            self._paint_title()
        self._follow()
        self._paint()
        if self.cursor != before:
            self.post_message(self.Moved(self))

    def _place_of(self, key: str) -> int:
        """Return where a row is; of one that is not shown, where the cursor stays.

        It does not stay on the head of a group: what a filter has found is below it.
        """
        view, here = self._view, min(self.place, max(0, len(self._view) - 1))
        if view and view[here].key == key:
            return here
        near = view[here : here + 2]
        if len(near) == 2 and near[0].heads >= 0 > near[1].heads:
            here += 1
        return next((place for place, row in enumerate(view) if row.key == key), here)

    # Painting

    @property
    def shown_height(self) -> int:
        """How many rows the screen has room for."""
        return max(0, self.size.height - HEAD)

    @property
    def counted(self) -> bool:
        """Whether the title says which of the rows the cursor is on: not all may be seen."""
        return len(self._view) > self.shown_height > 0 or bool(self.wanted)

    def _window(self) -> list[Line | None]:
        return window(self._view, round(self.scroll_y), self.shown_height, self.cursor, self.marked)

    def _paint(self) -> None:
        """Repaint the lines that differ from what was painted last."""
        now = self._window()
        for number in changed_lines(self._painted, now):
            self.refresh(Region(0, number + HEAD, self.size.width, 1))
        if not self._view or not any(self._painted):
            self.refresh()
        self._painted = now

    def _paint_title(self) -> None:
        self.refresh(Region(0, 0, self.size.width, HEAD))

    def _follow(self) -> None:
        """Scroll as little as it takes to have the cursor on the screen and no gap below."""
        now = round(self.scroll_y)
        top = min(now, max(0, len(self._view) - self.shown_height), self.place)
        if self.shown_height:
            top = max(top, self.place - self.shown_height + 1)
        if top != now:
            self.set_reactive(LineTable.scroll_y, float(top))
            self.set_reactive(LineTable.scroll_target_y, float(top))
            self._painted = []
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint one line of the widget."""
        width = self.size.width
        if y == 0:
            return self._lines.title(width)
        if not self._view:
            return self._lines.empty(y - 1, width)
        if y == 1:
            return self._lines.names(width)
        lines = window(self._view, round(self.scroll_y) + y - HEAD, 1, self.cursor, self.marked)
        line = lines[0]
        if line is None:
            return Strip.blank(width, self.rich_style)
        return self._lines.row(line, width)

    # Events and actions

    def on_resize(self) -> None:
        """Share the new width out."""
        self._fit()
        self._follow()
        self._painted = []

    def on_focus(self) -> None:
        """Show that keys go here."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Paint the lines that came into view."""
        super().watch_scroll_y(old_value, new_value)
        self._painted = []

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self._view) - 1))
        if not self._view or place == self.place:
            return
        self.place, self.cursor = place, self._view[place].key
        self._follow()
        self._paint()
        if self.counted:
            self._paint_title()
        self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        self._go(self.place + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by screens."""
        self._go(self.place + by * max(1, self.shown_height - 1))

    def action_end(self, which: int) -> None:
        """Move the cursor to the first row (-1) or the last (1)."""
        self._go(0 if which < 0 else len(self._view) - 1)

    def action_mark(self) -> None:
        """Mark the row, or take its mark away, and go on to the next."""
        if self.on_head:
            name = self._view[self.place].cells[0]
            mine = {
                row.key
                for row in self._rows.values()
                if group_of(row, self.group, self.columns) == name
            }
            self.marked = self.marked - mine if mine <= self.marked else self.marked | mine
            self._after_marks()
        elif self.cursor:
            self.marked ^= {self.cursor}
            self._after_marks()
            self._go(self.place + 1)

    def action_mark_all(self) -> None:
        """Mark every row that is shown."""
        self.marked |= {row.key for row in self._view if row.heads < 0}
        self._after_marks()

    def action_unmark(self) -> None:
        """Take all marks away."""
        self.marked.clear()
        self._after_marks()

    def _after_marks(self) -> None:
        self._arrange()
        self._paint_title()
        self.post_message(self.Moved(self))

    def action_sort(self, by: int) -> None:
        """Sort by a neighbouring column that is shown; before the first: the given order."""
        shown = [None, *self.widths.shown]
        place = shown.index(self.sort) if self.sort in shown else 0
        self.sort_by(shown[(place + by) % len(shown)])

    def sort_by(self, column: int | None) -> None:
        """Sort by a column, numbers from the highest; the same column again reverses."""
        if column is not None and column == self.sort:
            self.reversed = not self.reversed
        else:
            self.sort = column
            self.reversed = column is not None and self.columns[column].right
        self._arrange()
        self._paint_title()

    def action_reverse(self) -> None:
        """Turn the order round."""
        if self.sort is not None:
            self.sort_by(self.sort)

    def on_click(self, event: events.Click) -> None:
        """Choose the row, sort by the column name, fold a group; a double click opens the row."""
        if event.y == 1:
            column = self.widths.at(event.x)
            if column is not None:
                self.sort_by(column)
        elif event.y >= HEAD and (place := round(self.scroll_y) + event.y - HEAD) < len(self._view):
            self._go(place)
            if event.button == RIGHT:
                self.post_message(self.Asked())
            elif self.on_head:
                self.fold()
            elif event.chain == 2 and self.cursor:
                self.post_message(self.Opened(self))
