"""An image's files as trees: what each layer does to those below, and what that wastes.

Made from the layers' indexes alone, in time that grows with the number of entries however
many layers and whiteouts there are.  Efficiency is counted as dive does it: of all bytes
that layers hold for a path, how many are needed once; a whiteout of a file weighs nothing,
that of a directory weighs what it hides.
"""

from __future__ import annotations

from core.garbage import NoSearch
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from core.images.index import FileEntry

ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", "unchanged"
NO_CHILDREN: dict[str, Any] = {}
"""Of every node until it has one: most are files.  Nobody writes to it."""


class Node:
    """A file or directory in a tree; `size` of a directory is that of all below it."""

    __slots__ = ("_ordered", "children", "entry", "name", "parent", "size", "status")

    def __init__(
        self,
        name: str,
        parent: Node | None = None,
        entry: FileEntry | None = None,
        status: str = SAME,
        size: int = 0,
    ) -> None:
        self.name = name
        self.parent = parent
        self.entry = entry
        """None for a directory that no layer names."""
        self.status = status
        self.size = size
        self.children: dict[str, Node] = NO_CHILDREN
        self._ordered: list[Node] | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it can be opened."""
        return bool(self.children) or (self.entry is not None and self.entry.kind == "dir")

    @property
    def ordered(self) -> list[Node]:
        """The children, directories first, by name."""
        if self._ordered is None:
            self._ordered = sorted(
                self.children.values(), key=lambda node: (not node.is_directory, node.name)
            )
        return self._ordered


class Waste(Record):
    """What an image stores more than once."""

    efficiency: float
    """1.0: nothing."""
    wasted_bytes: int


class Stack:
    """Layers on each other; after `add` of layer N all about the layers up to N can be asked.

    One thread may add while another asks.
    """

    def __init__(self) -> None:
        self._layers: list[Sequence[FileEntry]] = []
        self._versions: dict[str, list[tuple[int, FileEntry | None]]] = {}
        """By path, each layer that set or hid it, lowest first; None where it was hidden."""
        self._now: dict[str, FileEntry] = {}
        self._below: dict[str, set[str]] = {}
        """Paths by the directory they are in, those without an entry of their own too."""
        self._weights: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._layers)

    def add(self, layer: Sequence[FileEntry]) -> None:
        """Put a layer on top."""
        with NoSearch():
            if self._layers or not self._add_first(layer):
                self._add(layer)

    def _add_first(self, layer: Sequence[FileEntry]) -> bool:
        """Add the lowest layer, if nothing in it stands twice or hides anything."""
        now = {entry.path: entry for entry in layer}
        if len(now) < len(layer) or any(entry.kind in MARKERS for entry in layer):
            return False
        self._now = now
        self._weights = {path: [entry.size] for path, entry in now.items()}
        self._versions = {path: [(0, entry)] for path, entry in now.items()}
        last, names = "", self._below.setdefault("", set())
        for path in now:
            parent = path.rpartition("/")[0]
            if parent != last:
                self._link(path)
                last, names = parent, self._below[parent]
            names.add(path)
        self._layers.append(layer)
        return True

    def _add(self, layer: Sequence[FileEntry]) -> None:
        number = len(self._layers)
        weights, now, versions = self._weights, self._now, self._versions
        for entry in layer:
            kind = entry.kind
            if kind != "opaque":
                weight = self._hidden_weight(entry.path) if kind == "whiteout" else entry.size
                weights.setdefault(entry.path, []).append(weight)
        # What a layer hides is below it, wherever in the layer the whiteout stands.
        if number:
            for entry in layer:
                self._hide(entry, number)
        for entry in layer:
            if entry.kind not in MARKERS:
                path = entry.path
                if path not in now:
                    self._link(path)
                now[path] = entry
                versions.setdefault(path, []).append((number, entry))
        self._layers.append(layer)

    def _hidden_weight(self, path: str) -> int:
        """Return what a whiteout weighs."""
        hidden = self._now.get(path)
        if hidden is None or hidden.kind != "dir":
            return 0
        return sum(self._now[below].size for below in self._under(path) if below in self._now)

    def _link(self, path: str) -> None:
        """Make the path known to the directories it is in."""
        below = self._below
        while path:
            parent = path.rpartition("/")[0]
            names = below.get(parent)
            if names is None:
                below[parent] = {path}
            elif path in names:
                return
            else:
                names.add(path)
                return
            path = parent

    def _under(self, path: str) -> Iterator[str]:
        stack = [path]
        while stack:
            names = self._below.get(stack.pop())
            if names:
                yield from names
                stack += names

    def _hide(self, entry: FileEntry, number: int) -> None:
        """Take away what a whiteout, an opaque directory or a non-directory hides."""
        old = self._now.get(entry.path)
        if entry.kind not in MARKERS and (old is None or old.kind != "dir" or entry.kind == "dir"):
            return
        for path in self._under(entry.path):
            if self._now.pop(path, None) is not None:
                self._versions[path].append((number, None))
        if entry.kind == "whiteout" and self._now.pop(entry.path, None) is not None:
            self._versions[entry.path].append((number, None))

    def waste(self) -> Waste:
        """Return how much of the bytes the layers hold in vain."""
        total = needed = wasted = 0
        for sizes in self._weights.values():
            if len(sizes) == 1:
                total += sizes[0]
                needed += sizes[0]
            else:
                total += sum(sizes)
                wasted += sum(sizes)
                needed += min(sizes)
        return Waste(needed / total if total else 1.0, wasted)

    def inefficient(self, count: int) -> list[tuple[str, int, int]]:
        """Return the paths that waste most: path, how many layers set it, bytes of all of them."""
        found = [
            (path, len(sizes), sum(sizes))
            for path, sizes in self._weights.items()
            if len(sizes) > 1 and any(sizes)
        ]
        return sorted(found, key=lambda row: (-row[2], row[0]))[:count]

    def versions(self, path: str) -> list[tuple[int, FileEntry | None]]:
        """Return each layer that set a path, lowest first; None where one hid it."""
        return list(self._versions.get(path, ()))

    def find(self, fits: Callable[[str], bool]) -> tuple[str, int] | None:
        """Return the first path that fits, by name, and the uppermost layer that has it."""
        for path in sorted(self._versions):
            if fits(path):
                return path, max(number for number, entry in self._versions[path] if entry)
        return None

    def _at(self, path: str, number: int) -> FileEntry | None:
        """Return what a container of the layers up to `number` has at the path."""
        versions = self._versions.get(path)
        return _top(versions, number)[1] if versions else None

    def files(self, number: int) -> dict[str, FileEntry]:
        """Return what a container of the layers up to `number` would see, by path."""
        found = ((path, self._at(path, number)) for path in list(self._versions))
        return {path: entry for path, entry in found if entry is not None}

    def layer_tree(self, number: int) -> Node:
        """Return what layer `number` (0 is the lowest) holds, marked against those below."""
        tree = _Tree()
        for entry in self._layers[number]:
            if entry.kind != "opaque":
                tree.place(entry, _status(entry, self._at(entry.path, number - 1)))
        return tree.finish()

    def image_tree(self, number: int) -> Node:
        """Return the whole image up to a layer, with what that layer did marked."""
        with NoSearch():
            return self._image_tree(number)

    def _image_tree(self, number: int) -> Node:
        tree = _Tree()
        if number == 0:
            tree.place_new(entry for entry in self._layers[0] if entry.kind not in MARKERS)
            return tree.finish()
        place = tree.place
        for path, versions in list(self._versions.items()):
            layer, entry = versions[-1]
            if layer > number:
                layer, entry = _top(versions, number)
            if entry is None:
                continue
            if layer < number:
                place(entry, SAME)
            elif len(versions) == 1:
                place(entry, ADDED)
            else:
                place(entry, _status(entry, self._at(path, number - 1)))
        for entry in self._layers[number]:
            if entry.kind != "whiteout" or self._at(entry.path, number) is not None:
                continue
            if self._at(entry.path, number - 1):
                place(entry, REMOVED)
        return tree.finish()


def _top(versions: list[tuple[int, FileEntry | None]], number: int) -> tuple[int, FileEntry | None]:
    """Return the uppermost version of layers up to `number`, and its layer."""
    for version in reversed(versions):
        if version[0] <= number:
            return version
    return -1, None


def difference(old: Mapping[str, FileEntry], new: Mapping[str, FileEntry]) -> Node:
    """Return the files of two images as one tree, marked by how the new one differs."""
    tree = _Tree()
    for path, entry in new.items():
        tree.place(entry, _status(entry, old.get(path)))
    for path, entry in old.items():
        if path not in new:
            tree.place(entry, REMOVED)
    return tree.finish()


def _status(entry: FileEntry, old: FileEntry | None) -> str:
    if entry.kind == "whiteout":
        return REMOVED
    if old is None:
        return ADDED
    same = (
        old.kind == entry.kind
        and old.digest == entry.digest
        and old.mode == entry.mode
        and old.uid == entry.uid
        and old.gid == entry.gid
        and old.link == entry.link
        and old.size == entry.size
    )
    return SAME if same else CHANGED


class _Tree:
    """A tree in the making: every node is made after the directory it is in."""

    def __init__(self) -> None:
        self._nodes = {"": Node("")}

    def place(self, entry: FileEntry, status: str) -> None:
        path, size = entry.path, 0 if status == REMOVED else entry.size
        nodes = self._nodes
        if (node := nodes.get(path)) is not None:
            node.entry, node.status, node.size = entry, status, size
            return
        parent, _, name = path.rpartition("/")
        above = nodes.get(parent) or self._directory(parent)
        if above.children is NO_CHILDREN:
            above.children = {}
        nodes[path] = above.children[name] = Node(name, above, entry, status, size)

    def place_new(self, entries: Iterable[FileEntry]) -> None:
        """Place all as added: what shares a directory mostly comes together."""
        nodes, last = self._nodes, None
        above, children = nodes[""], NO_CHILDREN
        for entry in entries:
            path = entry.path
            if path in nodes:
                self.place(entry, ADDED)
                continue
            parent, _, name = path.rpartition("/")
            if parent != last:
                above, last = nodes.get(parent) or self._directory(parent), parent
                if above.children is NO_CHILDREN:
                    above.children = {}
                children = above.children
            nodes[path] = children[name] = Node(name, above, entry, ADDED, entry.size)

    def _directory(self, path: str) -> Node:
        """Make the node of a directory, and of those above it."""
        missing = []
        while path not in self._nodes:
            missing.append(path)
            path = path.rpartition("/")[0]
        node = self._nodes[path]
        for path in reversed(missing):
            above, name = node, path.rpartition("/")[2]
            if above.children is NO_CHILDREN:
                above.children = {}
            node = self._nodes[path] = above.children[name] = Node(name, above)
        return node

    def finish(self) -> Node:
        """Add sizes up and return the root."""
        for node in reversed(self._nodes.values()):
            if node.parent is not None:
                node.parent.size += node.size
        return self._nodes[""]


class Row:
    """A visible line of a tree."""

    __slots__ = ("depth", "is_open", "node", "path")

    def __init__(self, path: str, depth: int, node: Node, is_open: bool) -> None:
        self.path = path
        self.depth = depth
        self.node = node
        self.is_open = is_open


class Rows:
    """The lines of a tree that show, directories first; folding changes only what it must.

    `opened` holds the paths of open directories and is kept up to date; `statuses` keeps
    only nodes that are of one of these, and what leads to them.
    """

    def __init__(
        self, root: Node, opened: set[str], statuses: Collection[str] | None = None
    ) -> None:
        self._root = root
        self._opened = opened
        self._kept = None if statuses is None else _having(root, statuses)
        self.lines = self._inside(root, "", 0)

    def _inside(self, node: Node, path: str, depth: int) -> list[Row]:
        rows: list[Row] = []
        opened, kept = self._opened, self._kept
        stack = [(path, depth, child) for child in reversed(node.ordered)]
        while stack:
            above, level, node = stack.pop()
            if kept is not None and node not in kept:
                continue
            path = f"{above}/{node.name}" if above else node.name
            is_open = path in opened
            rows.append(Row(path, level, node, is_open))
            if is_open and node.children:
                stack += [(path, level + 1, child) for child in reversed(node.ordered)]
        return rows

    def open(self, place: int) -> None:
        """Open the directory of a line."""
        row = self.lines[place]
        if not row.is_open:
            row.is_open = True
            self._opened.add(row.path)
            self.lines[place + 1 : place + 1] = self._inside(row.node, row.path, row.depth + 1)

    def close(self, place: int) -> None:
        """Close the directory of a line."""
        row = self.lines[place]
        if row.is_open:
            row.is_open = False
            self._opened.discard(row.path)
            end = place + 1
            while end < len(self.lines) and self.lines[end].depth > row.depth:
                end += 1
            del self.lines[place + 1 : end]

    def paths(self) -> list[str]:
        """Return every path, folded away or not, in the order in which they would show."""
        found: list[str] = []
        stack = [("", child) for child in reversed(self._root.ordered)]
        while stack:
            above, node = stack.pop()
            if self._kept is None or node in self._kept:
                path = f"{above}/{node.name}" if above else node.name
                found.append(path)
                if node.children:
                    stack += [(path, child) for child in reversed(node.ordered)]
        return found

    def reveal(self, path: str) -> int:
        """Open what leads to a path and return its line, -1 when it is not in the tree."""
        place, end = 0, path.find("/")
        while place < len(self.lines):
            row = self.lines[place]
            if row.path == path:
                return place
            if end > 0 and row.path == path[:end]:
                self.open(place)
                end = path.find("/", end + 1)
            place += 1
        return -1


def _having(root: Node, statuses: Collection[str]) -> set[Node]:
    """Return the nodes of these statuses and everything that leads to them."""
    kept: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        stack += node.children.values()
        if node.entry is not None and node.status in statuses:
            here: Node | None = node
            while here is not None and here not in kept:
                kept.add(here)
                here = here.parent
    return kept
