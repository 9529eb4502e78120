"""An image's files as trees: what each layer does to those below, and what that wastes.

Made from the layers' indexes alone, in time that grows with the number of entries however
many layers and whiteouts there are.  Efficiency is counted as dive does it: of all bytes
that layers hold for a path, how many are needed once; a whiteout of a file weighs nothing,
that of a directory weighs what it hides.
"""

from __future__ import annotations

from itertools import chain

from core.garbage import NoSearch
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from core.images.index import FileEntry

    Version = tuple[int, FileEntry | None]
    """The number of a layer, and what it has; None where it hides what is below."""

ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", "unchanged"
NO_CHILDREN: dict[str, Any] = {}
NO_FILES: list[tuple[FileEntry, str]] = []
"""Both of every node until it has some: most are files.  Nobody writes to them."""


class Node:
    """A file or directory in a tree; `size` of a directory is that of all below it.

    The nodes of its files are made when somebody asks for its children: of the ten thousands
    that a tree has, few are ever looked at.
    """

    __slots__ = ("_children", "_files", "_ordered", "entry", "name", "parent", "size", "status")

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
        self._children: dict[str, Node] = NO_CHILDREN
        self._files = NO_FILES
        """Those without a node, each with its status."""
        self._ordered: list[Node] | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it can be opened."""
        return bool(self._children or self._files) or (
            self.entry is not None and self.entry.kind == "dir"
        )

    @property
    def children(self) -> Mapping[str, Node]:
        """What is in a directory, by name."""
        if self._files:
            found = dict(self._children)
            for entry, status in self._files:
                name = entry.path.rpartition("/")[2]
                node, size = found.get(name), _weight(entry, status)
                if node is None:
                    found[name] = Node(name, self, entry, status, size)
                elif node.entry is None:
                    # It lost to a directory that only the paths below it tell of.
                    node.entry, node.status = entry, status
                    node.size += size
            self._children, self._files = found, NO_FILES
        return self._children

    @property
    def ordered(self) -> list[Node]:
        """The children, directories first, by name."""
        if self._ordered is None:
            self._ordered = sorted(
                self.children.values(), key=lambda node: (not node.is_directory, node.name)
            )
        return self._ordered

    def directory(self, name: str) -> Node:
        """Add a directory and return it."""
        if self._children is NO_CHILDREN:
            self._children = {}
        node = self._children[name] = Node(name, self)
        return node

    def files(self) -> list[tuple[FileEntry, str]]:
        """Return where a file and its status are added; its weight is the caller's to add."""
        if self._files is NO_FILES:
            self._files = []
        return self._files


