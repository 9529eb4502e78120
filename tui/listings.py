"""Which commands' tables have a screen of their own, and what keys do there."""

from __future__ import annotations

from core.commands.result import Column, Table
from tui.answers import summary
from tui.screens.listing import Action, ListingScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.engine import Engine

LISTINGS: dict[str, tuple[str, str, tuple[Action, ...]]] = {
    "networks": (
        "network ls",
        "no networks",
        (Action("i", "inspect", "network inspect {names}"),),
    ),
    "volumes": (
        "volume ls",
        "no volumes yet: run -v NAME:/path makes one",
        (
            Action("i", "inspect", "volume inspect {names}"),
            Action("d", "rm", "volume rm {names}"),
        ),
    ),
    "disk": ("system df", "nothing is stored yet", (Action("P", "clean up", "system prune"),)),
    "doctor": ("system doctor", "nothing to check", ()),
}
"""Name of the screen: the command that lists, what an empty list says, keys."""
JOB_COLUMNS = (
    Column("Number", "JOB"),
    Column("State", "STATE"),
    Column("Progress", "WHAT"),
    Column("Note", "LAST WORDS"),
)


def listing(engine: Engine, name: str, run: Callable[[str], None]) -> ListingScreen | None:
    """Return the screen of that name; None where limpet has no such command."""
    if name == "jobs":
        return ListingScreen(
            "jobs",
            lambda: jobs(engine),
            empty="no jobs yet: a pull or a build is one",
            actions=(Action("c", "cancel", "cancel {names}"),),
            run=run,
            every_s=0.5,
        )
    if name not in LISTINGS:
        return None
    from core.commands import find
    from core.commands.grammar import REGISTRY, parse
    from core.errors import UsageError

    line, empty, actions = LISTINGS[name]
    try:
        verb, rest = find(line.split())
    except UsageError:
        return None
    known = tuple(action for action in actions if _is_known(action.line, REGISTRY))

    def read() -> Table:
        answer = verb.run(engine, parse(verb, rest))
        if not isinstance(answer, Table):
            raise TypeError(f"{line} answered with {type(answer).__name__}")
        return answer

    return ListingScreen(name, read, empty=empty, actions=known, run=run)


def _is_known(line: str, verbs: object) -> bool:
    return " ".join(line.split()[:2]) in verbs  # type: ignore[operator]


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
