"""What a person has made of the keys: those in force, and what is wrong with the changes."""

from __future__ import annotations

import unicodedata

from core.commands.keys import ACTION, APP_WORDS, DEFAULT, FILL, PLACES, SIGNS, TABLES, Key, sign
from core.model import Fact
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

MOVING = {
    **dict.fromkeys(("j", "down", "ctrl+n"), "down"),
    **dict.fromkeys(("k", "up", "ctrl+p"), "up"),
    **dict.fromkeys(("g", "home", "alt+less_than_sign"), "first row"),
    **dict.fromkeys(("G", "end", "alt+greater_than_sign"), "last row"),
    **dict.fromkeys(("pagedown", "ctrl+f", "ctrl+v"), "page down"),
    **dict.fromkeys(("pageup", "ctrl+b", "alt+v"), "page up"),
    "space": "mark", "asterisk": "mark all", "ctrl+backslash": "clear marks",
    "less_than_sign": "sort by the column before",
    "greater_than_sign": "sort by the next column", "O": "reverse the order",
}  # fmt: skip
"""What keys do that tables keep for themselves."""
LISTS = {
    "escape": "back", "q": "leave", "slash": "filter", "r": "read again", "y": "copy the names",
    "Y": "copy the rows", "m": "all actions", "comma": "columns", "b": "group",
}  # fmt: skip
"""What keys do that the screen of a list keeps for itself."""
NAMED = frozenset((
    "escape", "enter", "tab", "backspace", "delete", "insert", "space", "up", "down", "left",
    "right", "home", "end", "pageup", "pagedown", "at", *(f"f{number}" for number in range(1, 25)),
))  # fmt: skip
"""Keys that are no sign, by Textual's names."""


class Change(Record):
    """One line of `[keys]`; a command that is empty takes the key away."""

    written: str
    place: str
    key: str
    command: str


def named(written: str) -> str:
    """Return Textual's name of a key that is written for people; the opposite of `sign`."""
    names = {shown: name for name, shown in SIGNS.items()}
    if written in names:
        return names[written]
    before, plus, last = written.replace("-", "+").rpartition("+")
    if plus and before and last:
        return f"{before}+{named(last)}"
    if len(written) != 1 or written.isalnum():
        return written
    return unicodedata.name(written, written).lower().replace("-", "_").replace(" ", "_")


def read(changed: Mapping[str, str]) -> list[Change]:
    """Return the lines of `[keys]`: `l`, or `images.l` for one place; as they are written."""
    found = []
    for written, command in changed.items():
        place, dot, key = written.partition(".")
        if not (dot and key and place in PLACES):
            place, key = "", written
        found.append(Change(written, place, named(key), command))
    return found


def kept(change: Change) -> str:
    """Return what a key does that cannot be changed there, nothing for any other."""
    in_list = change.place not in ("", *TABLES)
    return MOVING.get(change.key) or (LISTS.get(change.key, "") if in_list else "")


def in_force(changed: Mapping[str, str], aliases: Iterable[str]) -> list[Key]:
    """Return all keys; a change for everywhere gives way to one for a place.

    A key whose command is none does nothing: what limpet has on it was not wanted there.
    """
    keys, known = list(DEFAULT), _words(aliases)
    for change in sorted(read(changed), key=lambda change: bool(change.place)):
        place, key, command = change.place, change.key, change.command
        if kept(change):
            continue
        keys = [k for k in keys if k.key != key or (place and k.place != place)]
        if command and not any(_command_problems(command, known)):
            keys.insert(0, Key(place, key, command, command.split("{")[0].strip()))
    return keys


def problems(changed: Mapping[str, str], aliases: Iterable[str]) -> list[str]:
    """Return what is wrong with the lines, which of two is taken included."""
    known = _words(aliases)
    found: list[str] = []
    seen: dict[tuple[str, str], Change] = {}
    for change in read(changed):
        said = f"{change.written} = {change.command!r}"
        other = seen.get((change.place, change.key))
        if other is not None:
            found.append(f"{other.written} and {change.written} are the same key: {said} is taken, "
                         f"{other.command!r} is not")  # fmt: skip
        seen[change.place, change.key] = change
        if not is_key(change.key):
            found.append(f"{said}: there is no key {change.written.rpartition('.')[2]}")
        if kept(change):
            found.append(f"{said} is not taken: {sign(change.key)} stays {kept(change)!r} there")
        found += [f"{said}: {problem}" for problem in _command_problems(change.command, known)]
    return found


def is_key(name: str) -> bool:
    """Tell whether a terminal has such a key."""
    *modifiers, last = name.split("+")
    if not {*modifiers} <= {"ctrl", "alt", "shift", "super", "meta", "hyper"}:
        return False
    return len(last) == 1 or last in NAMED or last in SIGNS or _is_sign(last)


def _is_sign(name: str) -> bool:
    return any(named(chr(code)) == name for code in range(33, 127))


def _words(aliases: Iterable[str]) -> set[str]:
    """Return what a command can begin with."""
    from core.commands import MODULES

    return {*MODULES, *APP_WORDS, *aliases}


def _command_problems(command: str, known: set[str]) -> Iterator[str]:
    word = command.split()[0] if command.strip() else ""
    if word.startswith(ACTION):
        if word.partition("(")[0] not in {key.command.partition("(")[0] for key in DEFAULT}:
            yield f"there is no action {word}"
    elif word and not word.startswith("!") and word.rstrip(FILL) not in known:
        yield f"{word!r} is no command"


def facts(changed: Mapping[str, str], aliases: Collection[str], where: str) -> Iterator[Fact]:
    """Yield what `[keys]` comes to: what is wrong, and what has taken the place of what."""
    for problem in problems(changed, aliases):
        yield Fact("keys", False, problem, f"mend [keys] in {where}")
    keys = in_force(changed, aliases)
    for change in read(changed):
        places = (change.place,) if change.place else ("", *PLACES)
        lost = [key for key in DEFAULT if key.key == change.key and key.place in places]
        told = [f"{key.help!r}{f' on {key.place}' * bool(key.place)} ({_left(key, keys)})"
                for key in lost]  # fmt: skip
        if told:
            is_taken = any((key.key, key.command) == (change.key, change.command) for key in keys)
            runs = f"runs {change.command!r}" if is_taken else "does nothing"
            yield Fact("keys", True, f"{change.written} {runs} instead of {', '.join(told)}")


def _left(lost: Key, keys: Iterable[Key]) -> str:
    """Return where an action of limpet's own still is."""
    others = [sign(key.key) for key in keys
              if key.place == lost.place and key.command == lost.command]  # fmt: skip
    return f"now {', '.join(others)}" if others else "on no key now"
