"""The panes of the layer browser: layers on the left, their files on the right, what is read."""

from __future__ import annotations

import threading

from textual import on
from textual.containers import Horizontal, Vertical

from core.images.files.file_tree import CHANGED
from tui.answers import cause, visible
from tui.screens.layers.contents import Change, Layer, LayerContents, Steps, Whole
from tui.screens.layers.lines import layer_line, step_words, totals, waste_words
from tui.screens.layers.trees import LayerTrees, is_quick, make_tree
from tui.theme import glyphs
from tui.widgets.ask_line import AskingScreen
from tui.widgets.file_lines import file_facts
from tui.widgets.file_tree import FileTree
from tui.widgets.foot import Foot
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.images.files.file_tree import Node, Row
    from tui.app import LimpetApp
    from tui.screens.layers.trees import Which
    from tui.theme import Part
    from tui.views.layer_sources import ImageSource

NOTHING = "no file here"
PAINTED_S = 0.2
"""A tree that has come is painted within this time."""
COUNTED = 43
"""Columns of a list whose layers tell how many files they have."""
HINTS = (
    ("[ ]", "layer"), ("enter", "open, close"), ("t", "whole image"), ("a m d u", "filter"),
    ("/", "find"), ("s", "content"), ("v", "versions"), ("D", "diff"), ("X", "extract"),
    ("n N", "next, before"), ("w", "wasted"), ("o", "owners"), ("tab", "other pane"),
    ("y", "copy path"),
)  # fmt: skip


