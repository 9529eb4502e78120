"""Looks into an image: its layers, the files of each, and what each did to those below."""

from __future__ import annotations

import os
import posixpath

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from core.errors import NotFound
from core.images.layer_tree import ADDED, CHANGED, REMOVED, SAME, Node, Stack, Waste
from tui.answers import cause, failure, visible
from tui.clipboard import copy
from tui.details import step_words
from tui.file_text import difference, read_bytes
from tui.layer_lines import file_facts, layer_line, totals, waste_words
from tui.screens.file_view import FileScreen, extract
from tui.theme import glyphs, plain
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.file_tree import WIDE, FileTree
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine, hint_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.images.index import FileEntry
    from core.images.layer_tree import Row
    from core.model import LayerInfo
    from tui.theme import Part

QUICK = 15_000
"""Entries of which a tree is made at once; more are made in a thread."""
HINTS = (
    ("[ ]", "layer"), ("enter", "open, close"), ("t", "whole image"), ("a m d u", "filter"),
    ("/", "find"), ("v", "versions"), ("D", "diff"), ("X", "extract"), ("n N", "next, before"),
    ("o", "owners"), ("tab", "other pane"), ("y", "copy path"), ("esc", "back"),
)  # fmt: skip


class LayersScreen(AskingScreen, inherit_bindings=False):
    """An image's layers on the left, files on the right.

    `steps()` returns the steps that made a layer, lowest first, `files(diff_id)` what is in
    one, `open_file(diff_id, path)` a descriptor; all are called in a thread, and a layer can
    be looked at as soon as those up to it have been read.  What they raise is shown.
    """

    DEFAULT_CSS = """
    LayersScreen { background: $background; }
    LayersScreen #head { height: 1; background: $panel; }
    LayersScreen #left { width: 2fr; max-width: 64; }
    LayersScreen #right { width: 3fr; margin-left: 1; }
    LayersScreen #left-title, LayersScreen #right-title, LayersScreen #detail { height: 1; }
    LayersScreen #foot { height: 1; dock: bottom; }
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
        Binding("slash", "find", "Find", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("v", "version", "To the layer with the version before"),
        Binding("D", "diff", "How the file differs from the version before"),
        Binding("X", "extract", "Extract the file, or a directory as tar"),
        Binding("y", "copy", "Copy the path"),
    ]
    AUTO_FOCUS = "#files"

    def __init__(
        self,
        image: str,
        steps: Callable[[], list[LayerInfo]],
        files: Callable[[str], list[FileEntry]],
        open_file: Callable[[str, str], int],
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._left_title = StatusLine(id="left-title")
        self._right_title = StatusLine(id="right-title")
        self._detail = StatusLine(id="detail")
        self._foot = StatusLine(id="foot")
        self._image = image
        self._steps = steps
        self._read_files = files
        self._open_file = open_file
        self._layers: list[LayerInfo] = []
        self._counts: list[int] = []
        self._stack = Stack()
        self._waste: Waste | None = None
        self._error: Exception | None = None
        self._number = 0
        self._whole = False
        self._statuses: frozenset[str] = frozenset()
        self._trees: dict[tuple[bool, int], Node] = {}
        self._wanted = ""
        self._finds_later = False
        """Whether something is looked for that may stand in what is not read yet."""
        self._note = ""
        self._glyphs = glyphs()
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
        self._tell()

    def _read(self) -> None:
        """Read layer after layer; what is there is shown meanwhile."""
        tell = self.app.call_from_thread
        try:
            layers = self._steps()
            tell(self._take_steps, layers)
            for number, layer in enumerate(layers):
                entries = self._read_files(layer.diff_id)
                self._stack.add(entries)
                tell(self._take_layer, number, len(entries))
            tell(self._take_waste, self._stack.waste())
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            tell(self._fail, error)

    def _take_steps(self, layers: list[LayerInfo]) -> None:
        self._layers = layers
        self._counts = [0] * len(layers)
        self._refresh_layers()
        self._tell()

    def _take_layer(self, number: int, count: int) -> None:
        self._counts[number] = count
        if number == self._number:
            self._build()
        self._refresh_layers()

    def _take_waste(self, waste: Waste) -> None:
        self._waste = waste
        self._tell()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._tell()

    # The trees

    def _build(self) -> None:
        """Show the tree of the layer that is chosen, made here or in a thread."""
        wanted = (self._whole, self._number)
        if wanted in self._trees:
            self.file_list.set_tree(self._trees[wanted], self._statuses)
        elif self._number < len(self._stack):
            entries = (
                self._counts[: self._number + 1]
                if self._whole
                else (self._counts[self._number :][:1])
            )
            if sum(entries) <= QUICK:
                self._keep_tree(wanted, self._make_tree(*wanted))
            else:
                self.file_list.set_tree(None, self._statuses)
                self.run_worker(lambda: self._make_aside(*wanted), thread=True)
        else:
            self.file_list.set_tree(None, self._statuses)
        self._tell()

    def _make_tree(self, whole: bool, number: int) -> Node:
        stack = self._stack
        return stack.image_tree(number) if whole else stack.layer_tree(number)

    def _make_aside(self, whole: bool, number: int) -> None:
        tree = self._make_tree(whole, number)
        self.app.call_from_thread(self._keep_tree, (whole, number), tree)

    def _keep_tree(self, which: tuple[bool, int], tree: Node) -> None:
        if len(self._trees) > 8:
            self._trees.pop(next(iter(self._trees)))
        self._trees[which] = tree
        if which == (self._whole, self._number):
            self.file_list.set_tree(tree, self._statuses)
            self._tell()
            if self._finds_later:
                self._note = ""
                self.action_next(1)

    def _refresh_layers(self) -> None:
        self.layer_list.show(len(self._layers), self._layer_line)

    # Lines

    def _layer_line(self, number: int) -> list[Part]:
        count = self._counts[number] if self.app.size.width >= WIDE else None
        here = number == self._number
        return layer_line(number, self._layers[number], count, here=here)

    def _tell(self) -> None:
        """Bring everything around the panes up to date."""
        if not self.is_attached:
            return
        self._head.show(self._totals(), waste_words(self._waste))
        rule = self._glyphs.rule
        for title, words, pane in (
            (self._left_title, "layers", self.layer_list),
            (self._right_title, self._right_words(), self.file_list),
        ):
            tone = "accent" if pane.has_focus else "dim"
            line: list[Part] = [(f"{rule} ", "faint"), (f"{words} ", tone), (rule * 200, "faint")]
            title.show(line)
        self._detail.show(self._detail_parts())
        if self._note:
            self._foot.show([(f" {self._note}", "accent")])
        else:
            self._foot.show(hint_parts(HINTS, self.app.size.width))

    def _totals(self) -> list[Part]:
        parts: list[Part] = [(f" {visible(self._image)} ", "bold")]
        if self._error is not None:
            return [*parts, ("  ", ""), *cause(self._error)]
        return [*parts, *totals(self._layers)]

    def _right_words(self) -> str:
        place = f"layer {self._number + 1}"
        words = f"whole image up to {place}" if self._whole else place
        if self._statuses:
            words += ", only " + ", ".join(sorted(self._statuses))
        return words if self.file_list.is_ready else f"{words}  …"

    def _detail_parts(self) -> list[Part]:
        """Return the whole of what the panes have to cut."""
        if self.layer_list.has_focus and self._layers:
            return [(f" {step_words(self._layers[self._number])}", "dim")]
        return file_facts(self.file_list.row) if self.file_list.row else []

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
        if self._note:
            self._note = ""
            self._tell()

    # Keys

    def action_leave(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_back(self) -> None:
        """Show all files again; then leave."""
        if self._statuses:
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
        self.layer_list.go(max(0, min(self._number + step, len(self._layers) - 1)))
        if self._layers and self._number != self.layer_list.cursor:
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
        if self.layer_list.has_focus and self._layers:
            self._say(copy(self.app, step_words(self._layers[self._number])))
        elif self.file_list.row is not None:
            self._say(copy(self.app, f"/{self.file_list.row.path}"))

    def _say(self, words: str) -> None:
        self._note = words
        self._tell()

    # Files

    @on(FileTree.Entered)
    def _entered(self, event: FileTree.Entered) -> None:
        entry = event.row.node.entry
        if entry is not None and entry.kind == "symlink" and event.row.node.status != REMOVED:
            target = link_target(event.row.path, entry.link)
            if not self.file_list.reveal(target):
                self._say(f"it leads to /{target}, which is not in this tree; t: whole image")
            return
        found = self._versions_here(event.row.path)
        if found:
            self.app.push_screen(self._file_screen(event.row.path, found[-1]))
        else:
            self._say("there is no content to show")

    def _versions_here(self, path: str) -> list[int]:
        """Return the layers up to the chosen one that hold the file's content."""
        return [
            number
            for number, entry in self._stack.versions(path)
            if entry is not None and entry.kind in ("file", "hardlink") and number <= self._number
        ]

    def _opener(self, path: str, number: int) -> Callable[[], int]:
        diff_id = self._layers[number].diff_id
        return lambda: self._open_file(diff_id, path)

    def _file_screen(self, path: str, number: int) -> FileScreen:
        return FileScreen(path, self._opener(path, number), where=f"as in layer {number + 1}")

    def action_version(self) -> None:
        """Go to the layer with the version before this one; from the first to the last."""
        row = self.file_list.row
        found = self._stack.versions(row.path) if row else []
        if row is None or not found:
            return
        before = [number for number, _ in found if number < self._number]
        number = before[-1] if before else found[-1][0]
        words = ", ".join(f"{place + 1}{'' if entry else ' removed'}" for place, entry in found)
        path, self._whole = row.path, False
        self.action_layer(number - self._number)
        self.file_list.reveal(path)
        self._say(f"layer {number + 1}; versions in layers {words}")

    def action_diff(self) -> None:
        """Show how the file differs from the version before it."""
        row = self.file_list.row
        found = self._versions_here(row.path) if row else []
        if row is None or len(found) < 2:
            self._say("there is no earlier version of it")
            return
        old, new = found[-2:]
        readers = [self._opener(row.path, number) for number in (old, new)]

        def lines() -> list[list[Part]]:
            before, after = (read_bytes(reader())[0] for reader in readers)
            return difference(before, after, (f"layer {old + 1}", f"layer {new + 1}"))

        where = f"from layer {old + 1} to layer {new + 1}"
        self.app.push_screen(FileScreen(row.path, readers[1], where=where, lines=lines))

    def action_extract(self) -> None:
        """Let the person say where to write the file, or a tar archive of the directory."""
        row = self.file_list.row
        if row is not None:
            name = row.node.name + (".tar" if row.node.is_directory else "")
            self.ask_line.ask("extract", "extract to ", name)

    def _extract(self, row: Row, target: str) -> None:
        try:
            if row.node.is_directory:
                said = self._extract_tree(row, target)
            else:
                found = self._versions_here(row.path)
                if not found:
                    raise NotFound(f"/{row.path} has no content")
                said = extract(self._opener(row.path, found[-1])(), target)
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            said = plain(failure(error)[0])
        self.app.call_from_thread(self._say, said)

    def _extract_tree(self, row: Row, target: str) -> str:
        from tui.tree_archive import write_tree

        def open_content(path: str) -> int:
            return self._opener(path, self._versions_here(path)[-1])()

        count = write_tree(row.node, row.path, os.path.expanduser(target), open_content)
        return f"{count} entries written to {target}"

    # Finding

    def action_find(self) -> None:
        """Begin to type a part of a name."""
        self.ask_line.ask("find", "/", "")

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.file_list.focus()
        row = self.file_list.row
        if event.question == "extract":
            if event.text and row is not None:
                target = event.text
                self.run_worker(lambda: self._extract(row, target), thread=True)
        elif event.text:
            self._wanted = event.text
            self.action_next(1)

    def action_next(self, by: int) -> None:
        """Go to the next file whose name holds what was typed, or to the one before."""
        self._finds_later = bool(self._wanted) and not self.file_list.is_ready
        if self._finds_later:
            self._say("still reading the layer")
        elif self._wanted and not self.file_list.find(self._wanted, by):
            self._say(f"no file's name holds {self._wanted}")


def link_target(path: str, link: str) -> str:
    """Return where a symlink leads, as a path from the root of the image."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(path), link)).lstrip("/")
