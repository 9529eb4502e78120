"""A tab of what is told about one thing: lines, or a document as a tree."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tui.theme import Part

    Line = list[Part]


class Tab(Record):
    """One tab; a tab with `data` shows it as a tree that folds.

    A tab with `load` is read in a thread, again and again, while it is looked at.
    """

    name: str
    lines: tuple[Line, ...] = ()
    data: Any = None
    load: Callable[[], Sequence[Line]] | None = None
