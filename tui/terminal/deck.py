"""The terminals beside the tables, one shown at a time."""

from __future__ import annotations

from rich.cells import cell_len
from textual import on
from textual.containers import Vertical

from tui.terminal.pane import TerminalPane
from tui.theme import plain
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.commands.result import Foreground
    from tui.theme import Part

WORDS = "ctrl-] tables  "
BACK_WORDS = "y copies this  shift-pgdn newer  any other key goes in "


class Deck(Vertical):
    """A line that names the terminals, and the one that is shown."""

    DEFAULT_CSS = """
    Deck { height: 1fr; }
    Deck StatusLine { height: 1; background: $panel; }
    """

    def __init__(self, *, id: str, detach: str) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self._head = StatusLine(id="terminals")
        self._detach_keys = detach
        self._shown = 0
        self.panes: list[TerminalPane] = []
        self.empty = False
        """Whether the last terminal is gone; a deck is made for one that is to come."""

    def compose(self) -> ComposeResult:
        """Place the line."""
        yield self._head

    def on_resize(self) -> None:
        """Name the terminals in the room that there is."""
        self._tell()

    @property
    def shown(self) -> TerminalPane | None:
        """The terminal that is shown."""
        return self.panes[self._shown] if self.panes else None

    async def add(self, number: int, foreground: Foreground) -> None:
        """Run something in a new terminal, and give it the keys."""
        pane = TerminalPane(number, foreground)
        pane.display = False  # beside the one that is shown it would begin with half the rows
        self.panes.append(pane)
        await self.mount(pane)
        self.choose(len(self.panes))

    def choose(self, number: int) -> None:
        """Show a terminal by its place, counted from 1, and give it the keys."""
        if not 1 <= number <= len(self.panes):
            return
        self._show(number - 1)
        # Now: focus() would let the next keys pass by.
        self.screen.set_focus(self.panes[self._shown])

    def _show(self, shown: int) -> None:
        self._shown = shown
        for place, pane in enumerate(self.panes):
            pane.display = place == shown
        self._tell()

    def close(self, pane: TerminalPane) -> None:
        """Take a terminal away, and show another; who has the keys keeps them."""
        had_keys, shown = pane.has_focus, self.shown
        self.panes.remove(pane)
        pane.remove()
        self.empty = not self.panes
        last = max(0, len(self.panes) - 1)
        self._show(self.panes.index(shown) if shown in self.panes else min(self._shown, last))
        if had_keys:
            self.choose(self._shown + 1)

    @on(TerminalPane.Chosen)
    def _chosen(self, event: TerminalPane.Chosen) -> None:
        self.choose((self._shown + event.by) % len(self.panes) + 1)

    @on(StatusLine.Clicked)
    def _clicked(self, event: StatusLine.Clicked) -> None:
        """A number here is a terminal's, not a key."""
        event.stop()
        self.choose(int(event.sign))

    @on(TerminalPane.LookedBack)
    def _looked_back(self) -> None:
        self._tell()

    def _tell(self) -> None:
        parts: list[Part] = [(" ", "")]
        for place, pane in enumerate(self.panes):
            tone = "accent" if place == self._shown else "dim"
            parts.append((f"{place + 1} {pane.title}  ", tone))
        words = f"{WORDS}{self._detach_keys} leaves it running "
        if self.shown is not None and self.shown.looks_back:
            words = BACK_WORDS
        elif cell_len(plain(parts) + words) > self.app.size.width:
            words = WORDS
        self._head.show(parts, [(words, "faint")])
