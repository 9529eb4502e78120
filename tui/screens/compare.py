"""What one image has that another has not: all files of both as one tree."""

from __future__ import annotations

from textual import on
from textual.binding import Binding

from core.commands.show import size
from core.images.layer_tree import ADDED, CHANGED, REMOVED, SAME, Node, Stack, difference
from core.record import Record
from tui import file_text
from tui.answers import cause, visible
from tui.clipboard import copy
from tui.layer_lines import file_facts
from tui.screens.file_view import FileScreen
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.file_tree import FileTree
from tui.widgets.status import StatusLine, hint_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.images.index import FileEntry
    from core.model import LayerInfo
    from tui.theme import Part

HINTS = (
    ("enter", "open"), ("D", "diff"), ("a m d u", "filter"), ("/", "find"), ("n N", "next, before"),
    ("o", "owners"), ("y", "copy path"), ("esc", "back"),
)  # fmt: skip


class Image(Record):
    """An image with all its files; `stack` holds the layers `diff_ids`, lowest first."""

    name: str
    diff_ids: tuple[str, ...]
    stack: Stack

    @property
    def files(self) -> dict[str, FileEntry]:
        """What a container of it would see."""
        return self.stack.files(len(self.stack) - 1)

    def layer_of(self, path: str) -> str:
        """Return the layer that holds the content of a file that is there; "" for no file."""
        number, entry = self.stack.versions(path)[-1]
        return self.diff_ids[number] if entry and entry.kind in ("file", "hardlink") else ""


def read_image(name: str, steps: list[LayerInfo], files: Callable[[str], list[FileEntry]]) -> Image:
    """Read the indexes of an image's layers."""
    stack = Stack()
    for step in steps:
        stack.add(files(step.diff_id))
    return Image(name, tuple(step.diff_id for step in steps), stack)


