"""One container or one image in full: tabs of facts, what it uses, its inspect document."""

from __future__ import annotations

import json

from rich.cells import cell_len
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen

from core.errors import Error
from tui.answers import cause, failure
from tui.screens.detail.meter import Meter
from tui.screens.detail.tab import Tab
from tui.theme import Part, glyphs, plain
from tui.tty.clipboard import copy
from tui.tty.near_compositor import PaintsNear
from tui.widgets.foldable import Foldable
from tui.widgets.foot import Foot
from tui.widgets.kept_focus import KeepsFocus
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.app import ComposeResult

    from core.containers.supervision.samples import Sample
    from core.model import Usage
    from tui.screens.detail.own_key import OwnKey

    Read = Callable[[], list[Tab]]
    Keys = Mapping[str, OwnKey]

USAGE = "Usage"
DIGITS = "1234567890"
"""Keys of the first tabs."""
EDGE = 2
OTHER_LINES = 10
"""Lines of the usage tab, and around it, that are no graph."""
NOTHING: list[list[Part]] = [[("nothing", "dim")]]
HINTS = (("[ ]", "tabs"), ("j k", "move"), ("y", "copy line"), ("Y", "copy all"))
TREE_HINTS = (
    ("[ ]", "tabs"), ("enter", "open, close"), ("*", "open all"), ("y", "copy branch"),
    ("Y", "copy all"),
)  # fmt: skip


