"""Keys that were typed for a terminal and come when it is not there yet, or has ended."""

from __future__ import annotations

from math import inf
from time import monotonic

PAUSE_S = 0.7
"""Who has typed nothing for so long behind a key has seen what became of it."""
MENUS = ("@menu", "@commands")
"""In these the letters behind the key would choose."""
TERMINALS = ("exec -it", "attach", "pane ")
"""What a key's command begins with that asks for a terminal."""
WORDS = "nothing was changed: was that for the terminal? in a moment the key acts"


class TypedOn:
    """Knows of a key whether it belongs to what is typed for a terminal that is not there.

    `exit` once too often, a container that ends while somebody types in it, or a shell that takes
    its time to open would stop and kill what the cursor of a table stands on.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def asked(self) -> None:
        """A terminal was asked for, which is to come at once."""
        self._until = monotonic() + PAUSE_S

    def ended(self) -> None:
        """A terminal that had the keys has ended.

        The first key after that changes nothing, however late it comes: a person who thinks about
        a line does not look at the screen, and over a slow link it shows the terminal longer.
        """
        self._until = inf

    def end(self) -> None:
        """The terminal has the keys, or they went elsewhere: what comes now is meant."""
        self._until = 0.0

    def goes_on(self) -> bool:
        """Tell whether a key that comes now is still part of it, as there was no pause before."""
        now = monotonic()
        if now >= self._until:
            return False
        self._until = now + PAUSE_S
        return True
