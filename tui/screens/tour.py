"""A short tour for people who see limpet for the first time."""

from __future__ import annotations

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

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
            "1 2 3      go to a table, tab goes through all panes",
            "j k        move, as the arrows do; g G to the first and the last",
            "+          zooms the pane, + again shows all",
        ),
    ),
    (
        "keys are commands",
        (
            "A key on a row runs a command line, and the session shows which:",
            "",
            "enter      all about the row: facts, usage, processes, inspect",
            "l          its log; on marked rows, their logs as one",
            "e          a shell in it; ctrl-p ctrl-q leaves without ending it",
            "s r d      start or stop, restart, remove",
            "space      marks rows: the next key is for all of them",
            "/          filters: a word, !not, -s running, -l label",
        ),
    ),
    (
        "the command bar",
        (
            ":          opens it; docker's words work: run, ps, logs, exec, pull …",
            "tab        completes verbs, options, names and tags",
            "up ctrl-r  lines of the past, also of yesterday",
            "| PROGRAM  gives the answer to a program:  ps -a | grep web",
            "!COMMAND   runs on this host, ! alone opens a shell",
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
            "enter      reads a file, D compares it with the one below, X extracts",
            "v          goes to the layers that have a version of the file",
            "C          compares two images, one marked, one under the cursor",
            "",
            "?          shows every key; tour opens this again",
        ),
    ),
)


class TourScreen(ModalScreen[None], inherit_bindings=False):
    """Pages of a few lines; enter or space goes on."""

    DEFAULT_CSS = """
    TourScreen { align: center middle; background: $background 60%; }
    TourScreen #page {
        width: 84; max-width: 96%; height: 14; max-height: 100%;
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
        self._answers = StatusLine(id="answers")
        self._at = 0
        self._lines = LineList(cursor=False)

    def compose(self) -> ComposeResult:
        """Make the box."""
        with Vertical(id="page"):
            yield Static("", id="title", markup=False)
            yield self._lines
            yield self._answers

    def on_mount(self) -> None:
        """Show the first page."""
        self._show()

    def _show(self) -> None:
        title, lines = PAGES[self._at]
        self.query_one("#title", Static).update(f"{self._at + 1}/{len(PAGES)}  {title}")
        self._lines.show_lines([_line(line) for line in lines])
        last = self._at == len(PAGES) - 1
        left: list[Part] = [
            ("enter ", "accent"), ("begin    " if last else "go on    ", ""),
            ("esc ", "accent"), ("leave", ""),
        ]  # fmt: skip
        self._answers.show(left)

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


def _line(line: str) -> list[Part]:
    """Colour what stands in the column of keys."""
    if len(line) > 11 and line[9:11] in ("  ", " e") and line[10:11] == " " and line[11:12] != " ":
        return [(line[:11], "accent"), (line[11:], "")]
    return [(line, "")]
