"""Looks into an image: its layers, the files of each, and what each did to those below."""

from __future__ import annotations

import posixpath
import threading
from functools import partial

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from core.commands.read_only import FILES
from core.images.files.contents import MOST_HITS, Hit
from core.images.files.layer_tree import ADDED, CHANGED, REMOVED, SAME
from tui.answers import cause, failure, visible
from tui.screens.file_view import FileScreen
from tui.screens.layers.contents import Change, Layer, LayerContents, Steps, Whole
from tui.screens.layers.lines import file_facts, layer_line, step_words, totals, waste_words
from tui.screens.layers.trees import LayerTrees, is_quick, make_tree
from tui.screens.pick import Choice, Picked, PickScreen
from tui.theme import glyphs, plain
from tui.tty.clipboard import copy
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.file_tree import WIDE, FileTree, name_test
from tui.widgets.foot import Foot
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.images.files.layer_tree import Node, Row
    from tui.app import LimpetApp
    from tui.screens.layers.trees import Which
    from tui.theme import Part
    from tui.views.layer_sources import ImageSource

NOTHING = "no file here"
HINTS = (
    ("[ ]", "layer"), ("enter", "open, close"), ("t", "whole image"), ("a m d u", "filter"),
    ("/", "find"), ("s", "content"), ("v", "versions"), ("D", "diff"), ("X", "extract"),
    ("n N", "next, before"), ("o", "owners"), ("tab", "other pane"), ("y", "copy path"),
)  # fmt: skip


