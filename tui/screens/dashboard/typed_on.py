"""Keys that were typed for a terminal and come when it has ended."""

from __future__ import annotations

from time import monotonic

PAUSE_S = 0.7
"""Who has typed nothing for so long has seen that the terminal is gone."""
MENUS = ("@menu", "@commands")
"""In these the letters behind the key would choose."""
WORDS = "the terminal has ended: nothing is changed by what was typed for it"


class TypedOn:
    """Knows of a key whether it is the rest of what was typed into a terminal that is gone.

    `exit` once too often, or a container that ends while somebody types in it, would stop and
    kill what the cursor of a table stands on.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        """A terminal that had the keys has ended."""
        self._until = monotonic() + PAUSE_S

    def goes_on(self) -> bool:
        """Tell whether a key that comes now is still part of it, as there was no pause before."""
        now = monotonic()
        if now >= self._until:
            return False
        self._until = now + PAUSE_S
        return True
