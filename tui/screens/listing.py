"""A table of what a command lists, on a screen of its own: networks, volumes, jobs, disk."""

from __future__ import annotations

import textwrap

from textual import on
from textual.binding import Binding

from core.commands.keys import FILL, GO, sign
from tui.answers import cause, failure, visible
from tui.keymap import fill
from tui.screens.table_choices import choose_columns, choose_group
from tui.theme import plain
from tui.tty.clipboard import copy
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.foot import Foot
from tui.widgets.status import StatusLine
from tui.widgets.table.columns import Column
from tui.widgets.table.line_table import LineTable
from tui.widgets.table.rows import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from core.commands.keys import Key
    from core.commands.result import Table
    from tui.app import LimpetApp
    from tui.theme import Part

HINTS = (
    ("j k", "move"), ("/", "filter"), ("< >", "sort"), ("space", "mark"), ("y", "copy name"),
    ("r", "read again"),
)  # fmt: skip
MOST_CELLS = 60
MARGIN = 3
NAMES = ("Names", "Name")
"""Columns that name a row better than its first does."""
STATE = "State"
STATE_TONES = {
    "ok": "good", "done": "good", "current": "good", "running": "accent", "cancelled": "warn",
    "newer pulled": "warn", "newer upstream": "warn", "WRONG": "bad", "failed": "bad",
}  # fmt: skip