class DetailScreen(KeepsFocus, PaintsNear, Screen[None], inherit_bindings=False):
    """The tabs that `read()` returns, read anew every few seconds; it runs in a thread.

    `usage()`, also in a thread, adds a tab with graphs.  What it raises is shown.  `keys`
    are further keys: what they are called, and what to do.
    """

    DEFAULT_CSS = """
    DetailScreen { background: $background; }
    DetailScreen #head { height: 1; background: $panel; }
    DetailScreen LineList { margin: 1 1 0 1; }
    """
    BINDINGS = [
        Binding("escape,q", "back", "Back"),
        Binding("right_square_bracket,tab", "tab(1)", "Next tab"),
        Binding("left_square_bracket,shift+tab", "tab(-1)", "Tab before"),
        *(
            Binding(f"{number % 10}", f"go({number - 1})", f"Tab {number}")
            for number in range(1, 11)
        ),
        Binding("y", "copy", "Copy the line"),
        Binding("Y", "copy_all", "Copy the tab"),
    ]
    AUTO_FOCUS = "#lines"

    class Turned(Message):
        """Another tab is shown; the first one has no word."""

        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

    def __init__(
        self,
        title: str,
        read: Read,
        usage: Callable[[], Usage | None] | None = None,
        *,
        keys: Keys | None = None,
        history: Callable[[], Sequence[Sample]] = lambda: (),
        tab: str = "",
        read_every_s: float = 5,
        usage_every_s: float = 1,
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._foot = Foot()
        self._keys = keys or {}
        for name, key in self._keys.items():
            self._bindings.bind(name, f"do({name!r})", key.words)
        self._loaded: dict[str, Sequence[Sequence[Part]]] = {}
        """Lines of the tabs that are read only while they are looked at."""
        self._title = title
        self._read = read
        self._usage = usage
        self._every = (read_every_s, usage_every_s)
        self._tabs: list[Tab] = []
        self._at = 0
        self._first = tab
        """The tab to begin with, by its word."""
        self._meter = Meter()
        self._history: Callable[[], Sequence[Sample]] | None = history
        self._error: Exception | None = None
        self._lines = LineList(id="lines")
        self._tree = Foldable(id="tree")

    def compose(self) -> ComposeResult:
        """Place the head, the two bodies and the foot."""
        yield self._head
        yield self._lines
        yield self._tree
        yield self._foot

    def on_mount(self) -> None:
        """Read, and go on reading."""
        self._tree.display = False
        self._again(self._every[0], self._load)
        if self._usage is not None:
            self._again(self._every[1], self._sample)
        self._tell()

    def _again(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it in a thread now and every so often, never twice at a time."""
        group = work.__name__

        def begin() -> None:
            mine = (w for w in self.workers if w.node is self and w.group == group)
            if not any(w.is_running for w in mine):
                self.run_worker(work, group=group, thread=True)

        begin()
        self.set_interval(seconds, begin)

    def _load(self) -> None:
        try:
            tabs = self._read()
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            self.app.call_from_thread(self._fail, error)
            return
        # Which tab is looked at is asked in the app's thread: a key may be changing it now.
        shown = self.app.call_from_thread(self._take, tabs)
        if shown.load is not None:
            self._load_tab(shown)

    def _load_tab(self, tab: Tab) -> None:
        """Read what only this tab shows; runs in a thread."""
        try:
            lines = tab.load() if tab.load else ()
        except Exception as error:  # noqa: BLE001 - shown in the tab, bugs included
            lines = failure(error)
        self.app.call_from_thread(self._take_lines, tab.name, lines)

    def _take_lines(self, name: str, lines: Sequence[Sequence[Part]]) -> None:
        self._loaded[name] = lines
        if self.is_attached and self._tabs and self._tabs[self._at].name == name:
            self._show()

    def _sample(self) -> None:
        try:
            if self._history is not None:
                self._meter.seed(self._history())
                self._history = None
            usage = self._usage() if self._usage else None
        except (Error, OSError):
            usage = None  # it ended between two looks; the state tells
        self.app.call_from_thread(self._measure, usage)

    def _measure(self, usage: Usage | None) -> None:
        self._meter.take(usage)
        if self.is_attached and self._tabs and self._tabs[self._at].name == USAGE:
            self._show()

    def _take(self, tabs: list[Tab]) -> Tab:
        """Show what was read; return the tab that is looked at."""
        if self._usage is not None:
            tabs = [tabs[0], Tab(USAGE), *tabs[1:]]
        self._tabs, self._error = tabs, None
        if self._first:
            words = [word_of(tab) for tab in tabs]
            self._at = words.index(self._first) if self._first in words else 0
            self._first = ""
        if self.is_attached:
            self._show()
        return tabs[self._at]

    def _fail(self, error: Exception) -> None:
        """Keep what was read, and say that it is no longer so."""
        self._error = error
        if not self.is_attached:
            return
        if not self._tabs:
            self._lines.show_lines(failure(error))
        self._tell()

    def _show(self) -> None:
        tab = self._tabs[self._at]
        is_tree = tab.data is not None
        body = self._tree if is_tree else self._lines
        if body.display is False or not self.focused:
            self._tree.display, self._lines.display = is_tree, not is_tree
            body.focus()
        if is_tree:
            self._tree.set_document(tab.data)
        else:
            self._lines.show_lines(self._body())
        self._tell()

    def _body(self) -> list[list[Part]]:
        tab = self._tabs[self._at]
        if tab.name == USAGE:
            rows = max(1, min(8, (self.app.size.height - OTHER_LINES) // 2))
            return self._meter.lines(self.app.size.width - 2 * EDGE - 1, glyphs(), rows)
        if tab.load is not None:
            lines = self._loaded.get(tab.name)
            waiting: list[list[Part]] = [[("…", "dim")]]
            return waiting if lines is None else [[*line] for line in lines] or NOTHING
        return [[*line] for line in tab.lines]

    def _tell(self) -> None:
        parts: list[Part] = [(f" {self._title} ", "bold")]
        names = [tab.name for tab in self._tabs if tab.name]
        named = with_names(names, self._at, self.app.size.width - cell_len(self._title) - 3)
        for number, name in enumerate(names):
            words = f" {name}" if number in named else ""
            key = DIGITS[number] if number < len(DIGITS) else ""
            parts.append((f"  {key}{words}", "accent" if number == self._at else "dim"))
        gone: list[Part] = cause(self._error) if self._error and self._tabs else []
        self._head.show(parts, gone)
        hints = TREE_HINTS if self._tree.display else HINTS
        own = [(name, words) for name, key in self._keys.items() if (words := key.offered())]
        self._foot.offer([hints[0], *own, *hints[1:]])

    def on_resize(self) -> None:
        """Fit the graphs and the edges."""
        if self._tabs:
            self._show()
        elif self.is_mounted:
            self._tell()

    # Keys

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    def action_back(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_tab(self, by: int) -> None:
        """Go to a neighbouring tab."""
        if self._tabs:
            self.action_go((self._at + by) % len(self._tabs))

    def action_go(self, number: int) -> None:
        """Go to a tab by its number."""
        if number < len(self._tabs) and number != self._at:
            self._at = number
            self._lines.go(0)
            self._show()
            tab = self._tabs[number]
            self.post_message(self.Turned(word_of(tab) if number else ""))
            if tab.load is not None:
                self.run_worker(lambda: self._load_tab(tab), thread=True, group=tab.name)

    def action_do(self, key: str) -> None:
        """Do what a key of this thing does."""
        self._keys[key].act()

    def action_copy(self) -> None:
        """Copy the line or the branch under the cursor."""
        if not self._tabs:
            return
        if self._tree.display:
            value = self._tree.selected
            self._copy(value if isinstance(value, str) else json.dumps(value, indent=2))
        else:
            lines = self._body()
            self._copy(plain(lines[self._lines.cursor]).strip() if lines else "")

    def action_copy_all(self) -> None:
        """Copy the whole tab."""
        if not self._tabs:
            return
        if self._tree.display:
            self._copy(json.dumps(self._tabs[self._at].data, indent=2))
        else:
            self._copy("\n".join(plain(line) for line in self._body()))

    def _copy(self, text: str) -> None:
        self._foot.say(copy(self.app, text))


def word_of(tab: Tab) -> str:
    """Return what a tab is called in the address of its screen: `Mounts, ports` is `mounts`."""
    return tab.name.partition(",")[0].lower()


def with_names(names: Sequence[str], at: int, room: int) -> set[int]:
    """Return the tabs whose names fit beside their keys: the one shown, those after and before."""
    room -= 3 * len(names)
    order = [*range(at, len(names)), *range(at - 1, -1, -1)]
    named: set[int] = set()
    for number in order:
        room -= len(names[number]) + 1
        if room < 0 and named:
            break
        named.add(number)
    return named