class LayerPanes(AskingScreen, inherit_bindings=False):
    """An image's layers on the left, files on the right.

    The source's methods are called in threads; what they raise is shown.  A layer can be
    looked at as soon as those up to it have been read.  Of a live source the uppermost layer
    comes first, and is read again and again.
    """

    app: LimpetApp

    DEFAULT_CSS = """
    LayerPanes { background: $background; }
    LayerPanes #head { height: 1; background: $panel; }
    LayerPanes #left { width: 2fr; max-width: 64; }
    LayerPanes #right { width: 3fr; margin-left: 1; }
    LayerPanes #left-title, LayerPanes #right-title, LayerPanes #detail { height: 1; }
    """
    AUTO_FOCUS = "#files"

    def __init__(self, source: ImageSource) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._left_title = StatusLine(id="left-title")
        self._right_title = StatusLine(id="right-title")
        self._detail = StatusLine(id="detail")
        self._foot = Foot()
        self._source = source
        self._contents = LayerContents(source)
        self._error: Exception | None = None
        self._number = 0
        self._whole = False
        self._statuses: frozenset[str] = frozenset()
        self._trees = LayerTrees()
        self._goal = ""
        """Where to go when its tree is there."""
        self._glyphs = glyphs()
        self._left = threading.Event()
        """Set when nobody looks any more."""
        self._painted = threading.Event()
        """Set when the tree that came last is on the screen."""
        self._halt = threading.Event()
        """Set when what goes on shall end: a search, an extraction."""
        self._working = False
        self.layer_list = LineList(id="layers")
        self.file_list = FileTree(id="files")

    def compose(self) -> ComposeResult:
        """Place the panes."""
        yield self._head
        with Horizontal():
            with Vertical(id="left"):
                yield self._left_title
                yield self.layer_list
            with Vertical(id="right"):
                yield self._right_title
                yield self.file_list
        yield self._detail
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Read the index in a thread."""
        self.run_worker(self._read, thread=True)
        self._progress = self.set_interval(0.2, self._tell)
        self._tell()

    def on_unmount(self) -> None:
        """End what is still being read."""
        self._left.set()
        self._painted.set()
        self._source.stop()

    def _read(self) -> None:
        """Read layer after layer; what is there is shown meanwhile."""
        tell = self.app.call_from_thread
        try:
            for news in self._contents.read(self._left):
                self._painted.set()
                tell(self._take, news)
                # Reading on at once would hold up what the person waits for.
                self._painted.wait(PAINTED_S)
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            if not self._left.is_set():
                tell(self._fail, error)

    def _take(self, news: Steps | Layer | Whole | Change) -> None:
        self._contents.take(news)
        top = len(self._contents.layers) - 1
        if isinstance(news, Whole):
            self._progress.stop()
            self._tell()
            return
        if isinstance(news, Change):
            self._trees.forget(top)
        if isinstance(news, Steps):
            if self._source.live:
                self.layer_list.show(top + 1, self._layer_line)
                self.layer_list.go(top)
                self._number = top
        elif self._number == (news.number if isinstance(news, Layer) else top):
            self._painted.clear()
            self._build()
            self.call_after_refresh(self._painted.set)
        self._refresh_layers()
        self._tell()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._progress.stop()
        self._tell()

    def _came(self) -> None:
        """Go on with what waited for the tree that is shown now."""

    # The trees

    def _build(self) -> None:
        """Show the tree of the layer that is chosen, made here or in a thread.

        Its list tells that it has moved, and what is around it is brought up to date then.
        """
        wanted = (self._whole, self._number)
        if tree := self._trees.get(wanted):
            self._show_tree(tree)
        elif self._number >= len(self._contents.stack):
            self.file_list.set_tree(None, self._statuses)
        elif is_quick(self._contents.counts, wanted):
            self._keep_tree(wanted, make_tree(self._contents.stack, wanted))
        else:
            self.file_list.set_tree(None, self._statuses)
            self.run_worker(lambda: self._make_aside(wanted), thread=True)

    def _show_tree(self, tree: Node) -> None:
        self.file_list.set_tree(tree, self._statuses)
        if self._goal:
            self.file_list.reveal(self._goal)
            self._goal = ""

    def _make_aside(self, which: Which) -> None:
        tree = make_tree(self._contents.stack, which)
        self.app.call_from_thread(self._keep_tree, which, tree)

    def _keep_tree(self, which: Which, tree: Node) -> None:
        self._trees.keep(which, tree)
        if which == (self._whole, self._number):
            self._show_tree(tree)
            self._came()

    def _refresh_layers(self) -> None:
        self.layer_list.show(len(self._contents.layers), self._layer_line)

    def _choose(self, number: int) -> None:
        self._number = number
        self._refresh_layers()
        self._build()

    def action_layer(self, step: int) -> None:
        """Choose another layer."""
        self.layer_list.go(max(0, min(self._number + step, len(self._contents.layers) - 1)))
        if self._contents.layers and self._number != self.layer_list.cursor:
            self._choose(self.layer_list.cursor)

    # Lines

    def _layer_line(self, number: int) -> list[Part]:
        # Of the list: the screen may have another size, and leave the list and its lines as is.
        count = self._contents.counts[number] if self.layer_list.size.width >= COUNTED else None
        here = number == self._number
        return layer_line(number, self._contents.layers[number], count, here=here)

    def _tell(self) -> None:
        """Bring everything around the panes up to date."""
        if not self.is_attached:
            return
        self._head.show(self._totals(), waste_words(self._contents.waste))
        rule = self._glyphs.rule
        for title, words, pane in (
            (self._left_title, "layers", self.layer_list),
            (self._right_title, self._right_words(), self.file_list),
        ):
            tone = "accent" if pane.has_focus else "dim"
            line: list[Part] = [(f"{rule} ", "faint"), (f"{words} ", tone), (rule * 200, "faint")]
            title.show(line)
        self._detail.show(self._detail_parts())
        self._foot.offer(HINTS, beside=self._source.reading() if self._working else "")

    def _totals(self) -> list[Part]:
        parts: list[Part] = [(f" {visible(self._source.title)} ", "bold")]
        if self._error is not None:
            return [*parts, ("  ", ""), *cause(self._error)]
        parts += totals(self._contents.layers, self._source.reading())
        return [*parts, ("  live", "good")] if self._source.live else parts

    def _right_words(self) -> str:
        place = f"layer {self._number + 1}"
        words = f"whole image up to {place}" if self._whole else place
        if self._statuses:
            words += ", only " + ", ".join(sorted(self._statuses))
        return words if self.file_list.is_ready else f"{words}  …"

    def _detail_parts(self) -> list[Part]:
        """Return the whole of what the panes have to cut."""
        if self.layer_list.has_focus and self._contents.layers:
            return [(f" {step_words(self._contents.layers[self._number])}", "dim")]
        row = self.file_list.row
        if row is None:
            empty = self.file_list.is_ready and not self.file_list.count
            return [(f" {NOTHING}", "dim")] if empty else []
        return file_facts(row, self._changed_words(row))

    def _changed_words(self, row: Row) -> str:
        """Return what differs from the version below, of a file that the layer changed."""
        if row.node.status != CHANGED or row.node.entry is None:
            return ""
        return self._contents.changed_words(row.path, row.node.entry, self._number)

    # Events

    @on(LineList.Moved)
    def _moved(self, event: LineList.Moved) -> None:
        if event.lines is self.layer_list and self._number != self.layer_list.cursor:
            self._choose(self.layer_list.cursor)
        self._tell()

    def on_descendant_focus(self) -> None:
        """Show which pane has the keys."""
        self._tell()

    def on_resize(self) -> None:
        """Fit the edges."""
        self._tell()

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()
