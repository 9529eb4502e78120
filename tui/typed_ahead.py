"""Keys that come in bursts, as over a slow link: each waits for what the one before it does.

Textual hands a key to what has the keys at that moment, and goes on with the next at once.  What
was typed behind a key that opens a screen would be for the screen below it, or be lost.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from textual.events import Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from textual.app import App
    from textual.dom import DOMNode
    from textual.events import Event
    from textual.screen import Screen
    from textual.timer import Timer

ON_ITS_WAY_S = 0.01
"""A key that was handed on longer ago than this has arrived, if nothing else is to be done."""
ROUNDS = 2
"""How often each widget is asked whether it is done: what a key starts may be told by a message."""
LONGEST_S = 0.5
"""So long a key waits at most: what is stuck must not take the keys that would end it."""


class TypedAhead:
    """Holds keys back while another is on its way; `hand_on` is what Textual does with one."""

    def __init__(self, app: App[Any], hand_on: Callable[[Event], Awaitable[None]]) -> None:
        self._app = app
        self._hand_on = hand_on
        self._held: deque[Event] = deque()
        self._is_open = False
        """Whether there is anything that could take keys."""
        self._handed_on = 0.0
        self._wait: Timer | None = None
        """Of the wait that goes on, at whose end it is given up."""

    def holds(self, event: Event) -> bool:
        """Return whether the event has to wait; it is then handed on later."""
        late = monotonic() - self._handed_on > ON_ITS_WAY_S
        if self._is_open and self._wait is None and late:
            self._handed_on = monotonic()
            return False
        self._held.append(event if self._is_open else _meant(event))
        if self._is_open and self._wait is None:
            self._begin()
        return True

    async def open(self) -> None:
        """Hand on what came before anything could take it: `:ps` behind `limpet`."""
        self._is_open = True
        if self._held:
            await self._release()

    def _begin(self) -> None:
        self._wait = wait = self._app.set_timer(LONGEST_S, self._give_up)
        self._ask(wait, self._asked() * ROUNDS, self._app.screen)

    def _give_up(self) -> None:
        # Not here: what the timer does ends with it, and so would the key.
        self._app.call_later(self._released, self._wait)

    def _asked(self) -> list[DOMNode]:
        """Return all that a key goes through, up to the app."""
        return (self._app.focused or self._app.screen).ancestors_with_self

    def _ask(self, wait: Timer, left: list[DOMNode], screen: Screen[Any]) -> None:
        """Have one after the other call back: it has done then what it was told before that."""
        if wait is not self._wait:
            return
        while left:
            if left.pop(0).call_later(self._ask, wait, left, screen):
                return
        if self._app.screen is not screen:
            self._ask(wait, self._asked(), self._app.screen)
        else:
            self._app.call_later(self._released, wait)

    async def _released(self, wait: Timer | None) -> None:
        if wait is not None and wait is self._wait:
            await self._release()

    async def _release(self) -> None:
        """Hand on what has waited longest."""
        if self._wait is not None:
            self._wait.stop()
            self._wait = None
        self._handed_on = monotonic()
        await self._hand_on(self._held.popleft())
        if self._held:
            self._begin()


def _meant(event: Event) -> Event:
    """Return what was typed while the terminal still made a line end of enter."""
    is_line_end = isinstance(event, Key) and event.key == "ctrl+j"
    return Key("enter", "\r") if is_line_end else event
