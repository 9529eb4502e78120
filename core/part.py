"""What an object makes of itself when it is first asked for.

`functools` loads `collections`: two milliseconds of every command.  Since Python 3.12 its
cached_property may also make a thing twice, where two threads ask at once.
"""

from __future__ import annotations

from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import cached_property

    part = cached_property
    from typing import Any
else:

    class part:
        """A property that is made once, by the first thread that asks, and then stays."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, owner: Any, kind: type | None = None) -> Any:
            if owner is None:
                return self
            with _making:
                made = owner.__dict__
                if self._name not in made:
                    made[self._name] = self._make(owner)
                return made[self._name]


_making = RLock()
"""One for all: parts are made of other parts, and making one waits for no thread."""
