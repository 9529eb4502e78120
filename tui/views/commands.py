"""What a command answers, on a screen or a tab of its own, read again and again."""

from __future__ import annotations

from core.commands.grammar import Listing
from core.commands.keys import CONTAINERS, GO, Key
from core.commands.result import Document, Running, Table
from tui.screens.listing import ListingScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from textual.screen import Screen

    from core.commands.grammar import Verb
    from core.engine import Engine
    from tui.keymap import Keymap
    from tui.screens.detail.tab import Tab

KINDS = {
    "container": "containers",
    "image": "images",
    "network": "networks",
    "volume": "volumes",
}
"""What the rows of a noun's list are, see `menu`."""
EMPTY_ANSWERS = {"sync plan": "nothing to copy or delete"}
"""What an empty answer of a command means."""
FAR = ("container updates", "image updates", "sync plan", "search")
BRISK_S, CALM_S = 5.0, 300.0
"""Seconds between two readings."""


def answer_screen(
    engine: Engine, line: str, run: Callable[[str], None], keymap: Keymap
) -> Screen[None]:
    """Return a screen of what a command answers: a table, a tree that folds, or text.

    Raises UsageError for a line that is no command, or one that would change something.
    """
    from tui.answers import answer
    from tui.screens.detail.screen import DetailScreen
    from tui.screens.detail.tab import Tab

    verb, args = reading(line)
    if issubclass(verb.args, Listing) and not args.quiet and args.format in ("", "table"):
        empty = EMPTY_ANSWERS.get(verb.name, "nothing to list")
        keys = _inspect_keys(verb)
        return table_screen(engine, (verb, args), (line, line, empty), keys, run, keymap.refuses)

    def read() -> list[Tab]:
        found = verb.run(engine, args)
        if isinstance(found, Running):
            found = found.show(found.job.result())
        if isinstance(found, Document) and not found.format:
            data = found.data
            return [Tab("", data=data[0] if isinstance(data, list) and len(data) == 1 else data)]
        return [Tab("", tuple(answer(found)))]

    return DetailScreen(line, read)


def stream(line: str) -> list[str]:
    """Return the address of what a command tells line by line; [] for one that answers at once.

    Raises UsageError as `reading` does.
    """
    verb, args = reading(line)
    if verb.name == "container logs":
        return [CONTAINERS, args.container, "logs"]
    return ["events"] if verb.name == "system events" else []


def answer_tab(engine: Engine, title: str, words: Sequence[str]) -> list[Tab]:
    """Return a tab that shows what a command answers; none where there is no such command."""
    from core.commands import find
    from core.commands.grammar import parse
    from core.errors import UsageError
    from tui.answers import answer
    from tui.screens.detail.tab import Tab

    try:
        verb, rest = find(words)
    except UsageError:
        return []
    return [Tab(title, load=lambda: answer(verb.run(engine, parse(verb, rest))))]


def reading(line: str) -> tuple[Verb, Any]:
    """Return a command that only reads, and its arguments; UsageError for any other line."""
    from core.commands import find
    from core.commands.grammar import parse
    from core.commands.scan import split
    from core.errors import UsageError

    verb, rest = find(split(line))
    if verb.changes:
        raise UsageError(
            f"{verb.word} changes things: go only shows", hint=f"type it without go: {line}"
        )
    return verb, parse(verb, rest)


def _inspect_keys(verb: Verb) -> tuple[Key, ...]:
    """Return the key that shows a row of a noun's list in full, where there is a command for it."""
    from core.commands import load_all

    kind, inspect = kind_of(verb), f"{verb.name.split()[0]} inspect"
    if not kind or inspect not in load_all():
        return ()
    return (Key(kind, "enter", f"{GO}{inspect} {{name}}", "details"),)


def kind_of(verb: Verb) -> str:
    """Return what the rows of a noun's list are, nothing for another table."""
    noun, *_, last = verb.name.split()
    return KINDS.get(noun, "") if last in ("ls", "list") else ""


def table_screen(
    engine: Engine,
    command: tuple[Verb, Any],
    words: tuple[str, str, str],
    keys: Sequence[Key],
    run: Callable[[str], None],
    refuses: Callable[[str], bool],
) -> ListingScreen:
    """Return a screen of the table that a command answers; `words`: title, line, empty."""
    verb, args = command
    title, line, empty = words

    def read() -> Table:
        answer = verb.run(engine, args)
        if isinstance(answer, Running):
            answer = answer.show(answer.job.result())
        if not isinstance(answer, Table):
            raise TypeError(f"{line} answered with {type(answer).__name__}")
        return answer

    slow = CALM_S if _asks_far(verb.name) else BRISK_S
    return ListingScreen(
        title, read, empty=empty, keys=keys, run=run, kind=kind_of(verb), every_s=slow,
        refuses=refuses,
    )  # fmt: skip


def _asks_far(name: str) -> bool:
    """Tell whether a command asks registries, which is not done every few seconds."""
    return name.split()[0] == "registry" or name in FAR
