"""The command lines of the past: kept in a file, walked through, searched."""

from __future__ import annotations

import os

from tui.user_state import state_directory
from tui.widgets.table.rows import has_letters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from prompt_toolkit.history import History

MOST = 200
"""Lines that a search finds at most."""


class PastLines:
    """The history of the command bar, and where one is in it."""

    def __init__(self) -> None:
        self.history: History | None = None
        """None until it has been read."""
        self._place = 0
        self.draft = ""
        """What was typed before one went back."""

    async def take(self, history: History) -> None:
        """Read a history through, which is empty until then."""
        async for _ in history.load():
            pass
        self.history = history
        self._place = len(self._lines)

    @property
    def _lines(self) -> Sequence[str]:
        return self.history.get_strings() if self.history else ()

    def remember(self, line: str) -> None:
        """Add a line, unless it is the last one there."""
        if self.history is None:
            return
        if self._lines[-1:] != [line]:
            self.history.append_string(line)
        self._place = len(self._lines)

    def walk(self, by: int, typed: str) -> str | None:
        """Return the line before or after, in the end what was typed; None without a history."""
        if self.history is None:
            return None
        lines = [*self._lines, self.draft]
        if self._place >= len(lines) - 1:
            self.draft = lines[-1] = typed
        self._place = max(0, min(self._place + by, len(lines) - 1))
        return lines[self._place]

    def like(self, wanted: str) -> list[str]:
        """Return lines, newest first and each once, that fit what is typed.

        Those that hold it come before those that only have its letters in their order.
        """
        small = wanted.lower()
        newest = list(dict.fromkeys(reversed(self._lines)))
        holding = [line for line in newest if small in line.lower()]
        others = [line for line in newest if small not in line.lower()]
        return (holding + [line for line in others if has_letters(line.lower(), small)])[:MOST]


def open_history() -> History:
    """Return the history of this person; one in memory where it cannot be written."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = os.path.join(state_directory(), "history")
    try:
        os.makedirs(state_directory(), 0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