class LayersScreen(AskingScreen, inherit_bindings=False):
    """An image's layers on the left, files on the right.

    The source's methods are called in threads; what they raise is shown.  A layer can be
    looked at as soon as those up to it have been read.  Of a live source the uppermost layer
    comes first, and is read again and again.
    """

    app: LimpetApp

    DEFAULT_CSS = """
    LayersScreen { background: $background; }
    LayersScreen #head { height: 1; background: $panel; }
    LayersScreen #left { width: 2fr; max-width: 64; }
    LayersScreen #right { width: 3fr; margin-left: 1; }
    LayersScreen #left-title, LayersScreen #right-title, LayersScreen #detail { height: 1; }
    """
    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("left_square_bracket", "layer(-1)", "Layer before"),
        Binding("right_square_bracket", "layer(1)", "Next layer"),
        Binding("tab,shift+tab", "other", "Other pane"),
        Binding("enter,right,l", "other", "To the files"),
        Binding("t", "whole", "Whole image or one layer"),
        Binding("a", f"only('{ADDED}')", "Only added files"),
        Binding("m", f"only('{CHANGED}')", "Only changed files"),
        Binding("d", f"only('{REMOVED}')", "Only removed files"),
        Binding("u", f"only('{SAME}')", "Only unchanged files"),
        Binding("slash", "find", "Find by name, /path or pattern", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("s", "ask", "Search the files' content", priority=True),
        Binding("v", "version", "To the layer with the version before"),
        Binding("D", "diff", "How the file differs from the version before"),
        Binding("X", "extract", "Extract the file, or a directory as tar"),
        Binding("y", "copy", "Copy the path"),
    ]
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
        self._wanted = ""
        self._finds_later = False
        """Whether something is looked for that may stand in what is not read yet."""
        self._glyphs = glyphs()
        self._left = threading.Event()
        """Set when nobody looks any more."""
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
        self._source.stop()

    def _read(self) -> None:
        """Read layer after layer; what is there is shown meanwhile."""
        tell = self.app.call_from_thread
        try:
            for news in self._contents.read(self._left):
                tell(self._take, news)
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
            self._build()
        self._refresh_layers()
        self._tell()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._progress.stop()
        self._tell()

    # The trees

    def _build(self) -> None:
        """Show the tree of the layer that is chosen, made here or in a thread."""
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
        self._tell()

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
            self._tell()
            if self._finds_later:
                self._foot.forget()
                self.action_next(1)

    def _refresh_layers(self) -> None:
        self.layer_list.show(len(self._contents.layers), self._layer_line)

    # Lines

    def _layer_line(self, number: int) -> list[Part]:
        count = self._contents.counts[number] if self.app.size.width >= WIDE else None
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

    @on(LineList.Chosen)
    def _chosen(self, event: LineList.Chosen) -> None:
        if event.lines is self.file_list:
            self.file_list.action_fold()

    def on_descendant_focus(self) -> None:
        """Show which pane has the keys."""
        self._tell()

    def on_resize(self) -> None:
        """Fit the edges."""
        self._tell()

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    # Keys

    def action_leave(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_back(self) -> None:
        """End what goes on, or show all files again; then leave."""
        if self._working:
            self._halt.set()
            self._source.cancel()
        elif self._statuses:
            self._statuses = frozenset()
            self._build()
        else:
            self.dismiss(None)

    def _choose(self, number: int) -> None:
        self._number = number
        self._refresh_layers()
        self._build()

    def action_layer(self, step: int) -> None:
        """Choose another layer."""
        self.layer_list.go(max(0, min(self._number + step, len(self._contents.layers) - 1)))
        if self._contents.layers and self._number != self.layer_list.cursor:
            self._choose(self.layer_list.cursor)

    def action_other(self) -> None:
        """Go to the other pane."""
        (self.layer_list if self.file_list.has_focus else self.file_list).focus()

    def action_whole(self) -> None:
        """Show the whole image up to the layer, or the layer alone."""
        self._whole = not self._whole
        self._build()

    def action_only(self, status: str) -> None:
        """Show only files of this status, or no longer only those."""
        self._statuses ^= {status}
        self._build()

    def action_copy(self) -> None:
        """Copy the path under the cursor, or what made the layer."""
        if self.layer_list.has_focus and self._contents.layers:
            self._foot.say(copy(self.app, step_words(self._contents.layers[self._number])))
        elif self.file_list.row is not None:
            self._foot.say(copy(self.app, f"/{self.file_list.row.path}"))

    # Files

    @on(FileTree.Entered)
    def _entered(self, event: FileTree.Entered) -> None:
        entry = event.row.node.entry
        if entry is not None and entry.kind == "symlink" and event.row.node.status != REMOVED:
            target = link_target(event.row.path, entry.link)
            if not self.file_list.reveal(target):
                self._foot.say(f"it leads to /{target}, which is not in this tree; t: whole image")
            return
        found = self._contents.holders(event.row.path, self._number)
        if found:
            self.app.push_screen(self._file_screen(event.row.path, found[-1]))
        else:
            self._foot.say("there is no content to show")

    def _file_screen(self, path: str, number: int) -> FileScreen:
        return FileScreen(
            path, self._contents.opener(path, number), where=f"as in layer {number + 1}"
        )

    def action_version(self) -> None:
        """Go to the layer with the version before this one; from the first to the last."""
        row = self.file_list.row
        found = self._contents.stack.versions(row.path) if row else []
        if row is None or not found:
            return
        before = [number for number, _ in found if number < self._number]
        number = before[-1] if before else found[-1][0]
        words = ", ".join(f"{place + 1}{'' if entry else ' removed'}" for place, entry in found)
        path, self._whole = row.path, False
        self.action_layer(number - self._number)
        self.file_list.reveal(path)
        self._foot.say(f"layer {number + 1}; versions in layers {words}")

    def action_diff(self) -> None:
        """Show how the file differs from the version before it."""
        row = self.file_list.row
        found = self._contents.holders(row.path, self._number) if row else []
        if row is None or len(found) < 2:
            self._foot.say("there is no earlier version of it")
            return
        old, new = found[-2:]
        path, contents = row.path, self._contents
        self.app.push_screen(
            FileScreen(
                path, contents.opener(path, new), where=f"from layer {old + 1} to layer {new + 1}",
                lines=lambda: contents.difference(path, old, new),
            )
        )  # fmt: skip

    def action_extract(self) -> None:
        """Let the person say where to write the file, or a tar archive of the directory."""
        row = self.file_list.row
        if self.app.read_only:
            self._foot.say(FILES)
        elif row is not None:
            name = row.node.name + (".tar" if row.node.is_directory else "")
            self.ask_line.ask("extract", "extract to ", name)

    def _start(self, words: str, work: Callable[[], Callable[[], None]]) -> None:
        """Do something in a thread; what that returns is called here when it has ended."""
        if self._working:
            self._foot.say("something still goes on; escape ends it")
            return
        self._working = True
        self._halt.clear()
        self._foot.say(words)
        ticks = self.set_interval(0.2, self._tell)

        def end(then: Callable[[], None]) -> None:
            self._working = False
            ticks.stop()
            then()

        def run() -> None:
            try:
                then = work()
            except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
                said = "stopped" if self._halt.is_set() else plain(failure(error)[0])
                then = partial(self._foot.say, said)
            if not self._left.is_set():
                self.app.call_from_thread(end, then)

        self.run_worker(run, thread=True)

    def _extract(self, row: Row, target: str) -> Callable[[], None]:
        return partial(self._foot.say, self._contents.extract(row, self._number, target))

    # Finding

    def action_find(self) -> None:
        """Begin to type a part of a name."""
        self.ask_line.ask("find", "/", "")

    def action_ask(self) -> None:
        """Begin to type what files hold."""
        self.ask_line.ask("content", "files that hold ", "")

    def _search(self, wanted: str) -> Callable[[], None]:
        """Look for bytes in all files up to the chosen layer, then offer those that hold them."""
        hits = self._contents.search(wanted, self._number, self._ended)
        return partial(self._offer, hits, wanted)

    def _ended(self) -> bool:
        return self._left.is_set() or self._halt.is_set()

    def _offer(self, hits: list[Hit], wanted: str) -> None:
        if not hits:
            self._foot.say(f"no file holds {wanted}")
            return

        def go(picked: Picked | None) -> None:
            if picked is not None:
                self._whole, self._goal = True, hits[picked.number].path
                self._build()

        self._foot.say("")
        choices = [Choice(hit.path, words=visible(hit.words)) for hit in hits]
        many = f"{len(hits)}{' or more' * (len(hits) == MOST_HITS)}"
        title = f"{many} file{'s' * (len(hits) != 1)} up to layer {self._number + 1} with {wanted}"
        self.app.push_screen(PickScreen(title, choices), go)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.file_list.focus()
        row = self.file_list.row
        if event.question == "content":
            if event.text:
                words = f"looking for {event.text} in every file up to layer {self._number + 1} …"
                self._start(words, partial(self._search, event.text))
        elif event.question == "extract":
            if event.text and row is not None:
                self._start(f"writing {event.text} …", partial(self._extract, row, event.text))
        elif event.text:
            self._wanted = event.text
            self.action_next(1)

    def action_next(self, by: int) -> None:
        """Go to the next file whose name holds what was typed, or to the one before."""
        self._finds_later = bool(self._wanted) and not self.file_list.is_ready
        if self._finds_later:
            self._foot.say("still reading the layer")
        elif self._wanted and not self.file_list.find(self._wanted, by):
            self._find_elsewhere()

    def _find_elsewhere(self) -> None:
        """Go to another layer for a file that the one shown has not."""
        found = self._contents.stack.find(name_test(self._wanted))
        if found is None:
            self._foot.say(f"no file's name holds {self._wanted}")
            return
        self._goal, number = found
        self._statuses, self._whole = frozenset(), False
        self.layer_list.go(number)
        self._choose(number)
        self._foot.say(f"it is in layer {number + 1}; v: its versions")


def link_target(path: str, link: str) -> str:
    """Return where a symlink leads, as a path from the root of the image."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(path), link)).lstrip("/")
