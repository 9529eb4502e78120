"""Which commands' tables have a screen of their own, and what keys do there."""

from __future__ import annotations

from core.commands.grammar import Listing
from core.commands.result import Column, Document, Running, Table
from tui.answers import summary
from tui.screens.listing import Action, ListingScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from textual.screen import Screen

    from core.commands.grammar import Verb
    from core.engine import Engine

LISTINGS: dict[str, tuple[str, str, tuple[Action, ...]]] = {
    "networks": (
        "network ls",
        "no networks",
        (
            Action("i", "inspect", "network inspect {names}"),
            Action("n", "new", "network create …"),
            Action("d", "rm", "network rm {names}"),
            Action("P", "prune", "network prune"),
        ),
    ),
    "volumes": (
        "volume ls",
        "no volumes yet: run -v NAME:/path makes one",
        (
            Action("i", "inspect", "volume inspect {names}"),
            Action("n", "new", "volume create …"),
            Action("d", "rm", "volume rm {names}"),
            Action("P", "prune", "volume prune"),
        ),
    ),
    "disk": (
        "system df",
        "nothing is stored yet",
        (
            Action("P", "clean up", "system prune"),
            Action("I", "images", "image prune"),
            Action("V", "volumes", "volume prune"),
            Action("C", "build cache", "build prune"),
            Action("t", "trash", "trash ls"),
            Action("e", "empty trash", "trash empty"),
        ),
    ),
    "trash": (
        "trash ls",
        "nothing was removed that could be brought back",
        (
            Action("u", "bring back", "undo {name}"),
            Action("e", "empty", "trash empty"),
        ),
    ),
    "cache": ("build cache", "nothing was built yet", (Action("P", "prune", "build prune"),)),
    "stats": ("container stats", "nothing runs", ()),
    "doctor": ("system doctor", "nothing to check", ()),
    "sync": (
        "sync ls",
        "no rules: [[sync]] in config.toml makes one",
        (
            Action("p", "plan", "go sync plan {names}"),
            Action("s", "run", "sync {names}"),
            Action("w", "watch", "sync --watch 10m {names}"),
        ),
    ),
    "updates": (
        "container updates",
        "no container runs",
        (
            Action("U", "pull, make anew", "container upgrade {names}"),
            Action("u", "back", "container edit --undo {name}"),
            Action("a", "images, too", "go image updates"),
        ),
    ),
}
"""Name of the screen: the command that lists, what an empty list says, keys."""
KINDS = {
    "container": "containers",
    "image": "images",
    "network": "networks",
    "volume": "volumes",
}
"""What the rows of a noun's list are, see `tui.menu`."""
EMPTY_ANSWERS = {"sync plan": "nothing to copy or delete"}
"""What an empty answer of a command means."""
FAR = ("container updates", "image updates", "sync plan", "search")
BRISK_S, CALM_S = 5.0, 300.0
"""Seconds between two readings."""
JOB_COLUMNS = (
    Column("Number", "JOB"),
    Column("State", "STATE"),
    Column("Progress", "WHAT"),
    Column("Note", "LAST WORDS"),
)


def listing(
    engine: Engine, name: str, run: Callable[[str], None], refuses: Callable[[str], bool]
) -> ListingScreen | None:
    """Return the screen of that name; None where limpet has no such command."""
    if name == "jobs":
        return ListingScreen(
            "jobs",
            lambda: jobs(engine),
            empty="no jobs yet: a pull or a build is one",
            actions=(
                Action("enter", "details", "go job {name}"),
                Action("c", "cancel", "cancel {names}"),
            ),
            run=run,
            every_s=0.5,
        )
    if name not in LISTINGS:
        return None
    from core.errors import UsageError

    line, empty, actions = LISTINGS[name]
    try:
        command = reading(line)
    except UsageError:
        return None
    return _table(engine, command, (name, line, empty), actions, run, refuses)


def answer_screen(engine: Engine, line: str, run: Callable[[str], None]) -> Screen[None]:
    """Return a screen of what a command answers: a table, a tree that folds, or text.

    Raises UsageError for a line that is no command, or one that would change something.
    """
    from tui.answers import answer
    from tui.screens.detail import DetailScreen
    from tui.views.details import Tab

    verb, args = reading(line)
    if issubclass(verb.args, Listing) and not args.quiet and args.format in ("", "table"):
        empty = EMPTY_ANSWERS.get(verb.name, "nothing to list")
        return _table(engine, (verb, args), (line, line, empty), (), run)

    def read() -> list[Tab]:
        found = verb.run(engine, args)
        if isinstance(found, Running):
            found = found.show(found.job.result())
        if isinstance(found, Document) and not found.format:
            data = found.data
            return [Tab("", data=data[0] if isinstance(data, list) and len(data) == 1 else data)]
        return [Tab("", tuple(answer(found)))]

    return DetailScreen(line, read)


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


def _table(
    engine: Engine,
    command: tuple[Verb, Any],
    words: tuple[str, str, str],
    actions: Sequence[Action],
    run: Callable[[str], None],
    refuses: Callable[[str], bool] = lambda _: False,
) -> ListingScreen:
    from core.commands import load_all

    verb, args = command
    title, line, empty = words
    known = load_all()
    noun = verb.name.split()[0]
    kind = KINDS.get(noun, "") if verb.name.split()[-1] in ("ls", "list") else ""
    shown = [action for action in actions if _is_known(action.line, known)]
    if kind and f"{noun} inspect" in known:
        shown.insert(0, Action("enter", "details", f"go {noun} inspect {{name}}"))

    def read() -> Table:
        answer = verb.run(engine, args)
        if isinstance(answer, Running):
            answer = answer.show(answer.job.result())
        if not isinstance(answer, Table):
            raise TypeError(f"{line} answered with {type(answer).__name__}")
        return answer

    slow = CALM_S if _asks_far(verb.name) else BRISK_S
    return ListingScreen(
        title, read, empty=empty, actions=shown, run=run, kind=kind, every_s=slow, refuses=refuses
    )


def _asks_far(name: str) -> bool:
    """Tell whether a command asks registries, which is not done every few seconds."""
    return name.split()[0] == "registry" or name in FAR


def _is_known(line: str, verbs: Mapping[str, Verb]) -> bool:
    words = line.removeprefix("go ").split()
    return " ".join(words[:2]) in verbs or words[0] in verbs


def jobs(engine: Engine) -> Table:
    """Return the jobs of this limpet, newest first."""
    rows = []
    for job in reversed(engine.jobs.all()):
        view = job.snapshot()
        items = [item for item in view.items if item.note]
        note = f"{items[-1].name[:14]} {items[-1].note}" if items else ""
        rows.append({"Number": view.id, "State": view.state, "Progress": summary(view),
                     "Note": note})  # fmt: skip
    return Table(JOB_COLUMNS, tuple(rows))
