"""The rows of a live table as plain data: filtering, ordering and what a change touches."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from tui.widgets.table.columns import Column

    Term = tuple[str, str, bool]


class Row(Record):
    """One thing; `key` names it for as long as it lives."""

    key: str
    cells: tuple[str, ...]
    tones: tuple[str, ...]
    """Of each cell, see `tui.theme.TONES`."""
    sorts: tuple[float | str, ...]
    """What each column sorts by."""
    name: str = ""
    """What commands call it."""
    state: str = ""
    labels: tuple[str, ...] = ()
    heads: int = -1
    """The head of a group: how many rows it has; its only cell is the group's name."""


def matches(row: Row, wanted: str) -> bool:
    """Tell whether the row passes every term of the filter, letters' case ignored.

    A word is searched in the cells; `!WORD` keeps the others; `-f WORD` needs only its
    letters, in their order in one cell; `-l NAME[=VALUE]` looks at labels, `-s STATE` at how
    the state begins.
    """
    return _passes_all(row, terms(wanted))


def _passes_all(row: Row, wants: Iterable[Term]) -> bool:
    return all(_passes(row, kind, word) is not inverse for kind, word, inverse in wants)


def terms(wanted: str) -> list[Term]:
    """Return the terms of a filter: the option's letter or nothing, the word, `!`."""
    found: list[Term] = []
    words = wanted.lower().replace("!", " !").split()
    kind, inverse = "", False
    for word in words:
        inverse = inverse or word.startswith("!")
        word = word.removeprefix("!")
        if word[:2] in ("-f", "-l", "-s"):
            kind, word = word[1], word[2:]
        if word:
            found.append((kind, word, inverse))
            kind, inverse = "", False
    return found


def _passes(row: Row, kind: str, word: str) -> bool:
    if kind == "l":
        return any(word in (text.lower(), text.lower().partition("=")[0]) for text in row.labels)
    if kind == "s":
        return row.state.startswith(word)
    if kind == "f":
        return any(has_letters(cell.lower(), word) for cell in row.cells)
    return word in " ".join(row.cells).lower()


def has_letters(text: str, letters: str) -> bool:
    """Tell whether the text has all these letters, in their order."""
    rest = iter(text)
    return all(letter in rest for letter in letters)


STATE, LABEL = "state", "label "
"""How rows may be grouped, besides by a column's key: by state, by the value of a label."""


def group_of(row: Row, by: str, columns: Sequence[Column]) -> str:
    """Return the name of the group that a row belongs to, nothing for a row without one."""
    if by == STATE and row.state:
        return row.state
    if by.startswith(LABEL):
        start = by.removeprefix(LABEL) + "="
        return next((text.removeprefix(start) for text in row.labels if text.startswith(start)), "")
    place = next((n for n, column in enumerate(columns) if column.key == by), -1)
    return row.cells[place] if place >= 0 else ""


def grouped(
    rows: Sequence[Row], by: str, columns: Sequence[Column], folded: Container[str]
) -> list[Row]:
    """Return the rows in groups, a head before each; rows of a folded group are left out."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group_of(row, by, columns), []).append(row)
    shown: list[Row] = []
    for name in sorted(groups, key=lambda name: (not name, name.lower())):
        shown.append(Row(HEAD_KEY + name, (name,), ("",), (), heads=len(groups[name])))
        shown += [] if name in folded else groups[name]
    return shown


HEAD_KEY = "\0"
"""Begins the key of a group's head."""


def _near(rows: Iterable[Row], wants: Sequence[Term]) -> list[Row]:
    """Return rows whose name has the letters of a one-word filter in their order."""
    if len(wants) != 1 or wants[0][0] or wants[0][2]:
        return []
    return [row for row in rows if has_letters(row.name.lower(), wants[0][1])]


def arrange(
    rows: Iterable[Row], wanted: str, sort: int | None, *, reverse: bool, held: Mapping[str, int]
) -> list[Row]:
    """Return the rows that pass the filter in the order they are shown.

    A word that no row has finds those whose name nearly is it.  Rows in `held` (key to
    place) keep that order, in front of others: a list in which rows are marked must not
    move under the person's hands.
    """
    found = list(rows)
    if wants := terms(wanted):
        found = [row for row in found if _passes_all(row, wants)] or _near(found, wants)
    if sort is not None:
        found.sort(key=lambda row: _comparable(row.sorts[sort]), reverse=reverse)
    if held:
        found.sort(key=lambda row: held.get(row.key, len(held)))
    return found


def _comparable(value: float | str) -> tuple[int, float, str]:
    return (1, 0.0, value.lower()) if isinstance(value, str) else (0, value, "")


class Line(Record):
    """What one screen line of a table shows; None in a list of lines is an empty line."""

    row: Row
    cursor: bool
    marked: bool


def window(
    rows: Sequence[Row], top: int, height: int, cursor: str, marked: Container[str]
) -> list[Line | None]:
    """Return the `height` lines from row `top` on."""
    shown: list[Line | None] = [
        Line(row, row.key == cursor, row.key in marked) for row in rows[top : top + height]
    ]
    return shown + [None] * (height - len(shown))


def changed_lines(before: Sequence[Line | None], after: Sequence[Line | None]) -> list[int]:
    """Return the numbers of the lines that must be painted to get from one to the other."""
    differing = [
        number
        for number, (old, new) in enumerate(zip(before, after, strict=False))
        if old is not new and old != new
    ]
    return differing + list(range(len(before), len(after)))
