"""The files of a layer or an image as a tree that folds, filters and finds."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message

from core.images.files.file_tree import Node, Row, Rows
from tui.widgets.file_lines import file_line
from tui.widgets.line_list import LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.theme import Part

WIDE = 110
"""Width of the screen from which on modes and owners are shown at first."""


class FileTree(LineList):
    """A tree of nodes; what is open stays open when another tree is shown."""

    class Entered(Message):
        """The person wants to see the file under the cursor."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    BINDINGS = [
        Binding("enter,space", "fold", "Open or close", show=False),
        Binding("right,l", "open", "Open", show=False),
        Binding("left,h", "close", "Close", show=False),
        Binding("o", "owners", "Modes and owners", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._tree: Node | None = None
        self._rows: Rows | None = None
        self._opened: set[str] = set()
        self._statuses: frozenset[str] = frozenset()
        self._owners: bool | None = None
        """Whether modes and owners are shown; None: as the width says."""
        self._paths: list[str] = []

    def set_tree(self, tree: Node | None, statuses: frozenset[str]) -> None:
        """Show a tree, None for none yet; `statuses`, if any, are the only ones shown."""
        row = self.row
        self._tree, self._statuses, self._paths = tree, statuses, []
        self._rows = Rows(tree, self._opened, statuses or None) if tree else None
        self._show()
        if row is not None and self._rows:
            self._go_to(row.path)

    @property
    def is_ready(self) -> bool:
        """Whether there is a tree."""
        return self._rows is not None

    @property
    def row(self) -> Row | None:
        """The line under the cursor."""
        lines = self._rows.lines if self._rows else []
        return lines[self.cursor] if self.cursor < len(lines) else None

    def _show(self) -> None:
        self.show(len(self._rows.lines) if self._rows else 0, self._line)
        self._tell_moved()

    @property
    def _shows_owners(self) -> bool:
        return self.app.size.width >= WIDE if self._owners is None else self._owners

    def _line(self, number: int) -> list[Part]:
        if self._rows is None:
            return []
        return file_line(self._rows.lines[number], owners=self._shows_owners)

    def reveal(self, path: str) -> bool:
        """Go to a path, opening what leads there; False when it is not in the tree."""
        place = self._rows.reveal(path) if self._rows else -1
        if place >= 0:
            self._show()
            self.go(place)
        return place >= 0

    def _go_to(self, path: str) -> None:
        """Put the cursor on a path, if it is among the lines."""
        lines = self._rows.lines if self._rows else []
        place = next((number for number, row in enumerate(lines) if row.path == path), None)
        if place is not None:
            self.go(place)

    def on_line_list_chosen(self) -> None:
        """Do what enter does."""
        self.action_fold()

    def action_fold(self) -> None:
        """Open or close the directory under the cursor, or look into the file."""
        row = self.row
        if row is not None and not row.node.is_directory:
            self.post_message(self.Entered(row))
        elif row is not None and row.is_open:
            self.action_close()
        else:
            self.action_open()

    def action_open(self) -> None:
        """Open the directory under the cursor."""
        row = self.row
        if self._rows and row is not None and row.node.is_directory:
            self._rows.open(self.cursor)
            self._show()

    def action_close(self) -> None:
        """Close the directory under the cursor, or go to the one it is in."""
        row = self.row
        if self._rows is None or row is None:
            return
        if row.is_open:
            self._rows.close(self.cursor)
            self._show()
        elif "/" in row.path:
            self._go_to(row.path.rpartition("/")[0])

    def action_owners(self) -> None:
        """Show or hide modes and owners."""
        self._owners = not self._shows_owners
        self.refresh()

    def find(self, wanted: str, by: int) -> bool:
        """Go to the next name (by 1) or the one before (-1) that holds `wanted`.

        Opens what leads there; what fits is told by `name_test`.  False when there is none.
        """
        fits = name_test(wanted)
        if self._rows is None:
            return False
        if not self._paths:
            self._paths = self._rows.paths()
        row, count = self.row, len(self._paths)
        start = self._paths.index(row.path) if row is not None else 0
        for step in range(1, count + 1):
            path = self._paths[(start + by * step) % count]
            if fits(path):
                place = self._rows.reveal(path)
                self._show()
                self.go(place)
                return True
        return False


def name_test(wanted: str) -> Callable[[str], bool]:
    """Return what tells whether a path is looked for; letters' case does not count.

    `wanted` is a part of its name; with a slash in it, of the whole path, from the root's
    slash on; with `*`, `?` or `[` in it, it is a pattern for all of the name or path.
    """
    wanted = wanted.lower()
    whole = "/" in wanted
    if not any(letter in wanted for letter in "*?["):
        return lambda path: wanted in _sought(path, whole=whole)
    import fnmatch
    import re

    if whole and not wanted.startswith("/"):
        wanted = f"/{wanted}"
    pattern = re.compile(fnmatch.translate(wanted))
    return lambda path: pattern.match(_sought(path, whole=whole)) is not None


def _sought(path: str, *, whole: bool) -> str:
    return (f"/{path}" if whole else path.rpartition("/")[2]).lower()
