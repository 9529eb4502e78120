"""Asks before something is done that cannot be taken back, naming all of it."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.answers import visible
from tui.theme import edges
from tui.tty.near_compositor import PaintsNear
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from core.commands.result import Plan
    from tui.theme import Part

LEAST, MOST = 40, 100
"""Columns of the box."""
EDGES = 8
"""Lines of the screen that the list never takes."""


class ConfirmScreen(KeepsFocus, PaintsNear, ModalScreen[bool], inherit_bindings=False):
    """Shows the whole of what would happen, a long list scrolls; answers True for yes.

    Only `y` says yes: enter may come out of habit, or twice.  With a `word`, only typing
    that does.
    """

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; background: transparent; }
    ConfirmScreen #question {
        width: auto; height: auto; max-width: 96%; min-width: 0; max-height: 100%;
        padding: 1 2; background: $panel;
    }
    ConfirmScreen #title { width: 100%; height: auto; text-style: bold; }
    ConfirmScreen #lines { margin: 1 0; background: $panel; }
    ConfirmScreen #answers { height: 1; background: $panel; }
    """
    BINDINGS = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q,ctrl+c", "answer(False)", "No"),
    ]
    AUTO_FOCUS = "#lines"

    def __init__(
        self, title: str, lines: Sequence[str], yes: str, no: str = "keep", *, word: str = ""
    ) -> None:
        super().__init__()
        self._frame = Vertical(id="question")
        self._answers = StatusLine(id="answers")
        self._word = word
        self._typed = ""
        self._title = visible(title)
        self._lines = [visible(line) for line in lines]
        self._yes = yes
        self._no = no
        self._list = LineList(cursor=False, id="lines")
        self._list.can_focus = not word  # its keys are letters

    def compose(self) -> ComposeResult:
        """Make the box."""
        with self._frame:
            yield Static(self._title, id="title", markup=False)
            yield self._list
            yield self._answers

    def on_mount(self) -> None:
        """Fill the list."""
        self._fit()

    def on_resize(self) -> None:
        """Fit the box to the screen."""
        self._fit()

    def _fit(self) -> None:
        width, height = self.app.size
        answers = f"type {self._word}, enter: {self._word}_   esc {self._no}  999 more below"
        shown = (self._title, *self._lines, *([answers] if self._word else []))
        widest = max(map(cell_len, shown)) + 2
        columns = max(LEAST, min(widest, MOST, width - 8))
        self._frame.styles.width = columns + 4 + edges(self)
        lines = [shown for line in self._lines for shown in _wrapped(line, columns)]
        self._list.show_lines(lines)
        self._list.styles.height = max(1, min(len(lines), height - EDGES))
        self._list.display = bool(self._lines)
        self._tell()

    def on_line_list_moved(self) -> None:
        """Say how much of the list is below."""
        self._tell()

    def _tell(self) -> None:
        left: list[Part] = [
            ("y ", "accent"), (f"{self._yes}    ", ""), ("n ", "accent"), (self._no, ""),
        ]  # fmt: skip
        if self._word:
            left = [
                ("type ", ""), (visible(self._word), "bad"), (", enter: ", ""),
                (f"{visible(self._typed)}_", "accent"),
                (" " * (len(self._word) - len(self._typed) + 3), ""), ("esc ", "accent"),
                (self._no, ""),
            ]  # fmt: skip
        more = f"{self._list.below} more below" if self._list.below else ""
        right: list[Part] = [(more, "accent")]
        self._answers.show(left, right)

    def on_key(self, event: events.Key) -> None:
        """Collect the word that must be typed."""
        if not self._word or event.key in ("escape", "ctrl+c"):
            return
        if event.key in ("pagedown", "down", "pageup", "up"):
            self._list.action_page(1 if "down" in event.key else -1)
        elif event.key == "enter" and self._typed == self._word:
            self.dismiss(True)
        elif event.key == "backspace":
            self._typed = self._typed[:-1]
        elif event.character and event.is_printable:
            self._typed = (self._typed + event.character)[: len(self._word)]
        elif event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        if self.is_current:
            self._tell()

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


NARROWEST = 10
"""Lines are wrapped to that at least, however small the window is."""


def _wrapped(line: str, columns: int) -> list[list[Part]]:
    """Return a line of the plan whole, however long: nobody says yes to half of it."""
    parts = textwrap.wrap(line, max(columns - 2, NARROWEST), subsequent_indent="  ") or [""]
    return [[("  ", ""), (part, "")] for part in parts]


LASTING = "volume "
"""How a plan's line begins for what holds data that is nowhere else."""
LONGEST = 12
"""Letters of a name that is typed, twice of which stand in a line of 60 columns."""


def word_to_type(plan: Plan) -> str:
    """Return what must be typed before the plan is done, nothing for most plans.

    Volumes are what people cannot make again: the name of the one, or as much of it as there
    is room for, or how many they are.
    """
    names = [line.split()[1] for line in plan.lines if line.startswith(LASTING)]
    if len(names) == 1 and len(names[0]) > LONGEST:
        return names[0][:LONGEST]
    return names[0] if len(names) == 1 else f"{len(names)} volumes" if names else ""
