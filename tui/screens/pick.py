"""A list to choose one of, found by typing: what to do, which columns, how to group."""

from __future__ import annotations

from rich.cells import cell_len
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from core.record import Record
from tui.answers import visible
from tui.theme import edges, glyphs
from tui.tty.near_compositor import PaintsNear
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine
from tui.widgets.table.columns import pad
from tui.widgets.table.rows import has_letters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import ComposeResult

    from tui.theme import Part

MOST = 100
"""Columns of the box."""
EDGES = 4
"""Lines of the screen that the list never takes."""


class Choice(Record):
    """One line of the list."""

    name: str
    sign: str = ""
    """Stands in front of the words: a key."""
    words: str = ""
    also: str = ""
    """What finds it, too."""


class Picked(Record):
    """What was chosen; `edit` when it is to be changed before it is done."""

    number: int
    edit: bool = False


class PickList(LineList, inherit_bindings=False):
    """A list that leaves letters to whoever reads what is typed."""

    BINDINGS = [
        Binding("down,ctrl+n", "move(1)", "Down", show=False),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home", "end(-1)", "First", show=False),
        Binding("end", "end(1)", "Last", show=False),
    ]


class PickScreen(KeepsFocus, PaintsNear, ModalScreen["Picked | None"], inherit_bindings=False):
    """Letters narrow the list down, enter takes a line, tab takes it to be edited.

    With `on` and `toggle` each line is a switch: enter and space turn it, and the list stays.
    """

    DEFAULT_CSS = """
    PickScreen { align: center middle; background: transparent; }
    PickScreen #box { width: auto; height: auto; max-height: 100%; background: $panel; }
    PickScreen #title, PickScreen #foot { height: 1; background: $panel; }
    PickScreen PickList { background: $panel; }
    """
    BINDINGS = [
        Binding("escape,ctrl+c", "back", "Back"),
        Binding("enter", "take", "Take"),
        Binding("tab", "take(True)", "Edit"),
    ]
    AUTO_FOCUS = "PickList"

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        *,
        edits: bool = False,
        on: Callable[[int], bool] | None = None,
        toggle: Callable[[int], object] = lambda _: None,
        at: int = 0,
    ) -> None:
        super().__init__()
        self._frame = Vertical(id="box")
        self._title = visible(title)
        self._choices = choices
        self._edits = edits
        self._on = on
        self._toggle = toggle
        self._at = at
        """The line to begin on."""
        self._typed = ""
        self._box = 0
        self._shown = list(range(len(choices)))
        self._head = StatusLine(id="title")
        self._list = PickList()
        self._foot = StatusLine(id="foot")

    def compose(self) -> ComposeResult:
        """Make the box."""
        with self._frame:
            yield self._head
            yield self._list
            yield self._foot

    def on_mount(self) -> None:
        """Fill the list."""
        self._fit()
        self._list.go(self._at)

    def on_resize(self) -> None:
        """Fit the box to the screen."""
        self._fit()

    def _fit(self) -> None:
        width, height = self.app.size
        self._names = max((cell_len(c.name) for c in self._choices), default=0)
        self._signs = max((cell_len(c.sign) for c in self._choices), default=0)
        words = max((cell_len(c.words) for c in self._choices), default=0)
        switch = 2 if self._on else 0
        columns = self._names + self._signs + words + switch + 7
        columns = max(columns, cell_len(self._title) + 16, 40)
        self._box = min(columns, MOST, width - edges(self))
        self._frame.styles.width = self._box + edges(self)
        self._list.styles.height = max(1, min(len(self._choices), height - EDGES))
        self._show()

    def _show(self) -> None:
        small = self._typed.lower()
        texts = [f"{c.name} {c.words} {c.also}".lower() for c in self._choices]
        begins = [n for n, text in enumerate(texts) if text.startswith(small)]
        holds = [n for n, text in enumerate(texts) if small in text and n not in begins]
        self._shown = begins + holds if small else list(range(len(texts)))
        if not self._shown:
            self._shown = [
                n for n, c in enumerate(self._choices) if has_letters(c.name.lower(), small)
            ]
        self._list.show(len(self._shown), self._line)
        typed: list[Part] = [(f" {self._typed}_", "accent")] if self._typed else []
        self._head.show([(f" {self._title} ", "bold"), *typed], [(f" {len(self._shown)} ", "dim")])
        self._tell()

    def _line(self, number: int) -> list[Part]:
        place = self._shown[number]
        choice = self._choices[place]
        parts: list[Part] = [(" ", "")]
        if self._on:
            parts.append((f"{glyphs().running if self._on(place) else ' '} ", "good"))
        parts.append((pad(choice.name, self._names, right=False), ""))
        if self._signs:
            parts.append((f"  {pad(choice.sign, self._signs, right=False)}", "accent"))
        room = self._box - sum(cell_len(text) for text, _ in parts) - 3
        return [*parts, ("  ", ""), (pad(choice.words, room, right=False), "dim")]

    @on(LineList.Moved)
    def _tell(self) -> None:
        hints: list[Part] = [
            (" enter", "accent"),
            (" switches  " if self._on else " does it  ", "dim"),
        ]
        if self._edits:
            hints += [("tab", "accent"), (" to edit  ", "dim")]
        hints += [("esc", "accent"), (" back  ", "dim")]
        if self._on is None:
            hints += [("letters find", "dim")]
        below = self._list.below
        self._foot.show(hints, [(f"{below} more below " if below else "", "accent")])

    def on_key(self, event: events.Key) -> None:
        """Collect what is typed."""
        if self._on is not None:
            if event.key == "space":
                event.stop()
                self.action_take()
            return
        if event.key == "backspace":
            self._typed = self._typed[:-1]
        elif event.character and event.is_printable:
            self._typed += event.character
        else:
            return
        event.stop()
        self._list.go(0)
        self._show()

    @on(LineList.Chosen)
    def _chosen(self) -> None:
        self.action_take()

    def action_take(self, edit: bool = False) -> None:
        """Choose the line, or turn the switch."""
        if not self._shown:
            return
        place = self._shown[self._list.cursor]
        if self._on is None:
            self.dismiss(Picked(place, edit and self._edits))
        else:
            self._toggle(place)
            self._list.refresh()

    def action_back(self) -> None:
        """Take back what was typed, or leave."""
        if self._typed:
            self._typed = ""
            self._show()
        else:
            self.dismiss(None)
