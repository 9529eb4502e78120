"""One screen alone in an app, for tests that need no tables beside it."""

from __future__ import annotations

import time

from textual.app import App

from tui.theme import LIMPET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from textual.pilot import Pilot
    from textual.screen import Screen


class ScreenHost(App[None]):
    """Shows the screen; what it is left with is in `answers`."""

    read_only = False

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self.register_theme(LIMPET)
        self.theme = LIMPET.name
        self.shown = screen
        self.answers: list[Any] = []

    def on_mount(self) -> None:
        self.push_screen(self.shown, self.answers.append)


async def until(pilot: Pilot[Any], true: Callable[[], object]) -> None:
    """Let the app work until something is so."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come")
