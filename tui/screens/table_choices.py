"""Lets a person choose what a table shows: its columns, and what its rows are grouped by."""

from __future__ import annotations

from tui.screens.pick import Choice, Picked, PickScreen
from tui.widgets.table.rows import LABEL, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from textual.app import App

    from tui.widgets.table.line_table import LineTable

PROJECT = "com.docker.compose.project"
"""Compose's label: what people most often group by."""
MOST_VALUES = 0.5
"""A column in which more of the cells differ groups nothing."""


def choose_columns(app: App[Any], table: LineTable) -> None:
    """Open a list of switches, one a column; the first column always stays."""
    columns = [column for column in table.columns[1:] if column.title]
    graphs = [column for column in table.columns[1:] if not column.title]
    choices = [Choice(column.title.lower()) for column in columns]
    choices += [Choice(column.key) for column in graphs]
    keys = [column.key for column in (*columns, *graphs)]
    screen = PickScreen(
        f"columns of {table.title.partition(' ')[2] or table.title}",
        choices,
        on=lambda number: keys[number] not in table.hidden,
        toggle=lambda number: table.hide(keys[number]),
    )
    app.push_screen(screen)


def choose_group(app: App[Any], table: LineTable) -> None:
    """Open a list of what rows can be grouped by."""
    found = groupings(table)

    def act(picked: Picked | None) -> None:
        if picked is not None:
            table.set_group(found[picked.number][0])

    app.push_screen(PickScreen("group by", [Choice(name) for _, name in found]), act)


def groupings(table: LineTable) -> list[tuple[str, str]]:
    """Return what the rows can be grouped by: for the table, and for people."""
    rows = table.all_rows
    found = [("", "nothing"), *([(STATE, "state")] if any(row.state for row in rows) else [])]
    labels = {text.partition("=")[0] for row in rows for text in row.labels}
    found += [
        (LABEL + label, "project" if label == PROJECT else f"label {label}")
        for label in sorted(labels, key=lambda label: (label != PROJECT, label))
    ]
    for place, column in enumerate(table.columns):
        values = {row.cells[place] for row in rows}
        if column.title and column.key != STATE and 0 < len(values) <= len(rows) * MOST_VALUES:
            found.append((column.key, column.title.lower()))
    return found
