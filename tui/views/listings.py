"""Which commands' tables have a screen of their own, and what keys do there."""

from __future__ import annotations

from tui.screens.listing import Action, ListingScreen
from tui.views.answers import reading, table_screen
from tui.views.jobs import job_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


def listing(
    engine: Engine, name: str, run: Callable[[str], None], refuses: Callable[[str], bool]
) -> ListingScreen | None:
    """Return the screen of that name; None where limpet has no such command."""
    if name == "jobs":
        return ListingScreen(
            "jobs",
            lambda: job_table(engine),
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
    return table_screen(engine, command, (name, line, empty), actions, run, refuses)
