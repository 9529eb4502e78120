"""A key of one thing's screen: what it does with the thing, and what of that is possible now."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class OwnKey(Record):
    """What a key does; `now` returns the words for it as things are, nothing where it fails."""

    words: str
    act: Callable[[], None]
    now: Callable[[], str] | None = None

    def offered(self) -> str:
        """Return the words that it is offered with, if it is."""
        return self.words if self.now is None else self.now()
