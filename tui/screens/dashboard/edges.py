"""The dashboard's first and last line: where one is, what goes on, which keys are at hand."""

from __future__ import annotations

from core.commands.keys import TABLES
from tui.answers import summary
from tui.opening import host_name
from tui.widgets.status import StatusLine, hint_parts, that_fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.jobs import JobView
    from tui.screens.dashboard.screen import DashboardScreen
    from tui.theme import Part

TERMINAL_WORDS = (
    "all keys go in", "ctrl-] back to the tables", "shift-pgup scrolls", "ctrl-pgdn others",
    "marked with the mouse: copied",
)  # fmt: skip
TYPING = ("enter runs it", "tab completes", "esc back", "up, ctrl-r history", "| PROGRAM")
FILTERING = ("enter keeps it", "esc shows all", "!WORD without", "-s state", "-l label",
             "-f letters")  # fmt: skip
"""What matters most comes first: the end is left out on a narrow screen."""
SESSION_HINTS = (
    ("[ ]", "answers"), ("enter", "fold"), ("/", "search"), ("n N", "next, before"), ("y", "copy"),
    ("Y", "copy line"), ("e", "edit line"), ("o", "on a screen"), ("+", "zoom"), ("esc", "back"),
    ("?", "help"),
)  # fmt: skip
NARROW = 76
"""Below this width the names of other tables are cut."""


class Edges:
    """Both lines of one dashboard, and what is said on them until something else is."""

    def __init__(self, board: DashboardScreen) -> None:
        self._board = board
        self.header = StatusLine(id="header")
        self.hints = StatusLine(id="hints")
        self.note = ""
        """What the last key did."""
        self.meaning = ""
        """What the line in the bar asks for."""
        self.jobs: Sequence[JobView] = ()
        """Those that run."""

    def show(self) -> None:
        """Bring both up to date."""
        self.header.show(self._where(), self._doing())
        self.hints.show(self._at_hand())

    def _where(self) -> list[Part]:
        board = self._board
        width = board.app.size.width
        parts: list[Part] = [(" limpet ", "bold")]
        if width >= 80:
            parts.append((f"{host_name()} ", "dim"))
        for number, place in enumerate(TABLES, 1):
            tone = "accent" if place == board.place else "dim"
            words = place.capitalize()
            if width < NARROW and place != board.place:
                words = words[:3]
            parts.append((f"  {number} {words} {board.tables[place].total}", tone))
        return parts

    def _doing(self) -> list[Part]:
        board = self._board
        parts: list[Part] = []
        if self.jobs:
            more = f" +{len(self.jobs) - 1}" if len(self.jobs) > 1 else ""
            parts.append((f"{summary(self.jobs[-1])}{more}  ", "accent"))
        if board.problem:
            parts.append((f"{board.problem}  ", "bad"))
        if board.frozen:
            parts.append(("frozen  ", "warn"))
        if board.read_only:
            parts.append(("read-only  ", "warn"))
        return parts

    def _at_hand(self) -> list[Part]:
        board = self._board
        width = board.app.size.width
        if board.bar.has_keys:
            known = FILTERING if board.bar.filtering else TYPING
            words = self.meaning or that_fit(known, width - 1)
            return [(f" {words}", "dim")]
        if self.note:
            return [(f" {self.note}", "accent")]
        if board.panes.in_terminal:
            return [(f" {that_fit(TERMINAL_WORDS, width - 1)}", "dim")]
        if board.output.has_focus:
            return hint_parts(SESSION_HINTS, width)
        row = board.table.at_hand
        found = board.keymap.hints(board.place if row else "", row.state if row else "")
        if board.nothing:
            found.insert(0, ("S", "start here"))
        return hint_parts(found, width)
