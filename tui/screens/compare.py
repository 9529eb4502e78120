"""What one image has that another has not: all files of both as one tree."""

from __future__ import annotations

from textual import on
from textual.binding import Binding

from core.commands.show import size
from core.images.files.compare import changed_words, config_changes
from core.images.files.file_tree import ADDED, CHANGED, REMOVED, SAME, Node, difference
from core.images.files.layer_stack import Stack
from tui.answers import cause, visible
from tui.screens import file_text
from tui.screens.file_view import FileScreen
from tui.tty.clipboard import copy
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.file_lines import LETTERS, TONES, file_facts
from tui.widgets.file_tree import FileTree
from tui.widgets.foot import Foot
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.images.files.compare import Change, Tree
    from tui.theme import Part

HINTS = (
    ("enter", "open"), ("D", "diff"), ("c", "settings"), ("a m d u", "filter"), ("/", "find"),
    ("n N", "next, before"), ("o", "owners"), ("y", "copy path"),
)  # fmt: skip


class Side:
    """One of the two: an image, a container or a layer, with all its files."""

    def __init__(self, tree: Tree, open_file: Callable[[str, str], int]) -> None:
        self.name = tree.name
        self.config = tree.config
        self._diff_ids = [diff_id for diff_id, _ in tree.layers]
        self._open_file = open_file
        self._stack = Stack()
        for _, files in tree.layers:
            self._stack.add(files)
        self.files = self._stack.files(len(self._stack) - 1)
        """What a container of it would see."""

    def opener(self, path: str) -> Callable[[], int] | None:
        """Return what opens a file's content, None for what has none."""
        if path not in self.files:
            return None
        number, entry = self._stack.versions(path)[-1]
        if entry is None or entry.kind not in ("file", "hardlink"):
            return None
        return lambda: self._open_file(self._diff_ids[number], path)


class CompareScreen(AskingScreen, inherit_bindings=False):
    """How the second of two images, containers or layers differs from the first.

    `read()`, called in a thread, returns both.
    """

    DEFAULT_CSS = """
    CompareScreen { background: $background; }
    CompareScreen #head { height: 1; background: $panel; }
    CompareScreen #detail { height: 1; }
    CompareScreen #settings { display: none; }
    """
    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("a", f"only('{ADDED}')", "Only added files"),
        Binding("m", f"only('{CHANGED}')", "Only changed files"),
        Binding("d", f"only('{REMOVED}')", "Only removed files"),
        Binding("u", f"only('{SAME}')", "Only unchanged files"),
        Binding("D", "diff", "How the file differs"),
        Binding("c", "settings", "Settings or files"),
        Binding("slash", "find", "Find", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("y", "copy", "Copy the path"),
    ]
    AUTO_FOCUS = "#files"

    def __init__(
        self,
        names: tuple[str, str],
        read: Callable[[], tuple[Side, Side]],
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._detail = StatusLine(id="detail")
        self._foot = Foot()
        self._names = names
        self._read = read
        self._sides: tuple[Side, Side] | None = None
        self._settings: list[Change] = []
        self._tree: Node | None = None
        self._counts: dict[str, int] = {}
        self._grown = 0
        self._statuses = frozenset((ADDED, CHANGED, REMOVED))
        self._wanted = ""
        self._error: Exception | None = None
        self.file_list = FileTree(id="files")
        self._setting_list = LineList(id="settings")

    def compose(self) -> ComposeResult:
        """Place head, tree and foot."""
        yield self._head
        yield self.file_list
        yield self._setting_list
        yield self._detail
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Read both in a thread."""
        self.run_worker(self._load, thread=True)
        self._tell()

    def _load(self) -> None:
        try:
            old, new = sides = self._read()
            before, after = old.files, new.files
            settings = config_changes(old.config, new.config)
            tree = difference(before, after)
            statuses = tree.statuses()
            counts = {one: statuses.count(one) for one in (ADDED, CHANGED, REMOVED, SAME)}
            grown = sum(e.size for e in after.values()) - sum(e.size for e in before.values())
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            self.app.call_from_thread(self._fail, error)
            return
        self.app.call_from_thread(self._take, sides, settings, tree, counts, grown)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._tell()

    def _take(
        self,
        sides: tuple[Side, Side],
        settings: list[Change],
        tree: Node,
        counts: dict[str, int],
        grown: int,
    ) -> None:
        self._sides, self._settings = sides, settings
        self._tree, self._counts, self._grown = tree, counts, grown
        lines = [setting_line(change) for change in settings]
        self._setting_list.show_lines(lines or [[("no setting differs", "dim")]])
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
                (f"{sign}{size(abs(self._grown))}  ", "dim"),
                (f"c settings {len(self._settings)} ", "accent" if self._settings else "dim"),
            ]
        self._head.show(left, right)
        self._detail.show(self._detail_parts())
        self._foot.offer(HINTS)

    def _detail_parts(self) -> list[Part]:
        row = self.file_list.row
        if self._setting_list.display or self._sides is None:
            return []
        if row is None:
            return [(" no file differs", "dim")]
        words = ""
        old, new = (side.files.get(row.path) for side in self._sides)
        if row.node.status == CHANGED and old is not None and new is not None:
            words = changed_words(old, new)
        return file_facts(row, words)

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    def on_resize(self) -> None:
        """Fit the edges."""
        self._tell()

    def on_line_list_moved(self) -> None:
        """Tell about the file under the cursor."""
        self._tell()

    # Files

    @on(FileTree.Entered)
    def _entered(self, event: FileTree.Entered) -> None:
        if self._sides is None:
            return
        side = self._sides[event.row.node.status != REMOVED]
        opener = side.opener(event.row.path)
        if opener is None:
            self._foot.say("there is no content to show")
        else:
            self.app.push_screen(FileScreen(event.row.path, opener, where=f"of {side.name}"))

    def action_diff(self) -> None:
        """Show how the file under the cursor differs."""
        row = self.file_list.row
        if row is None or self._sides is None:
            return
        old, new = (side.opener(row.path) for side in self._sides)
        if old is None or new is None:
            self._foot.say("only one of the two has it as a file")
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

    def action_settings(self) -> None:
        """Show which settings differ instead of the files, or the files again."""
        shows = not self._setting_list.display
        self._setting_list.display, self.file_list.display = shows, not shows
        (self._setting_list if shows else self.file_list).focus()
        self._tell()

    def action_copy(self) -> None:
        """Copy the path under the cursor."""
        if self.file_list.row is not None:
            self._foot.say(copy(self.app, f"/{self.file_list.row.path}"))

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
            self._foot.say(f"no file's name holds {self._wanted}")


STATUSES = {"A": ADDED, "C": CHANGED, "D": REMOVED}


def setting_line(change: Change) -> list[Part]:
    """Return a setting that differs, with what it was and is."""
    status = STATUSES[change.status]
    return [
        (f"{LETTERS[status]} ", TONES[status]),
        (f"{visible(change.path)}  ", "primary"),
        (visible(change.what), ""),
    ]
