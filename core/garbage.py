"""Python's search for garbage, put off while tens of thousands of things are made that stay.

It would look at all of them again and again, for a third of the time they take.
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
