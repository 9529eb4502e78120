"""Inside the watched app: what it means to show, told when nothing is about to be painted."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import traceback
from contextlib import contextmanager

from rich.segment import Segment
from textual._context import visible_screen_stack
from textual.strip import Strip

from tui.tty.frame_diff import CONTROLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from textual.screen import Screen
    from textual.widget import Widget

    from tui.app import LimpetApp

CALM_S = 3.0
"""Something is painted all the time when it is not calm by then."""
SETTLED_S = 3.0
"""What differs from what it would be if it was painted anew so long is not just late."""


class Pictures:
    """Tells `picture JSON` when it is asked for one."""

    def __init__(self, app: LimpetApp, tell: Callable[..., None]) -> None:
        self._app, self._tell = app, tell
        self._count = 0
        self._taking: set[asyncio.Task[None]] = set()
        """Somebody has to know them."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR2, self._asked)

    def _asked(self) -> None:
        with self._app._context():
            task = asyncio.ensure_future(self.take())
        self._taking.add(task)
        task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._taking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            text = "".join(traceback.format_exception(error))
            self._tell("bug", text.replace("\n", "\\n"))

    async def take(self) -> None:
        """Tell what the terminal should show, and mark in what is written where that is so."""
        if not await self._calm():
            self._tell("picture", "null")
            return
        picture: dict[str, Any] = {}
        deadline = time.monotonic() + SETTLED_S
        while True:
            if not self._dirty():
                picture = self._now()
                if picture["cells"] == picture["anew"] and picture["cursor"] == picture["caret"]:
                    break
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        driver = self._app._driver
        if not picture or self._dirty() or driver is None:
            self._tell("picture", "null")
            return
        self._count += 1
        driver.write(f"\x1b]7077;{self._count}\x07")
        self._tell("picture", json.dumps({"number": self._count, **self._now()}))

    async def _calm(self) -> bool:
        deadline = time.monotonic() + CALM_S
        while self._dirty():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _dirty(self) -> bool:
        app = self._app
        if not app._running or app._closed or app._batch_count or not app.screen_stack:
            return True
        return any(
            screen._dirty_widgets
            or screen._compositor._dirty_regions
            or screen.outer_size != app.size  # as it is laid out; `size` is always the app's
            or screen.message_queue_size
            or screen._layout_required
            # The screen itself may say for good that it differs: its widgets paint all of it.
            or any(_waits(one) for one in screen._compositor.visible_widgets if one is not screen)
            for screen in (app.screen, *app._background_screens)
        )

    def _now(self) -> dict[str, Any]:
        app = self._app
        cells = self._whole(app.screen)
        with anew(app.screen, *app._background_screens):
            again = self._whole(app.screen)
        cursor = tuple(app.screen.outer_size.clamp_offset(app.cursor_position))
        caret = getattr(app.focused, "cursor_screen_offset", app.cursor_position)
        table = app.dashboard.tables["containers"]
        twice = [
            table.id
            for table in app.dashboard.tables.values()
            if len({row.key for row in table.rows}) < len(table.rows)
        ]
        return {
            "size": tuple(app.size),
            "cells": cells,
            "anew": again,
            "cursor": cursor,
            "caret": tuple(app.screen.outer_size.clamp_offset(caret)),
            "twice": twice,
            "frozen": app.dashboard.frozen,
            "containers": sorted([row.key, row.state, row.name] for row in table.all_rows),
        }

    def _whole(self, screen: Screen[Any]) -> str:
        """Return what Textual itself would write to paint all."""
        compositor = screen._compositor
        token = visible_screen_stack.set(list(self._app._background_screens))
        try:
            chops = compositor._render_chops(compositor.size.region, lambda _: True)
        finally:
            visible_screen_stack.reset(token)
        return "".join(
            f"\x1b[{y + 1};{x + 1}H{sent(strip).render(self._app.console)}"
            for y, chop in enumerate(chops)
            for x, strip in chop.items()
            if strip
        )


def sent(strip: Strip) -> Strip:
    """Return the strip without characters that must never be sent."""
    return Strip([Segment(text.translate(CONTROLS), style) for text, style, _ in strip])


def _waits(widget: Widget) -> bool:
    """Tell whether a widget has yet to say that it looks different."""
    return (
        widget._layout_required
        or widget._repaint_required
        or widget._scroll_required
        or widget._recompose_required
    )


@contextmanager
def anew(*screens: Screen[Any]) -> Iterator[None]:
    """Let every widget forget the lines it has painted, for a while."""
    widgets = {widget for screen in screens for widget in screen._compositor.visible_widgets}
    kept = [(widget._styles_cache, widget._styles_cache._cache) for widget in widgets]
    dirty = [(cache, set(cache._dirty_lines)) for cache, _ in kept]
    try:
        for cache, _ in kept:
            cache._cache = {}
        yield
    finally:
        for cache, lines in kept:
            cache._cache = lines
        for cache, numbers in dirty:
            cache._dirty_lines = numbers
