"""What the dashboard's keys do with the rows of a table: look into them, choose, copy."""

from __future__ import annotations

from textual import on
from textual.screen import Screen

from core.commands.keys import CONTAINERS, IMAGES
from tui.tty.near_compositor import PaintsNear
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.table.line_table import LineTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.app import LimpetApp

STATES = ("", "-s running", "-s exited", "-s paused")
"""Filters that a key goes through."""


class RowActions(KeepsFocus, PaintsNear, Screen[None], inherit_bindings=False):
    """A screen of tables, of which one has the keys."""

    app: LimpetApp
    place: str
    """The table that keys act on."""
    tables: dict[str, LineTable]
    nothing: bool
    """No image and no container: the person is new here."""

    @property
    def table(self) -> LineTable:
        """The table that keys act on."""
        return self.tables[self.place]

    def go(self, place: str) -> None:
        """Give a table the keys."""
        raise NotImplementedError

    def say(self, words: str) -> None:
        """Tell what a key did, until the next one."""
        raise NotImplementedError

    @on(LineTable.Asked)
    def action_menu(self) -> None:
        """Choose from all that can be done with the marked rows, or the one under the cursor.

        Where there is none: from all commands.
        """
        row = self.table.at_hand
        if row is None:
            self.app.action_commands()
        else:
            self.app.open_menu(self.place, row.name, self.table.chosen, row.state)

    def action_layers(self) -> None:
        """Browse the layers of the image or container under the cursor."""
        row = self.table.selected
        if row and self.place == CONTAINERS:
            self.app.open_container_layers(row.name)
        elif row:
            self.app.open_layers(row.name)

    def action_compare(self) -> None:
        """Show how what is under the cursor differs from what is marked, or two marked ones."""
        table = self.table
        names = table.chosen
        if len(names) == 1 and table.selected and table.selected.name != names[0]:
            names.append(table.selected.name)
        if len(names) == 2:
            self.app.open_comparison(names[0], names[1])
        else:
            self.say("mark one with space and go to the other, then C compares them")

    def action_detail(self) -> None:
        """Show everything about the container or image under the cursor."""
        row = self.table.selected
        if row is None:
            if self.nothing:
                self.app.start_here()
        elif self.place == IMAGES:
            self.app.open_image(row.name)
        elif self.place == CONTAINERS:
            self.app.open_container(row.name)

    def action_logs(self) -> None:
        """Follow the logs of the marked containers as one, or of the one under the cursor."""
        chosen = self.tables[CONTAINERS].chosen
        if chosen:
            self.app.open_logs(chosen)

    def action_mark(self) -> None:
        """Mark the row under the cursor."""
        self.table.action_mark()

    def action_states(self) -> None:
        """Go on to the next of: all containers, those that run, ended, are paused."""
        table = self.tables[CONTAINERS]
        place = STATES.index(table.wanted) if table.wanted in STATES else -1
        self.go(CONTAINERS)
        table.set_filter(STATES[(place + 1) % len(STATES)])

    def action_columns(self) -> None:
        """Choose the columns of the table."""
        from tui.screens.table_choices import choose_columns

        choose_columns(self.app, self.table)

    def action_group(self) -> None:
        """Choose what the rows of the table are grouped by."""
        from tui.screens.table_choices import choose_group

        choose_group(self.app, self.table)

    def action_copy(self) -> None:
        """Copy the names of the marked rows, or of the one under the cursor."""
        self._copy("\n".join(self.table.chosen))

    def action_copy_rows(self) -> None:
        """Copy what the table shows of the marked rows, or of the one under the cursor."""
        self._copy(self.table.chosen_text())

    def _copy(self, text: str) -> None:
        from tui.tty.clipboard import copy

        self.say(copy(self.app, text))