def _weight(entry: FileEntry, status: str) -> int:
    return 0 if status == REMOVED else entry.size


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
        self._first: list[dict[str, FileEntry]] = []
        """By layer, its entries of paths that no layer below it has."""
        self._owners: dict[str, int] = {}
        """By path, which layer that is."""
        self._versions: dict[str, tuple[Version, ...]] = {}
        """Of paths that more than one layer sets or hides: most are in one alone."""
        self._weights: dict[str, tuple[int, ...]] = {}
        """Bytes of each version, of paths that have several."""
        self._below: dict[str, set[str]] = {}
        """Paths by the directory they are in, those without an entry of their own too."""
        self._linked = 0
        """How many layers' paths are in `_below`: only what hides something needs it."""

    def __len__(self) -> int:
        return len(self._layers)

    def add(self, layer: Sequence[FileEntry]) -> None:
        """Put a layer on top, as `core.images.remaining` leaves it: no path has two files."""
        with NoSearch():
            number = len(self._layers)
            markers = [entry for entry in layer if entry.kind in MARKERS]
            own = [entry for entry in layer if entry.kind not in MARKERS] if markers else layer
            first = {entry.path: entry for entry in own if entry.path not in self._owners}
            again = [] if len(first) == len(own) else [e for e in own if e.path in self._owners]
            for entry in (*markers, *again):
                if entry.kind != "opaque":
                    self._weigh(entry.path, self._weight(entry))
            for path in self._weights.keys() & first.keys():
                self._weigh(path, first[path].size)
            # What a layer hides is below it, wherever in the layer the whiteout stands.
            for entry in (*markers, *again):
                self._hide(entry, number)
            for entry in again:
                self._versions[entry.path] = (*self._history(entry.path), (number, entry))
            self._first.append(first)
            self._owners.update(dict.fromkeys(first, number))
            self._layers.append(layer)

    def _history(self, path: str) -> tuple[Version, ...]:
        versions = self._versions.get(path)
        if versions is None and path in self._owners:
            owner = self._owners[path]
            versions = ((owner, self._first[owner][path]),)
        return versions or ()

    def _now(self, path: str) -> FileEntry | None:
        """Return what a container of all layers so far has at a path."""
        return self._at(path, len(self._layers))

    def _weight(self, entry: FileEntry) -> int:
        """Return what an entry weighs: a whiteout as much as it hides of a directory."""
        if entry.kind != "whiteout":
            return entry.size
        hidden = self._now(entry.path)
        if hidden is None or hidden.kind != "dir":
            return 0
        below = map(self._now, self._under(entry.path))
        return sum(found.size for found in below if found is not None)

    def _weigh(self, path: str, weight: int) -> None:
        weights = self._weights.get(path)
        if weights is None:
            weights = tuple(entry.size for _, entry in self._history(path) if entry)
        self._weights[path] = (*weights, weight)

    def _under(self, path: str) -> Iterator[str]:
        while self._linked < len(self._layers):
            for entry in self._layers[self._linked]:
                if entry.kind not in MARKERS:
                    self._link(entry.path)
            self._linked += 1
        stack = [path]
        while stack:
            names = self._below.get(stack.pop())
            if names:
                yield from names
                stack += names

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

    def _hide(self, entry: FileEntry, number: int) -> None:
        """Take away what a whiteout, an opaque directory or a non-directory hides."""
        old = self._now(entry.path)
        if entry.kind not in MARKERS and (old is None or old.kind != "dir" or entry.kind == "dir"):
            return
        hidden = [*self._under(entry.path), *([entry.path] if entry.kind == "whiteout" else [])]
        for path in hidden:
            if self._now(path) is not None:
                self._versions[path] = (*self._history(path), (number, None))

    def waste(self) -> Waste:
        """Return how much of the bytes the layers hold in vain."""
        once = sum(
            entry.size
            for first in self._first
            for path, entry in first.items()
            if path not in self._weights
        )
        needed = once + sum(map(min, self._weights.values()))
        total = once + sum(map(sum, self._weights.values()))
        wasted = sum(sum(sizes) for sizes in self._weights.values() if len(sizes) > 1)
        return Waste(needed / total if total else 1.0, wasted)

    def inefficient(self, count: int) -> list[tuple[str, int, int]]:
        """Return the paths that waste most: path, how many layers set it, bytes of all of them."""
        found = [
            (path, len(sizes), sum(sizes))
            for path, sizes in self._weights.items()
            if len(sizes) > 1 and any(sizes)
        ]
        return sorted(found, key=lambda row: (-row[2], row[0]))[:count]

    def versions(self, path: str) -> list[Version]:
        """Return each layer that set a path, lowest first; None where one hid it."""
        return list(self._history(path))

    def find(self, fits: Callable[[str], bool]) -> tuple[str, int] | None:
        """Return the first path that fits, by name, and the uppermost layer that has it."""
        for path in sorted(self._owners):
            if fits(path):
                return path, max(number for number, entry in self._history(path) if entry)
        return None

    def _at(self, path: str, number: int) -> FileEntry | None:
        """Return what a container of the layers up to `number` has at the path."""
        return _top(self._history(path), number)[1]

    def files(self, number: int) -> dict[str, FileEntry]:
        """Return what a container of the layers up to `number` would see, by path."""
        found: dict[str, FileEntry] = {}
        for first in self._first[: number + 1]:
            found.update(first)
        for path, versions in list(self._versions.items()):
            entry = _top(versions, number)[1]
            if entry is not None:
                found[path] = entry
            else:
                found.pop(path, None)
        return found

    def layer_tree(self, number: int) -> Node:
        """Return what layer `number` (0 is the lowest) holds, marked against those below."""
        with NoSearch():
            return tree(
                (entry, _status(entry, self._at(entry.path, number - 1)))
                for entry in self._layers[number]
                if entry.kind != "opaque"
            )

    def image_tree(self, number: int) -> Node:
        """Return the whole image up to a layer, with what that layer did marked."""
        with NoSearch():
            return tree(chain(self._seen(number), self._removed(number)))

    def _seen(self, number: int) -> Iterator[tuple[FileEntry, str]]:
        """Yield what a container of the layers up to one sees."""
        for layer, first in enumerate(self._first[: number + 1]):
            status = ADDED if layer == number else SAME
            for path, entry in first.items():
                versions = self._versions.get(path)
                if versions is None:
                    yield entry, status
                    continue
                setter, top = _top(versions, number)
                if top is not None:
                    yield top, SAME if setter < number else _status(top, self._at(path, number - 1))

    def _removed(self, number: int) -> Iterator[tuple[FileEntry, str]]:
        """Yield the whiteouts of a layer that took something away."""
        for entry in self._layers[number]:
            if (
                entry.kind == "whiteout"
                and self._at(entry.path, number) is None
                and self._at(entry.path, number - 1) is not None
            ):
                yield entry, REMOVED


def _top(versions: tuple[Version, ...], number: int) -> Version:
    """Return the uppermost version of layers up to `number`, and its layer."""
    for version in reversed(versions):
        if version[0] <= number:
            return version
    return -1, None


def difference(old: Mapping[str, FileEntry], new: Mapping[str, FileEntry]) -> Node:
    """Return the files of two images as one tree, marked by how the new one differs."""
    there = ((entry, _status(entry, old.get(path))) for path, entry in new.items())
    gone = ((entry, REMOVED) for path, entry in old.items() if path not in new)
    return tree(chain(there, gone))


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


def tree(entries: Iterable[tuple[FileEntry, str]]) -> Node:
    """Return the root of a tree of entries, each with its status."""
    root = above = Node("")
    nodes, last, files = {"": root}, "", root.files()
    for found in entries:
        entry, status = found
        path = entry.path
        if path in nodes or entry.kind == "dir":
            node = nodes.get(path) or _directory(nodes, path)
            node.entry, node.status = entry, status
            node.size += _weight(entry, status)
            continue
        parent = path.rpartition("/")[0]
        if parent != last:
            # What shares a directory mostly comes together.
            above, last = nodes.get(parent) or _directory(nodes, parent), parent
            files = above.files()
        files.append(found)
        if status != REMOVED:
            above.size += entry.size
    # Each was made after the one it is in.
    for node in reversed(nodes.values()):
        if node.parent is not None:
            node.parent.size += node.size
    return root


def _directory(nodes: dict[str, Node], path: str) -> Node:
    """Make the node of a directory, and of those above it."""
    missing = []
    while path not in nodes:
        missing.append(path)
        path = path.rpartition("/")[0]
    node = nodes[path]
    for path in reversed(missing):
        node = nodes[path] = node.directory(path.rpartition("/")[2])
    return node


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
