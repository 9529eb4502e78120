"""Screens of a container: everything about it, its layers, its log or those of several."""

from __future__ import annotations

import time

from tui.views.commands import answer_tab
from tui.views.events import event_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from textual.screen import Screen

    from core.engine import Engine
    from tui.screens.detail.screen import Keys
    from tui.screens.detail.tab import Line, Tab
    from tui.widgets.log.ring import Lot

LOG_TAIL = 50_000
"""Lines of the past that a log is opened with."""


def container(engine: Engine, name: str, keys: Keys, tab: str = "") -> Screen[None]:
    """Return everything about a container; `tab`: the one to begin with."""
    from tui.screens.detail.screen import DetailScreen
    from tui.screens.detail.tab import Tab
    from tui.views.details import container_tabs

    def day() -> list[Line]:
        from tui.theme import glyphs
        from tui.views.usage_day import DAY_S, day_lines

        return day_lines(engine.containers.history(name, DAY_S), time.time(), glyphs())

    def happened() -> list[Line]:
        from core.events import look, past

        events = past(look(engine), 0, time.time())
        mine = (event for event in events if ("name", name) in event.attributes)
        return [[(event_line(event), "")] for event in mine]

    def read() -> list[Tab]:
        first, *others = container_tabs(engine.containers.inspect(name))
        answers = [
            *answer_tab(engine, "Processes", ("top", name)),
            *answer_tab(engine, "Changes", ("diff", name)),
            Tab("Day", load=day),
            Tab("Events", load=happened),
        ]
        return [first, *answers, *others]

    return DetailScreen(
        name,
        read,
        lambda: engine.containers.usage(name),
        keys=keys,
        tab=tab,
        history=lambda: engine.containers.history(name, 240),
        usage_every_s=engine.config["tui", "refresh_s"],
    )


def layers(engine: Engine, container: str) -> Screen[None]:
    """Return the browser of a container's layers: its image's, and what it wrote, live."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import ContainerSource

    return LayersScreen(ContainerSource(engine, container))


def _unstarted(engine: Engine, name: str) -> bool:
    from core.errors import NotFound

    try:
        return str(engine.containers.inspect(name)["State"]["Status"]) == "created"
    except NotFound:  # it was removed when it ended
        return False


def logs(engine: Engine, containers: Sequence[str]) -> Screen[None]:
    """Return the log of a container, or of several as one, followed."""
    from tui.screens.logs import LogsScreen
    from tui.widgets.log.merged import MergedLog

    def source(name: str) -> Callable[[Callable[[], bool]], Iterator[Lot]]:
        return lambda stopped: engine.containers.log_blocks(name, tail=LOG_TAIL, stopped=stopped)

    max_bytes = engine.config["tui", "log_max_bytes"]
    if len(containers) == 1:
        (name,) = containers
        return LogsScreen(
            name,
            source(name),
            max_bytes=max_bytes,
            unstarted=lambda: _unstarted(engine, name),
        )
    merged = MergedLog([(name, source(name)) for name in containers])
    title = ", ".join(containers)
    return LogsScreen(title, merged, named=merged.named, max_bytes=max_bytes)
