"""A JSON document as a tree that folds; the lines are a flat list, made when a fold changes."""

from __future__ import annotations

from textual.binding import Binding

from core.record import Record
from tui.answers import visible
from tui.widgets.line_list import FOLD_SIGNS, LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tui.theme import Part

    Path = tuple[str | int, ...]

OPEN_DEPTH = 1
"""Levels that are open at first."""


class Row(Record):
    """One line of the tree."""

    path: Path
    value: Any
    is_open: bool


def rows(document: Any, folds: frozenset[Path] | set[Path]) -> list[Row]:
    """Return the visible lines; `folds` are the paths that are not as they are at first."""
    found: list[Row] = []
    stack: list[tuple[Path, Any]] = [((k,), value) for k, value in reversed(_children(document))]
    while stack:
        path, value = stack.pop()
        children = _children(value)
        is_open = bool(children) and (len(path) <= OPEN_DEPTH) != (path in folds)
        found.append(Row(path, value, is_open))
        if is_open:
            stack += [((*path, key), child) for key, child in reversed(children)]
    return found


def _children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def summary(value: Any) -> tuple[str, str]:
    """Return a value in one line and its tone; of a closed branch, how much is in it."""
    if isinstance(value, dict | list | tuple):
        braces = "{}" if isinstance(value, dict) else "[]"
        return (f"{braces[0]} {len(value)} {braces[1]}" if value else braces), "dim"
    if isinstance(value, str):
        return visible(value) if value else '""', "" if value else "dim"
    import json

    return json.dumps(value), "accent" if value else "dim"


class Foldable(LineList):
    """The tree; keys fold and unfold."""

    BINDINGS = [
        Binding("enter,space", "fold", "Open or close", show=False),
        Binding("right,l", "open", "Open", show=False),
        Binding("left,h", "close", "Close", show=False),
        Binding("asterisk", "open_all", "Open all", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._document: Any = None
        self._folds: set[Path] = set()
        self._rows: list[Row] = []

    def set_document(self, document: Any) -> None:
        """Show another document; what is open stays open."""
        self._document = document
        self._build()

    @property
    def selected(self) -> Any:
        """The value under the cursor."""
        return self._rows[self.cursor].value if self._rows else None

    def _build(self) -> None:
        self._rows = rows(self._document, self._folds)
        self.show(len(self._rows), self._line)

    def _line(self, number: int) -> Sequence[Part]:
        row = self._rows[number]
        branch = bool(_children(row.value))
        sign = f"{FOLD_SIGNS[row.is_open]} " if branch else "  "
        name = visible(str(row.path[-1]))
        parts: list[Part] = [
            ("  " * (len(row.path) - 1) + sign, "dim"),
            (name, "primary" if isinstance(row.path[-1], str) else "faint"),
        ]
        return parts if row.is_open else [*parts, ("  ", ""), summary(row.value)]

    def _set(self, is_open: bool) -> bool:
        """Open or close the branch under the cursor; False when it was so, or is none."""
        row = self._rows[self.cursor] if self._rows else None
        if row is None or not _children(row.value) or row.is_open == is_open:
            return False
        self._folds ^= {row.path}
        self._build()
        return True

    def on_line_list_chosen(self) -> None:
        """Do what enter does."""
        self.action_fold()

    def action_fold(self) -> None:
        """Open the branch under the cursor, or close it."""
        if self._rows:
            self._set(not self._rows[self.cursor].is_open)

    def action_open(self) -> None:
        """Open the branch under the cursor; go into it when it is open."""
        if not self._set(True) and self._rows and self._rows[self.cursor].is_open:
            self.go(self.cursor + 1)

    def action_close(self) -> None:
        """Close the branch under the cursor, or go to the one it is in."""
        if not self._rows or self._set(False):
            return
        above = self._rows[self.cursor].path[:-1]
        for place, row in enumerate(self._rows):
            if row.path == above:
                self.go(place)

    def action_open_all(self) -> None:
        """Open everything, or go back to how it was at first."""
        branches: set[Path] = set()
        stack: list[tuple[Path, Any]] = [((k,), value) for k, value in _children(self._document)]
        while stack:
            path, value = stack.pop()
            children = _children(value)
            if children and len(path) > OPEN_DEPTH:
                branches.add(path)
            stack += [((*path, key), child) for key, child in children]
        self._folds = set() if self._folds == branches else branches
        self._build()
