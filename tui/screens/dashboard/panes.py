"""Which panes of the dashboard are shown, and how high: tables, session, terminals."""

from __future__ import annotations

from textual.containers import Horizontal, Vertical

from core.commands.keys import CONTAINERS, IMAGES, REGISTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tui.terminal.deck import Deck
    from tui.terminal.pane import TerminalPane
    from tui.widgets.output.view import Output
    from tui.widgets.table.line_table import LineTable

OUTPUT = "output"
SESSION_LEFT = 4
"""Lines of the session beside a terminal."""
WIDE = (120, 34)
"""From this size on all three tables are shown."""
SESSION_FROM = 18
"""Below this height the session is hidden until it has something to say."""


class Panes:
    """Shares the screen out between the tables, the session and the terminals, if any."""

    def __init__(self, tables: Mapping[str, LineTable], output: Output) -> None:
        self._tables = tables
        self._output = output
        self.upper = Vertical(id="tables")
        self.lower = Horizontal(id="lower")
        self.deck: Deck | None = None
        """Terminals, from the first one on."""
        self.session: bool | None = None
        """Whether the session is shown; None: as the height says."""
        self.zoomed = ""
        """The only pane that is shown: a place, `output`, or nothing."""

    @staticmethod
    def all_fit(width: int, height: int) -> bool:
        """Tell whether a screen of this size has room for all three tables."""
        return width >= WIDE[0] and height >= WIDE[1]

    def arrange(self, place: str, width: int, height: int) -> None:
        """Show what is to be shown, with `place` for the table that has the keys."""
        zoomed, all_fit = self.zoomed, self.all_fit(width, height)
        for name, table in self._tables.items():
            table.display = name == zoomed if zoomed else all_fit or name == place
        self.upper.display = zoomed != OUTPUT
        self.lower.display = any(self._tables[name].display for name in (IMAGES, REGISTRIES))
        self._tables[CONTAINERS].styles.height = "1fr" if zoomed else None
        self.lower.styles.height = "1fr" if zoomed else None
        session = height >= SESSION_FROM if self.session is None else self.session
        shown = zoomed == OUTPUT if zoomed else session
        self._output.display = shown
        self._output.styles.height = "1fr" if zoomed else max(4, height * 3 // 10)
        if self.deck:
            self.deck.display = not self.deck.empty and shown
            if self.deck.display:
                self._share_with_session(self.deck, height)

    def _share_with_session(self, deck: Deck, height: int) -> None:
        """Let terminals have half the screen; the session keeps its last lines."""
        deck.styles.height = "1fr" if self.zoomed else height // 2 - 1
        self._output.styles.height = SESSION_LEFT
        self._output.display = not self.zoomed

    @property
    def terminals(self) -> Sequence[TerminalPane]:
        """The terminals beside the tables."""
        return self.deck.panes if self.deck else ()

    @property
    def terminal(self) -> TerminalPane | None:
        """The terminal that is shown, if there are any."""
        return self.deck.shown if self.deck else None

    @property
    def in_terminal(self) -> bool:
        """Whether a terminal has the keys."""
        return any(pane.has_focus for pane in self.terminals)

    @property
    def in_lower(self) -> bool:
        """Whether the session or a terminal has the keys."""
        return self._output.has_focus or self.in_terminal
