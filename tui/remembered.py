"""What the app looked like when it was left, so that it opens the same way.

Filters are not kept: containers that are hidden when one comes back would be missed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from core.commands.keys import TABLES
from tui.user_state import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tui.app import LimpetApp
    from tui.widgets.table.line_table import LineTable

NAME = "app.json"


def remember(app: LimpetApp) -> None:
    """Write the look of the app down; where that cannot be written it is forgotten."""
    board = app.dashboard
    look: dict[str, Any] = {
        "place": board.place,
        "session": board.panes.session,
        "theme": app.chosen_theme,
        "bookmarks": app.bookmarks,
        "tables": {name: _table(table) for name, table in board.tables.items()},
    }
    path = os.path.join(state_directory(), NAME)
    with suppress(OSError):
        os.makedirs(state_directory(), 0o700, exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(look, file)
        os.replace(f"{path}.new", path)


def recall(app: LimpetApp) -> None:
    """Give the app the look that was written down; what does not fit is passed over."""
    try:
        with open(os.path.join(state_directory(), NAME), encoding="utf-8") as file:
            look = json.load(file)
        _apply(app, look)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return  # never left before, or by another limpet


def _table(table: LineTable) -> dict[str, Any]:
    sort = "" if table.sort is None else table.columns[table.sort].key
    return {
        "sort": sort,
        "reversed": table.reversed,
        "hidden": sorted(table.hidden),
        "group": table.group,
    }


def _apply(app: LimpetApp, look: dict[str, Any]) -> None:
    board = app.dashboard
    app.bookmarks = [mark for mark in look.get("bookmarks", []) if isinstance(mark, str)]
    for name, table in board.tables.items():
        kept = look["tables"][name]
        keys = [column.key for column in table.columns]
        table.sort = keys.index(kept["sort"]) if kept["sort"] in keys else None
        table.reversed = kept["reversed"] is True
        table.hidden = {key for key in kept["hidden"] if key in keys[1:]}
        table.group = str(kept["group"])
    if look["place"] in TABLES:
        board.place = look["place"]
    if look["session"] in (True, False):
        board.panes.session = look["session"]
    if look["theme"] in app.available_themes:
        app.choose_theme(look["theme"])
