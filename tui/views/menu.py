"""What can be done with a thing: its keys, then every command of the grammar that takes one.

A verb that is declared tomorrow is in the menu, so nothing is out of reach of keys and mouse.
"""

from __future__ import annotations

from core.commands.keys import (
    ACTION,
    CONTAINERS,
    FILL,
    PANE,
    SOURCES,
    has_state,
    keys_of,
    sign,
    verb_of,
)
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from core.commands.grammar import Verb
    from core.commands.keys import Key


class Entry(Record):
    """One thing to do; `command` is a key's, see `tui.keymap`."""

    word: str
    key: str
    """Its key as people write it, or nothing."""
    words: str
    command: str
    also: str = ""
    """Its other names."""


def entries(
    kind: str, state: str, keys: Iterable[Key], verbs: Collection[Verb], *, read_only: bool
) -> list[Entry]:
    """Return what can be done with a thing of a kind in a state, what has a key first."""
    found: dict[str, Entry] = {}
    by_word = {name: verb for verb in verbs for name in (verb.name, *verb.aliases)}
    taken: set[str] = set()
    write = not read_only
    for key in keys:
        if key.place != kind or key.key in taken or not key.fits(state):
            continue
        verb = verb_of(key.command, by_word)
        if key.command.startswith(ACTION):
            word, words = key.help, ""
        elif verb is None or key.command.startswith(PANE):
            word, words = key.help, key.command
        else:
            word, words = verb.word, verb.summary
        taken.add(key.key)
        if verb is not None and not (_suits(verb, kind, state) and (verb.changes <= write)):
            continue
        if word not in found:
            found[word] = Entry(word, sign(key.key), words, key.command)
    for verb in sorted(verbs, key=lambda verb: verb.word):
        command = command_of(verb, kind, state)
        if command and verb.word not in found and verb.changes <= write:
            found[verb.word] = Entry(verb.word, "", verb.summary, command)
    return list(found.values())


def all_entries(keys: Sequence[Key], verbs: Mapping[str, Verb], *, read_only: bool) -> list[Entry]:
    """Return every command, those of a noun together; `verbs` is by name and alias.

    What only reads and needs no argument is done at once, the rest is finished in the bar.
    """
    found = []
    for verb in sorted(set(verbs.values()), key=lambda verb: verb.name):
        if verb.changes and read_only:
            continue
        needs = verb.changes or any(arg.required for arg in verb.args.declared)
        command = f"{verb.word} {FILL}" if needs else verb.word
        also = " ".join((verb.name, *verb.aliases))
        signs = keys_of(verb, keys, verbs)
        found.append(Entry(verb.word, ", ".join(signs[:1]), verb.summary, command, also))
    return found


def command_of(verb: Verb, kind: str, state: str) -> str:
    """Return the command line for a thing, with places to be filled; empty: it takes none."""
    places = [arg for arg in verb.args.declared if not arg.flags]
    at = next((n for n, arg in enumerate(places) if arg.complete in SOURCES.get(kind, ())), -1)
    if at < 0 or not _suits(verb, kind, state):
        return ""
    name = "{names}" if places[at].many else "{name}"
    gap = f"{FILL} " if any(arg.required for arg in places[:at]) else ""
    more = any(arg.required or arg.rest for arg in places[at + 1 :])
    return f"{verb.word} {gap}{name}" + (f" {FILL}" if more and not gap else "")


def _suits(verb: Verb, kind: str, state: str) -> bool:
    """Tell whether the state is none that a thing's verb is not declared for."""
    if kind != CONTAINERS or not state:
        return True
    sources = [arg.complete for arg in verb.args.declared if not arg.flags]
    return all(has_state(one, state) for one in sources if one in SOURCES[kind])
