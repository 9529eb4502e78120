"""Where a person has been: addresses of screens, with a way back and forward.

An address is what `go` takes: `containers`, `containers web logs`, `images a:1 layers`,
`jobs`, or a command that changes nothing.
"""

from __future__ import annotations

MOST = 200


class Visits:
    """The addresses in the order they were seen, and which of them is shown."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._at = -1

    @property
    def here(self) -> str:
        """What is shown."""
        return self._seen[self._at] if self._seen else ""

    @property
    def seen(self) -> tuple[str, ...]:
        """All addresses, the last one seen last."""
        return tuple(self._seen)

    def arrive(self, address: str) -> None:
        """Note what is shown now; a neighbour of what was shown is gone to, not added."""
        if address == self.here:
            return
        for place in (self._at - 1, self._at + 1):
            if 0 <= place < len(self._seen) and self._seen[place] == address:
                self._at = place
                return
        self._seen = [*self._seen[max(0, self._at + 2 - MOST) : self._at + 1], address]
        self._at = len(self._seen) - 1

    def turn(self, address: str) -> None:
        """Note that what is shown has another address now."""
        if self._seen:
            self._seen[self._at] = address

    def neighbour(self, by: int) -> str:
        """Return the address before (-1) or after (1) what is shown, nothing at the ends."""
        place = self._at + by
        return self._seen[place] if 0 <= place < len(self._seen) else ""