class CompareScreen(AskingScreen, inherit_bindings=False):
    """How the second of two images differs from the first.

    `read()` returns both, `open_file(diff_id, path)` a descriptor; both run in threads.
    """

    DEFAULT_CSS = """
    CompareScreen { background: $background; }
    CompareScreen #head { height: 1; background: $panel; }
    CompareScreen #detail { height: 1; }
    CompareScreen #foot { height: 1; dock: bottom; }
    """
    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("a", f"only('{ADDED}')", "Only added files"),
        Binding("m", f"only('{CHANGED}')", "Only changed files"),
        Binding("d", f"only('{REMOVED}')", "Only removed files"),
        Binding("u", f"only('{SAME}')", "Only unchanged files"),
        Binding("D", "diff", "How the file differs"),
        Binding("slash", "find", "Find", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("y", "copy", "Copy the path"),
    ]
    AUTO_FOCUS = "#files"

    def __init__(
        self,
        names: tuple[str, str],
        read: Callable[[], tuple[Image, Image]],
        open_file: Callable[[str, str], int],
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._detail = StatusLine(id="detail")
        self._foot = StatusLine(id="foot")
        self._names = names
        self._read = read
        self._open_file = open_file
        self._images: tuple[Image, Image] | None = None
        self._tree: Node | None = None
        self._counts: dict[str, int] = {}
        self._grown = 0
        self._statuses = frozenset((ADDED, CHANGED, REMOVED))
        self._wanted = ""
        self._note = ""
        self._error: Exception | None = None
        self.file_list = FileTree(id="files")

    def compose(self) -> ComposeResult:
        """Place head, tree and foot."""
        yield self._head
        yield self.file_list
        yield self._detail
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Read both in a thread."""
        self.run_worker(self._load, thread=True)
        self._tell()

    def _load(self) -> None:
        try:
            old, new = images = self._read()
            before, after = old.files, new.files
            tree = difference(before, after)
            counts = {ADDED: 0, CHANGED: 0, REMOVED: 0, SAME: 0}
            stack = [tree]
            while stack:
                node = stack.pop()
                stack += node.children.values()
                if node.entry is not None:
                    counts[node.status] += 1
            grown = sum(e.size for e in after.values()) - sum(e.size for e in before.values())
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            self.app.call_from_thread(self._fail, error)
            return
        self.app.call_from_thread(self._take, images, tree, counts, grown)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._tell()

    def _take(
        self, images: tuple[Image, Image], tree: Node, counts: dict[str, int], grown: int
    ) -> None:
        self._images, self._tree, self._counts, self._grown = images, tree, counts, grown
        self._build()

    def _build(self) -> None:
        self.file_list.set_tree(self._tree, self._statuses)
        self._tell()

    def _tell(self) -> None:
        if not self.is_attached:
            return
        old, new = map(visible, self._names)
        left: list[Part] = [(f" {old} → {new} ", "bold")]
        if self._error is not None:
            left += cause(self._error)
        right: list[Part] = [("… ", "dim")] if not self._tree and not self._error else []
        if self._tree is not None:
            sign = "+" if self._grown >= 0 else "-"
            right = [
                (f"A {self._counts[ADDED]}  ", "good"),
                (f"M {self._counts[CHANGED]}  ", "warn"),
                (f"D {self._counts[REMOVED]}  ", "bad"),
                (f"{sign}{size(abs(self._grown))} ", "dim"),
            ]
        self._head.show(left, right)
        row = self.file_list.row
        nothing: list[Part] = [(" no file differs", "dim")] if self._tree else []
        self._detail.show(file_facts(row) if row else nothing)
        words: list[Part] = [(f" {self._note}", "accent")]
        self._foot.show(words if self._note else hint_parts(HINTS, self.app.size.width))

    def _say(self, words: str) -> None:
        self._note = words
        self._tell()

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        if self._note:
            self._say("")

    def on_resize(self) -> None:
        """Fit the edges."""
        self._tell()

    def on_line_list_moved(self) -> None:
        """Tell about the file under the cursor."""
        self._tell()

    # Files

    def _opener(self, image: Image, path: str) -> Callable[[], int] | None:
        layer = image.layer_of(path) if path in image.files else ""
        return (lambda: self._open_file(layer, path)) if layer else None

    @on(FileTree.Entered)
    def _entered(self, event: FileTree.Entered) -> None:
        if self._images is None:
            return
        image = self._images[event.row.node.status != REMOVED]
        opener = self._opener(image, event.row.path)
        if opener is None:
            self._say("there is no content to show")
        else:
            self.app.push_screen(FileScreen(event.row.path, opener, where=f"of {image.name}"))

    def action_diff(self) -> None:
        """Show how the file under the cursor differs."""
        row = self.file_list.row
        if row is None or self._images is None:
            return
        openers = [self._opener(image, row.path) for image in self._images]
        old, new = openers
        if old is None or new is None:
            self._say("only one of the images has it as a file")
            return

        def lines() -> list[list[Part]]:
            before, after = (file_text.read_bytes(opener())[0] for opener in (old, new))
            return file_text.difference(before, after, self._names)

        self.app.push_screen(FileScreen(row.path, new, where="how it differs", lines=lines))

    # Keys

    def action_leave(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_back(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_only(self, status: str) -> None:
        """Show files of this status too, or no longer."""
        self._statuses ^= {status}
        self._build()

    def action_copy(self) -> None:
        """Copy the path under the cursor."""
        if self.file_list.row is not None:
            self._say(copy(self.app, f"/{self.file_list.row.path}"))

    def action_find(self) -> None:
        """Begin to type a part of a name."""
        self.ask_line.ask("find", "/")

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.file_list.focus()
        if event.text:
            self._wanted = event.text
            self.action_next(1)

    def action_next(self, by: int) -> None:
        """Go to the next file whose name holds what was typed, or to the one before."""
        if self._wanted and not self.file_list.find(self._wanted, by):
            self._say(f"no file's name holds {self._wanted}")
