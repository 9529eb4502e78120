"""Looks into an image: its layers, the files of each, and what each did to those below."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.geometry import Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from core.commands.show import size as shown_size
from core.errors import Error
from core.images.layer_tree import (
    ADDED,
    CHANGED,
    REMOVED,
    SAME,
    Node,
    Row,
    Waste,
    image_tree,
    layer_tree,
    visible_rows,
    waste,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.images.index import FileEntry
    from core.model import LayerInfo

    Load = Callable[[], list[tuple[LayerInfo, list[FileEntry]]]]

LETTERS = {ADDED: "A", CHANGED: "M", REMOVED: "D", SAME: " "}
COLOURS = {ADDED: "green", CHANGED: "yellow", REMOVED: "red", SAME: ""}
FILTERS: dict[str, frozenset[str] | None] = {
    "all": None,
    "added": frozenset((ADDED,)),
    "changed": frozenset((CHANGED,)),
    "removed": frozenset((REMOVED,)),
}
HINTS = Text.assemble(
    *(
        part
        for key, words in (
            (" [ ]", "layer"),
            ("enter", "open"),
            ("t", "whole image"),
            ("f", "filter"),
            ("/", "find"),
            ("n", "next"),
            ("esc", "back"),
        )
        for part in ((key, "bold"), f" {words}  ")
    )
)


class Lines(ScrollView, can_focus=True):
    """A list painted line by line; what is not on the screen costs nothing."""

    def __init__(self, identity: str) -> None:
        super().__init__(id=identity)
        self.cursor = 0
        self.rows: list[list[tuple[str, str]]] = []
        self._make: Callable[[int], list[tuple[str, str]]] = lambda _: []
        self._count = 0

    def show(self, count: int, make: Callable[[int], list[tuple[str, str]]]) -> None:
        """Show `count` lines; `make` gives a line's parts (text, style) when it is painted."""
        self._count, self._make = count, make
        self.cursor = max(0, min(self.cursor, count - 1))
        self.virtual_size = Size(self.size.width, count)
        self.move_to(self.cursor)
        self.refresh()

    def move_to(self, line: int) -> None:
        """Put the cursor on a line and make that visible."""
        self.cursor = max(0, min(line, self._count - 1))
        self._reveal()
        # Once more when the list has its new height: until then it scrolls no further.
        self.call_after_refresh(self._reveal)

    def _reveal(self) -> None:
        height = max(1, self.scrollable_content_region.height)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint one line of the screen."""
        number = self.scroll_offset.y + y
        width = self.size.width
        base = self.rich_style
        if number >= self._count:
            return Strip.blank(width, base)
        at_cursor = number == self.cursor
        mark = Style(reverse=True) if at_cursor and self.has_focus else Style(bold=at_cursor)
        parts = self._make(number)
        segments = [Segment(text, base + Style.parse(style) + mark) for text, style in parts]
        return Strip(segments).extend_cell_length(width, base + mark).crop(0, width)

    def on_click(self, event: object) -> None:
        """Move the cursor to where the mouse is."""
        y = getattr(event, "y", 0)
        self.focus()
        self.move_to(self.scroll_offset.y + y)


class LayersScreen(Screen[None], inherit_bindings=False):
    """An image's layers on the left, files on the right.

    `load()` is called in a thread and returns each layer with its files, lowest first.
    """

    DEFAULT_CSS = """
    LayersScreen #head { height: 1; text-style: bold; }
    LayersScreen #foot { dock: bottom; height: 1; }
    LayersScreen #find { dock: bottom; height: 1; }
    LayersScreen Lines { overflow-x: hidden; }
    LayersScreen #layers { width: 40%; max-width: 60; }
    LayersScreen #files { width: 1fr; border-left: vkey $surface-lighten-2; }
    """

    BINDINGS = [
        Binding("escape,q", "back", "Back"),
        Binding("left_square_bracket", "layer(-1)", "Layer before"),
        Binding("right_square_bracket", "layer(1)", "Next layer"),
        Binding("tab,shift+tab", "other", "Other pane"),
        Binding("down,j", "move(1)", "Down"),
        Binding("up,k", "move(-1)", "Up"),
        Binding("pagedown", "page(1)", "Page down"),
        Binding("pageup", "page(-1)", "Page up"),
        Binding("g,home", "move(-1000000000)", "First"),
        Binding("G,end", "move(1000000000)", "Last"),
        Binding("enter,space", "fold", "Open or close"),
        Binding("right,l", "open", "Open"),
        Binding("left,h", "close", "Close"),
        Binding("t", "whole", "Whole image or one layer"),
        Binding("f", "filter", "Filter"),
        Binding("slash", "find", "Find"),
        Binding("n", "next", "Next"),
    ]

    def __init__(self, image: str, load: Load) -> None:
        super().__init__()
        self._image = image
        self._load = load
        self._layers: list[LayerInfo] = []
        self._files: list[list[FileEntry]] = []
        self._waste = Waste(1.0, 0)
        self._number = 0
        self._whole = False
        self._filter = "all"
        self._opened: set[str] = set()
        self._tree = Node("")
        self._rows: list[Row] = []
        self._wanted: str | None = None
        """What is being typed after `/`; None when nothing is."""
        self._found = ""

    def compose(self) -> ComposeResult:
        """Make the panes."""
        yield Static(f" {self._image}  reading…", id="head", markup=False)
        with Horizontal():
            yield Lines("layers")
            yield Lines("files")
        yield Static(HINTS, id="foot")

    def on_mount(self) -> None:
        """Read the index in a thread."""
        self.file_list.focus()
        self._read()

    @property
    def layer_list(self) -> Lines:
        """The list of layers."""
        return self.query_one("#layers", Lines)

    @property
    def file_list(self) -> Lines:
        """The tree of files."""
        return self.query_one("#files", Lines)

    @work(thread=True, exclusive=True)
    def _read(self) -> None:
        try:
            loaded = self._load()
        except Error as error:
            self.app.call_from_thread(self._say, f" {self._image}: {error.message}")
            return
        counted = waste([files for _, files in loaded])
        self.app.call_from_thread(self._take, loaded, counted)

    def _take(self, loaded: list[tuple[LayerInfo, list[FileEntry]]], counted: Waste) -> None:
        self._layers = [layer for layer, _ in loaded]
        self._files = [files for _, files in loaded]
        self._waste = counted
        total = sum(layer.size_bytes for layer in self._layers)
        self._say(
            f" {self._image}   {len(self._layers)} layer{'s' * (len(self._layers) != 1)}, "
            f"{shown_size(total)}   "
            f"efficiency {counted.efficiency:.1%}, wasted {shown_size(counted.wasted_bytes)}"
        )
        self.layer_list.show(len(self._layers), self._layer_line)
        self._build()

    def _say(self, words: str) -> None:
        self.query_one("#head", Static).update(words)

    def _layer_line(self, number: int) -> list[tuple[str, str]]:
        layer = self._layers[number]
        here = ">" if number == self._number else " "
        words = " ".join(layer.created_by.split()) or "(no history)"
        words = words.removeprefix("/bin/sh -c ").removeprefix("#(nop) ")
        return [(f"{here}{number + 1:>3} {shown_size(layer.size_bytes):>8}  ", "bold"),
                (_printable(words), "")]  # fmt: skip

    def _build(self) -> None:
        """Make the tree of the layer that is chosen."""
        if not self._files:
            return
        make = image_tree if self._whole else layer_tree
        self._tree = make(self._files, self._number)
        self._show()

    def _show(self) -> None:
        self._rows = visible_rows(self._tree, self._opened, FILTERS[self._filter])
        self.file_list.show(len(self._rows), self._file_line)
        self.layer_list.refresh()
        state = "whole image" if self._whole else f"layer {self._number + 1}"
        only = "" if self._filter == "all" else f", only {self._filter}"
        self.file_list.border_title = state + only
        foot = HINTS if self._wanted is None else Text(f" /{self._wanted}")
        self.query_one("#foot", Static).update(foot)

    def _file_line(self, number: int) -> list[tuple[str, str]]:
        row = self._rows[number]
        node, entry = row.node, row.node.entry
        sign = ("▾ " if row.is_open else "▸ ") if node.is_directory else "  "
        mode = f"{entry.mode:04o}" if entry and node.status != REMOVED else "    "
        owner = f"{entry.uid}:{entry.gid}" if entry and node.status != REMOVED else ""
        name = node.name + ("/" if node.is_directory else "")
        if entry and entry.link and entry.kind in ("symlink", "hardlink"):
            name += f" → {entry.link}"
        colour = COLOURS[node.status]
        return [
            (f" {LETTERS[node.status]} ", f"bold {colour}".strip()),
            (f"{mode} {owner:>9} {shown_size(node.size):>8}  ", "dim"),
            ("  " * row.depth + sign, "dim"),
            (_printable(name), colour),
        ]

    # Keys

    def on_key(self, event: object) -> None:
        """Take what is typed after `/`."""
        if self._wanted is None:
            return
        key, letter = getattr(event, "key", ""), getattr(event, "character", None)
        getattr(event, "stop", lambda: None)()
        getattr(event, "prevent_default", lambda: None)()
        if key == "escape":
            self._wanted = None
        elif key == "enter":
            self._found, self._wanted = self._wanted, None
            self.action_next()
        elif key == "backspace":
            self._wanted = self._wanted[:-1]
        elif letter and letter.isprintable():
            self._wanted += letter
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a name is typed no key means anything else."""
        return self._wanted is None

    def action_back(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_layer(self, step: int) -> None:
        """Choose another layer."""
        self._number = max(0, min(self._number + step, len(self._layers) - 1))
        self.layer_list.move_to(self._number)
        self._build()

    def action_other(self) -> None:
        """Go to the other pane."""
        (self.layer_list if self.file_list.has_focus else self.file_list).focus()

    def action_move(self, step: int) -> None:
        """Move the cursor of the pane that has the focus."""
        pane = self.layer_list if self.layer_list.has_focus else self.file_list
        pane.move_to(pane.cursor + step)
        if pane is self.layer_list and self._number != pane.cursor:
            self._number = pane.cursor
            self._build()

    def action_page(self, step: int) -> None:
        """Move by a screen."""
        self.action_move(step * max(1, self.file_list.size.height - 1))

    def _row(self) -> Row | None:
        return self._rows[self.file_list.cursor] if self._rows else None

    def action_fold(self) -> None:
        """Open or close the directory under the cursor."""
        row = self._row()
        if row is not None and row.node.is_directory:
            self._opened ^= {row.path}
            self._show()

    def action_open(self) -> None:
        """Open the directory under the cursor."""
        row = self._row()
        if row is not None and row.node.is_directory:
            self._opened.add(row.path)
            self._show()

    def action_close(self) -> None:
        """Close the directory under the cursor, or go to the one it is in."""
        row = self._row()
        if row is None:
            return
        if row.is_open:
            self._opened.discard(row.path)
            self._show()
            return
        parent = row.path.rpartition("/")[0]
        places = [place for place, other in enumerate(self._rows) if other.path == parent]
        if places:
            self.file_list.move_to(places[0])

    def action_whole(self) -> None:
        """Show the whole image up to the layer, or the layer alone."""
        self._whole = not self._whole
        self._build()

    def action_filter(self) -> None:
        """Show all, only added, only changed, only removed files in turn."""
        names = list(FILTERS)
        self._filter = names[(names.index(self._filter) + 1) % len(names)]
        self._show()

    def action_find(self) -> None:
        """Begin to type a part of a name."""
        self._wanted = ""
        self._show()

    def action_next(self) -> None:
        """Go to the next file whose path holds what was typed, opening what leads there."""
        if not self._found:
            return
        paths = sorted(_paths(self._tree))
        row = self._row()
        here = row.path if row else ""
        hits = [path for path in paths if self._found in path]
        target = next((path for path in hits if path > here), hits[0] if hits else "")
        if not target:
            self._say(f" {self._image}   no path holds {self._found!r}")
            return
        parts = target.split("/")
        self._opened |= {"/".join(parts[:length]) for length in range(1, len(parts))}
        self._show()
        self.file_list.move_to(
            next(n for n, other in enumerate(self._rows) if other.path == target)
        )


def _paths(root: Node) -> list[str]:
    found, stack = [], [("", root)]
    while stack:
        path, node = stack.pop()
        for child in node.children.values():
            below = f"{path}/{child.name}" if path else child.name
            found.append(below)
            stack.append((below, child))
    return found


def _printable(text: str) -> str:
    """Return a name without what a hostile image could steer the terminal with."""
    return "".join(c if c.isprintable() else "�" for c in text)
