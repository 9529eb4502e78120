"""What happens to containers, images, networks and volumes, on a screen and in words."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.screen import Screen

    from core.engine import Engine
    from core.events import Event

EVENTS_S = 24 * 3600
"""How far back events are told."""


def events(engine: Engine) -> Screen[None]:
    """Return what happens to containers, images, networks and volumes, as a log that grows."""
    from core.events import follow
    from tui.screens.logs import LogsScreen

    def source(stopped: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
        for event in follow(engine, time.time() - EVENTS_S, 0, stopped):
            yield [(1, (event_line(event) + "\n").encode("utf-8", "surrogateescape"))]

    screen = LogsScreen("events", source)
    screen.view.rows.stamps = True
    return screen


def event_line(event: Event) -> str:
    """Return an event as a person reads it: time, what happened to whom, what belongs to it."""
    from core.commands.show import printable, short
    from core.containers.log.writer import timestamp

    facts = dict(event.attributes)
    name = facts.pop("name", "") or short(event.id)
    more = "  ".join(f"{key}={value}" for key, value in facts.items())
    when = timestamp(int(event.time * 1e9)).decode()
    return printable(f"{when} {event.type:<9} {event.action:<10} {name}  {more}".rstrip())
