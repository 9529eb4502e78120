"""Python's search for garbage, put off.

While tens of thousands of things are made that stay, it would look at all of them again and
again, for a third of the time they take.  While somebody types, it would hold keys up for as
long as fifty milliseconds.
"""

from __future__ import annotations

import gc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class NoSearch:
    """A context without it; for the whole process, so for moments only."""

    def __enter__(self) -> Self:
        self._was = gc.isenabled()
        gc.disable()
        return self

    def __exit__(self, *_: object) -> None:
        if self._was:
            gc.enable()


LATE = (100_000, 5, 5)
"""Generations' thresholds, see `gc.set_threshold`, of a program that searches by itself."""
WORTH = 10_000
"""Fewer things made since the last search are not worth one."""
ROUNDS = 20
"""So many searches among what is new, then one among all."""


def put_off() -> None:
    """Leave the search to `search`, called from time to time, short of very much garbage."""
    gc.set_threshold(*LATE)


def keep_all() -> None:
    """Never look again at what is there now: modules, code and whatever start-up made."""
    gc.freeze()


def search(*, everywhere: bool = False) -> None:
    """Search now, if much was made since the last time: among that, one or two milliseconds.

    `everywhere`: among all that is not kept, some ten milliseconds: what was there at the search
    before, and has become garbage since, is found only then.
    """
    young, again, rounds = gc.get_count()
    if rounds > ROUNDS or (everywhere and (young > WORTH or again or rounds)):
        gc.collect()
    elif young > WORTH or again:
        gc.collect(1)
