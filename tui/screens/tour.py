"""A short tour for people who see limpet for the first time."""

from __future__ import annotations

import textwrap

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.theme import edges
from tui.tty.near_compositor import PaintsNear
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.theme import Part

PAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "what you see",
        (
            "The tables show containers, images and registries of this host, live.",
            "Below them is the session: each command with its answer, newest last.",
            "The last lines: the command bar, and the keys that do something here.",
            "",
            "1 2 3\tgo to a table, tab goes through all panes",
            "j k\tmove, as the arrows do; g G to the first and the last",
            "+\tzooms the pane, + again shows all",
        ),
    ),
    (
        "keys are commands",
        (
            "A key on a row runs a command line, and the session shows which:",
            "",
            "enter\tall about the row: facts, usage, processes, inspect",
            "l\tits log; on marked rows, their logs as one",
            "e\ta shell in it; ctrl-p ctrl-q leaves without ending it",
            "s r d\tstart or stop, restart, remove",
            "space\tmarks rows: the next key is for all of them",
            "/\tfilters: a word, !not, -s running, -l label",
        ),
    ),
    (
        "the command bar",
        (
            ":\topens it; docker's words work: run, ps, logs, exec, pull …",
            "tab\tcompletes verbs, options, names and tags",
            "up ctrl-r\tlines of the past, also of yesterday",
            "| PROGRAM\tgives the answer to a program:  ps -a | grep web",
            "!COMMAND\truns on this host, ! alone opens a shell",
            "",
            "What removes things shows all of them first;",
            "only y says yes.",
        ),
    ),
    (
        "look inside",
        (
            "On an image, enter shows its layers and every file in them:",
            "",
            "enter\treads a file, D compares it with the one below, X extracts",
            "v\tgoes to the layers that have a version of the file",
            "C\tcompares two images, one marked, one under the cursor",
            "",
            "?\tshows every key; tour opens this again",
        ),
    ),
)


KEYS = 11
"""Columns of the keys."""
WIDEST = 84
LINES = 8
"""A page has so many at least: all are of one size where they fit."""
OTHER_LINES = 6
"""Of the box: its title, its answers, and what is empty."""


class TourScreen(KeepsFocus, PaintsNear, ModalScreen[None], inherit_bindings=False):
    """Pages of a few lines, tab-separated from their keys; enter or space goes on."""

    DEFAULT_CSS = """
    TourScreen { align: center middle; background: transparent; }
    TourScreen #page {
        width: 84; max-width: 96%; height: auto; max-height: 100%;
        padding: 1 2; background: $panel;
    }
    TourScreen #title { height: 1; text-style: bold; }
    TourScreen LineList { margin: 1 0; background: $panel; }
    TourScreen #answers { height: 1; background: $panel; }
    """
    BINDINGS = [
        Binding("enter,space,right,l,n", "turn(1)", "Next page"),
        Binding("left,h,p,backspace", "turn(-1)", "Page before"),
        Binding("escape,q,ctrl+c", "leave", "Leave"),
    ]
    AUTO_FOCUS = "LineList"

    def __init__(self) -> None:
        super().__init__()
        self._title = Static("", id="title", markup=False)
        self._answers = StatusLine(id="answers")
        self._left: list[Part] = []
        self._at = 0
        self._lines = LineList(cursor=False)

    def compose(self) -> ComposeResult:
        """Make the box."""
        with Vertical(id="page"):
            yield self._title
            yield self._lines
            yield self._answers

    def on_mount(self) -> None:
        """Show the first page."""
        self._show()

    def _show(self) -> None:
        title, lines = PAGES[self._at]
        self._title.update(f"{self._at + 1}/{len(PAGES)}  {title}")
        room = min(WIDEST, self.app.size.width * 96 // 100) - 4 - edges(self)
        shown = [part for line in lines for part in _line(line, room)]
        most = self.app.size.height - OTHER_LINES - edges(self)
        self._lines.styles.height = max(1, min(max(LINES, len(shown)), most))
        self._lines.show_lines(shown)
        last = self._at == len(PAGES) - 1
        left: list[Part] = [
            ("enter ", "accent"), ("begin    " if last else "go on    ", ""),
            ("esc ", "accent"), ("leave", ""),
        ]  # fmt: skip
        self._left = left
        self._tell()

    @on(LineList.Moved)
    def _tell(self) -> None:
        below = self._lines.below
        self._answers.show(self._left, [(f"{below} more below" if below else "", "accent")])

    def on_resize(self) -> None:
        """Fit the page to the screen."""
        self._show()

    def action_turn(self, by: int) -> None:
        """Go to another page; behind the last, leave."""
        if self._at + by >= len(PAGES):
            self.dismiss(None)
        else:
            self._at = max(0, self._at + by)
            self._show()

    def action_leave(self) -> None:
        """Leave the tour."""
        self.dismiss(None)


NARROWEST = 10
"""Lines are wrapped to that at least, however small the window is."""


def _line(line: str, room: int) -> list[list[Part]]:
    """Return a line, wrapped; keys stand in a column of their own."""
    before, tab, after = line.partition("\t")
    keys, words = (f"{before:<{KEYS}}", after) if tab else ("", before)
    first, *others = textwrap.wrap(words, max(room - len(keys), NARROWEST)) or [""]
    return [[(keys, "accent"), (first, "")], *([(" " * len(keys) + more, "")] for more in others)]
