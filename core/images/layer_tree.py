"""An image's files as trees: what each layer does to those below, and what that wastes.

Made from the layers' indexes alone.  Efficiency is counted as dive does it: of all bytes
that layers hold for a path, how many are needed once; a whiteout of a file weighs nothing,
that of a directory weighs what it hides.
"""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.images.index import FileEntry

ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", ""


class Node:
    """A file or directory in a tree; `size` of a directory is that of all below it."""

    __slots__ = ("children", "entry", "name", "size", "status")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entry: FileEntry | None = None
        """None for a directory that no layer names."""
        self.status = SAME
        self.size = 0
        self.children: dict[str, Node] = {}

    @property
    def is_directory(self) -> bool:
        """Whether it can be opened."""
        return bool(self.children) or (self.entry is not None and self.entry.kind == "dir")


class Waste(Record):
    """What an image stores more than once."""

    efficiency: float
    """1.0: nothing."""
    wasted_bytes: int


def layer_tree(layers: Sequence[Sequence[FileEntry]], number: int) -> Node:
    """Return what layer `number` (0 is the lowest) holds, marked against those below."""
    below = merged(layers[:number])
    root = Node("")
    for entry in layers[number]:
        if entry.kind == "opaque":
            continue
        _place(root, entry, _status(entry, below))
    _sum(root)
    return root


def image_tree(layers: Sequence[Sequence[FileEntry]], number: int) -> Node:
    """Return the whole image up to layer `number`, with what that layer did marked."""
    below = merged(layers[:number])
    root = Node("")
    for path, entry in merged(layers[: number + 1]).items():
        _place(root, entry, _status(entry, below) if below.get(path) is not entry else SAME)
    for entry in layers[number]:
        if entry.kind == "whiteout" and entry.path in below:
            _place(root, entry, REMOVED)
    _sum(root)
    return root


def merged(layers: Iterable[Sequence[FileEntry]]) -> dict[str, FileEntry]:
    """Return the files that a container would see, by path."""
    found: dict[str, FileEntry] = {}
    for layer in layers:
        _hide(found, layer)
        for entry in layer:
            if entry.kind not in ("whiteout", "opaque"):
                found[entry.path] = entry
    return found


def waste(layers: Sequence[Sequence[FileEntry]]) -> Waste:
    """Return how much of an image's bytes its layers hold in vain."""
    seen: dict[str, list[int]] = {}
    below: dict[str, FileEntry] = {}
    for layer in layers:
        for entry in layer:
            if entry.kind != "opaque":
                seen.setdefault(entry.path, []).append(_weight(entry, below))
        _hide(below, layer)
        below.update((e.path, e) for e in layer if e.kind not in ("whiteout", "opaque"))
    total = sum(map(sum, seen.values()))
    needed = sum(map(min, seen.values()))
    wasted = sum(sum(sizes) for sizes in seen.values() if len(sizes) > 1)
    return Waste(needed / total if total else 1.0, wasted)


def _weight(entry: FileEntry, below: dict[str, FileEntry]) -> int:
    if entry.kind != "whiteout":
        return entry.size
    hidden = below.get(entry.path)
    if hidden is None or hidden.kind != "dir":
        return 0
    start = entry.path + "/"
    return sum(e.size for path, e in below.items() if path.startswith(start))


def _hide(found: dict[str, FileEntry], layer: Sequence[FileEntry]) -> None:
    """Take away what a layer's whiteouts, opaque directories and non-directories hide."""
    starts = set()
    for entry in layer:
        old = found.get(entry.path)
        if entry.kind in ("opaque", "whiteout") or (
            old is not None and old.kind == "dir" != entry.kind
        ):
            starts.add(entry.path)
        if entry.kind == "whiteout":
            found.pop(entry.path, None)
    if starts:
        for path in [path for path in found if _below_one(path, starts)]:
            del found[path]


def _below_one(path: str, starts: set[str]) -> bool:
    place = path.rfind("/")
    while place > 0:
        if path[:place] in starts:
            return True
        place = path.rfind("/", 0, place)
    return "" in starts


def _status(entry: FileEntry, below: dict[str, FileEntry]) -> str:
    if entry.kind == "whiteout":
        return REMOVED
    old = below.get(entry.path)
    if old is None:
        return ADDED
    same = old.replace(mtime_ns=0) == entry.replace(mtime_ns=0)
    return SAME if same and entry.kind == "dir" else CHANGED


def _place(root: Node, entry: FileEntry, status: str) -> None:
    node = root
    for name in entry.path.split("/"):
        following = node.children.get(name)
        if following is None:
            following = node.children[name] = Node(name)
        node = following
    node.entry, node.status = entry, status


def _sum(node: Node) -> int:
    """Add sizes up, deepest first, without recursion: trees may be deep."""
    order, stack = [], [node]
    while stack:
        here = stack.pop()
        order.append(here)
        stack += here.children.values()
    for here in reversed(order):
        own = here.entry.size if here.entry and here.status != REMOVED else 0
        here.size = own + sum(child.size for child in here.children.values())
    return node.size


class Row(Record):
    """A visible line of a tree."""

    path: str
    depth: int
    node: Node
    is_open: bool


def visible_rows(root: Node, opened: set[str], statuses: frozenset[str] | None = None) -> list[Row]:
    """Return the lines that show, directories first; `statuses` keeps only some, with parents."""
    rows: list[Row] = []
    keep = _having(root, statuses) if statuses is not None else None
    stack = [("", 0, child) for child in _ordered(root)]
    while stack:
        parent, depth, node = stack.pop()
        if keep is not None and node not in keep:
            continue
        path = f"{parent}/{node.name}" if parent else node.name
        is_open = path in opened
        rows.append(Row(path, depth, node, is_open))
        if is_open:
            stack += [(path, depth + 1, child) for child in _ordered(node)]
    return rows


def _ordered(node: Node) -> list[Node]:
    """Return the children in reverse, as a stack takes them."""
    return sorted(node.children.values(), key=lambda n: (not n.is_directory, n.name), reverse=True)


def _having(root: Node, statuses: frozenset[str]) -> set[Node]:
    """Return the nodes of these statuses and everything that leads to them."""
    order: list[Node] = []
    stack: list[tuple[Node, Node | None]] = [(root, None)]
    parents: dict[Node, Node | None] = {}
    while stack:
        node, parent = stack.pop()
        parents[node] = parent
        order.append(node)
        stack += [(child, node) for child in node.children.values()]
    kept: set[Node] = set()
    for node in reversed(order):
        if node in kept or (node.status in statuses and node is not root):
            kept.add(node)
            if (above := parents[node]) is not None:
                kept.add(above)
    return kept
