"""Work on the event loop that lets keys pass.

With thousands of rows a snapshot is more work than a person waits for without noticing.
A thread for it would hold the interpreter just as long; so it is done here, in slices, and
not at all while a key is on its way to the screen.
"""

from __future__ import annotations

from asyncio import sleep
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SLICE_S = 0.001
REST_S = 0.001
"""So long others have the event loop and the interpreter; a key is noticed within."""
KEY_S = 0.03
"""A key is painted within this time."""

QUIET_S = 0.3
"""Without a key for so long, nobody is in the middle of a word."""
RESTLESS_S = 60.0
"""Keys that come without a pause for so long have to wait for once."""


class Turns:
    """Takes turns with the keys of one app."""

    def __init__(self) -> None:
        self._pressed = self._paused = 0.0

    def pressed(self) -> None:
        """Note that a key came in."""
        self._pressed = monotonic()

    def pause(self) -> bool:
        """Return whether keys may wait now: none comes, or they have not waited for a minute."""
        now = monotonic()
        may = now - self._pressed > QUIET_S or now - self._paused > RESTLESS_S
        if may:
            self._paused = now
        return may

    async def carry_out(self, work: Iterator[object]) -> None:
        """Go through `work`, whose every step should be far below a millisecond."""
        began = await self._turn()
        for _ in work:
            if monotonic() - began > SLICE_S:
                began = await self._turn()

    async def _turn(self) -> float:
        """Let others go on until it is this work's turn again; return when that is.

        It waits once, not until no key comes: one that is held down must not stop the work.
        """
        await sleep(max(REST_S, self._pressed + KEY_S - monotonic()))
        return monotonic()