class ListingScreen(AskingScreen, inherit_bindings=False):
    """The table that `read()`, called in a thread every `every_s` seconds, returns.

    `kind` is what its rows are, for the menu of all that can be done with one; `rows` is what
    they are called, where the title is something else.

    The column of the names, or the first, is a row's name; `prefix` comes before it in
    commands.  `run(line)` is called for a key's command, after the screen was left; one without
    `{names}` needs no row.  A key whose command `refuses()` refuses is not offered, and says so.
    """

    DEFAULT_CSS = """
    ListingScreen { background: $background; }
    ListingScreen #head { height: 1; background: $panel; }
    ListingScreen #detail { height: 1; }
    """
    app: LimpetApp

    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("slash", "find", "Filter", priority=True),
        Binding("r", "read", "Read again"),
        Binding("y", "copy", "Copy the names"),
        Binding("Y", "copy_rows", "Copy the rows"),
        Binding("m", "menu", "All that can be done with the row"),
        Binding("comma", "columns", "Choose columns"),
        Binding("b", "group", "Group the rows"),
    ]
    AUTO_FOCUS = "#table"

    def __init__(
        self,
        title: str,
        read: Callable[[], Table],
        *,
        empty: str,
        keys: Sequence[Key] = (),
        run: Callable[[str], None] = lambda _: None,
        every_s: float = 5,
        kind: str = "",
        rows: str = "",
        prefix: str = "",
        refuses: Callable[[str], bool] = lambda _: False,
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._detail = StatusLine(id="detail")
        self._foot = Foot()
        self._title = title
        self._read = read
        self._empty = empty
        self._keys = keys
        self._prefix = prefix
        self._refused = {key.key for key in keys if refuses(key.command)}
        self._run = run
        self._every = every_s
        self._kind = kind
        self._error: Exception | None = None
        self._columns: tuple[Column, ...] = (Column("name", "NAME", 8, 60),)
        self.table = LineTable(rows or title, self._columns, id="table")
        self.table.empty = (("", ""), ("reading …", "dim"))
        for key in keys:
            words = "" if key.key in self._refused else key.help
            self._bindings.bind(key.key, f"act({key.key!r})", words)

    def compose(self) -> ComposeResult:
        """Place head, table and foot."""
        yield self._head
        yield self.table
        yield self._detail
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Read, and go on reading."""
        self.action_read()
        self.set_interval(self._every, self.action_read)
        self._tell()

    def action_read(self) -> None:
        """Read in a thread, unless that goes on."""
        if not any(worker.is_running for worker in self.workers if worker.node is self):
            self.run_worker(self._load, thread=True)

    def _load(self) -> None:
        try:
            table = self._read()
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            self.app.call_from_thread(self._fail, error)
            return
        self.app.call_from_thread(self._take, table)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._show_cause()
        self._tell()

    def _show_cause(self) -> None:
        """Say in the empty table why it is: the head has no room for a long cause."""
        if self._error is None or self.table.total or not self.is_attached:
            return
        room = max(20, self.app.size.width - 2 * MARGIN)
        lines: list[Part] = [("", "")]
        for parts in failure(self._error):
            tone = parts[-1][1]
            lines += [(text, tone) for text in textwrap.wrap(plain(parts), room)]
        self.table.empty = lines
        self.table.refresh()

    def _take(self, table: Table) -> None:
        if not self.is_attached:
            return
        self._error = None
        columns = columns_of(table)
        if columns != self.table.columns:
            self.table.set_columns(columns)
        self.table.empty = (("", ""), (self._empty, "dim"))
        self.table.set_rows(rows_of(table))
        self._tell()

    def _tell(self) -> None:
        if not self.is_attached:
            return
        parts: list[Part] = [(f" {self._title} ", "bold"), (f"{self.table.total}", "dim")]
        if self._error is not None and self.table.total:
            parts += [("  ", ""), *cause(self._error)]
        self._head.show(parts)
        self._detail.show(self._last_words())
        own = [(sign(key.key), key.help) for key in self._keys if key.key not in self._refused]
        self._foot.offer([*own, *HINTS])

    def _last_words(self) -> list[Part]:
        """Return the last of what a row tells, whole: a cause, a path; the table may cut it."""
        row = self.table.selected
        cells = zip(self.table.columns[1:], row.cells[1:], strict=False) if row else ()
        told = [(column.title.lower(), text) for column, text in cells if text.strip()]
        return [(f" {told[-1][0]}  ", "faint"), (told[-1][1], "dim")] if told else []

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self._tell()

    def on_resize(self) -> None:
        """Fit the edges."""
        self._show_cause()
        self._tell()

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    # Keys

    def action_leave(self) -> None:
        """Go back to the dashboard."""
        self.dismiss(None)

    def action_back(self) -> None:
        """Clear the filter, then the marks, then leave."""
        if self.table.wanted:
            self.table.set_filter("")
        elif self.table.marked:
            self.table.action_unmark()
        else:
            self.dismiss(None)

    def action_find(self) -> None:
        """Let the person type a filter."""
        self.ask_line.ask("filter", "/", self.table.wanted)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.table.focus()
        if event.text is not None:
            self.table.set_filter(event.text)

    def action_copy(self) -> None:
        """Copy the names of the marked rows, or of the one under the cursor."""
        self._foot.say(copy(self.app, "\n".join(self.table.chosen)))

    def action_copy_rows(self) -> None:
        """Copy the marked rows, or the one under the cursor."""
        self._foot.say(copy(self.app, self.table.chosen_text()))

    def action_act(self, name: str) -> None:
        """Run a key's command for the chosen rows."""
        key = next(key for key in self._keys if key.key == name)
        if name in self._refused:
            self._foot.say(f"{key.help} changes things, and this limpet is read-only")
            return
        row, names = self.table.selected, self.table.chosen
        if ("{names}" in key.command and not names) or ("{name}" in key.command and row is None):
            return
        whole = [self._prefix + one for one in names]
        line = fill(key.command, self._prefix + row.name if row else "", whole)
        if not line.startswith(GO):
            self.dismiss(None)
        before, gap, after = line.partition(FILL)
        if gap:
            self.app.dashboard.bar.open(before, after)
        else:
            self._run(line)

    @on(LineTable.Opened)
    def _opened(self) -> None:
        if any(key.key == "enter" for key in self._keys):
            self.action_act("enter")

    @on(LineTable.Asked)
    def action_menu(self) -> None:
        """Choose from all that can be done with the rows."""
        row = self.table.at_hand
        if row is None or not self._kind:
            self.app.action_commands()
        else:
            self.app.open_menu(self._kind, row.name, self.table.chosen, "")

    def action_columns(self) -> None:
        """Choose the columns."""
        choose_columns(self.app, self.table)

    def action_group(self) -> None:
        """Choose what the rows are grouped by."""
        choose_group(self.app, self.table)


def columns_of(table: Table) -> tuple[Column, ...]:
    """Return how a command's columns are shown."""
    return tuple(
        Column(
            column.key,
            column.title,
            min(8, len(column.title)),
            MOST_CELLS,
            rank=place,
            right=column.kind == "size" or _is_count(table, column.key),
        )
        for place, column in enumerate(table.columns)
    )


def _is_count(table: Table, key: str) -> bool:
    values = [row[key] for row in table.rows]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def rows_of(table: Table) -> list[Row]:
    """Return a command's rows; the first column names them."""
    from core.commands.show import cell

    rows = []
    for row in table.rows:
        cells = tuple(visible(cell(row[column.key], column.kind)) for column in table.columns)
        sorts = tuple(
            float(value) if isinstance(value := row[column.key], int | float) else str(value)
            for column in table.columns
        )
        named = next((key for key in NAMES if key in row), table.columns[0].key)
        name = str(row[named])
        tones = tuple(
            STATE_TONES.get(cell, "dim") if column.key == STATE else "dim" if place else ""
            for place, (column, cell) in enumerate(zip(table.columns, cells, strict=True))
        )
        rows.append(Row("\0".join(cells[:2]), cells, tones, sorts, name))
    return rows
