"""Which commands' tables have a screen of their own."""

from __future__ import annotations

from tui.screens.listing import ListingScreen
from tui.views.commands import reading, table_screen
from tui.views.jobs import job_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.engine import Engine
    from tui.keymap import Keymap

LISTINGS = {
    "networks": ("network ls", "no networks"),
    "volumes": ("volume ls", "no volumes yet: run -v NAME:/path makes one"),
    "disk": ("system df", "nothing is stored yet"),
    "trash": ("trash ls", "nothing was removed that could be brought back"),
    "cache": ("build cache", "nothing was built yet"),
    "stats": ("container stats", "nothing runs"),
    "doctor": ("system doctor", "nothing to check"),
    "sync": ("sync ls", "no rules: [[sync]] in config.toml makes one"),
    "updates": ("container updates", "no container runs"),
}
"""Name of the screen: the command that lists, what an empty list says."""


def listing(
    engine: Engine, name: str, run: Callable[[str], None], keymap: Keymap
) -> ListingScreen | None:
    """Return the screen of that name; None where limpet has none."""
    if name == "jobs":
        return ListingScreen(
            "jobs",
            lambda: job_table(engine),
            empty="no jobs yet: a pull or a build is one",
            keys=keymap.of(name),
            run=run,
            every_s=0.5,
        )
    if name not in LISTINGS:
        return None
    line, empty = LISTINGS[name]
    words = (name, line, empty)
    return table_screen(engine, reading(line), words, keymap.of(name), run, keymap.refuses)
