"""A container's writable layer, when an edit gave it another one.

The layer of before is kept beside as `upper.aside-N`, and `work` so too, with N counting the
layers the container has had.  A name says which layer it is, the database says which one is
to be in place: whatever was cut short is brought in order by looking.
"""

from __future__ import annotations

import os

from core.lean_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.stored import Row
    from core.database import Database

NAMES = ("upper", "work")
KEY = "layer"
"""In a container's document; without it no edit has ever exchanged its layer."""


def make_aside(database: Database, directory: str, row: Row) -> int:
    """Make an empty layer that is not in place yet, and return its number."""
    align(database, directory, row)
    number = max(int(row.document.get(KEY, 0)), _other(database, row)) + 1
    for name in NAMES:
        path = _aside(directory, name, number)
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103 - as a new container has it: its root
    return number


def align(database: Database, directory: str, row: Row) -> None:
    """Put the layer in place that the container's row names; the caller holds its lock.

    Layers that neither the row nor its undo names are removed.
    """
    from core.containers.removal import remove_tree

    wanted, other = row.document.get(KEY, 0), _other(database, row)
    for name in NAMES:
        in_place, aside = f"{directory}/{name}", _aside(directory, name, wanted)
        if os.path.exists(aside):
            if os.path.exists(in_place):
                os.rename(in_place, _aside(directory, name, other))
            os.rename(aside, in_place)
    kept = {_aside(directory, name, other) for name in NAMES}
    for found in os.listdir(directory):
        if ".aside-" in found and f"{directory}/{found}" not in kept:
            remove_tree(f"{directory}/{found}")


def _other(database: Database, row: Row) -> int:
    """Return the number of the layer that an undo would bring back."""
    edits = database.query("SELECT options FROM container_edits WHERE container=?", (row.id,))
    return int(loads(edits[0][0]).get(KEY, 0) if edits else row.document.get(KEY, 0))


def _aside(directory: str, name: str, number: int) -> str:
    return f"{directory}/{name}.aside-{number}"
