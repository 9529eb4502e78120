"""An image's files as trees: what each layer does to those below, and what that wastes.

Made from the layers' indexes alone, in time that grows with the number of entries however
many layers and whiteouts there are.  Efficiency is counted as dive does it: of all bytes
that layers hold for a path, how many are needed once; a whiteout of a file weighs nothing,
that of a directory weighs what it hides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate, chain, count

from core.garbage import NoSearch
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from core.images.file_table import FileEntry, FileTable

    Version = tuple[int, FileEntry | None]
    """The number of a layer, and what it has; None where it hides what is below."""

ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", "unchanged"
NOTHING = range(0)


class Listing:
    """The files of a tree in the order of their paths: what lies below one is a range of them.

    `sizes` and `statuses` are those of the paths; `entry` returns what is at one.
    """

    def __init__(
        self,
        paths: list[str],
        sizes: Iterable[int],
        statuses: list[str],
        entry: Callable[[str], FileEntry],
    ) -> None:
        self.paths = paths
        self.statuses = statuses
        self.entry = entry
        self.totals = [0, *accumulate(sizes)]
        """Bytes before each path, and of all."""

    def root(self) -> Node:
        """Return the tree."""
        own = 1 if self.paths[:1] == [""] else 0
        return Node(self, "", own - 1, range(own, len(self.paths)), 0)


class Node:
    """A file or directory in a tree.

    Nodes are made when somebody asks for the children of what they are in: of the ten thousands
    that a tree has, few are ever looked at.
    """

    __slots__ = ("_children", "_listing", "_ordered", "_place", "_range", "_start", "entry", "name")

    def __init__(self, listing: Listing, name: str, place: int, below: range, start: int) -> None:
        self._listing = listing
        self.name = name
        self._place = place
        """Its own in the listing; -1 for a directory that no layer names."""
        self._range = below
        """The places of all below it, whose names in it start at this character."""
        self._start = start
        self.entry = listing.entry(listing.paths[place]) if place >= 0 else None
        """None for a directory that no layer names."""
        self._children: dict[str, Node] | None = None
        self._ordered: list[Node] | None = None

    @property
    def size(self) -> int:
        """Bytes, for a directory of all below it."""
        return self.sum(self._listing.totals)

    @property
    def status(self) -> str:
        """What was done to it itself."""
        return self._listing.statuses[self._place] if self._place >= 0 else SAME

    @property
    def is_directory(self) -> bool:
        """Whether it can be opened."""
        return bool(self._range) or (self.entry is not None and self.entry.kind == "dir")

    def sum(self, totals: list[int]) -> int:
        """Return what it and all below it have, of totals before each place of the listing."""
        place, below = self._place, self._range
        own = totals[place + 1] - totals[place] if place >= 0 else 0
        return own + totals[below.stop] - totals[below.start]

    def statuses(self) -> list[str]:
        """Return what was done to each file and directory below it."""
        return self._listing.statuses[self._range.start : self._range.stop]

    def count(self, statuses: Collection[str]) -> list[int]:
        """Return how many before each place of the listing, and of all, have a status."""
        return [0, *accumulate(status in statuses for status in self._listing.statuses)]

    @property
    def children(self) -> Mapping[str, Node]:
        """What is in a directory, by name."""
        if self._children is None:
            self._children = {
                name: Node(self._listing, name, *found) for name, found in self._find().items()
            }
        return self._children

    def _find(self) -> dict[str, tuple[int, range, int]]:
        """Return the places of what is in it, those of all below that, and where names start."""
        paths, start = self._listing.paths, self._start
        place, end = self._range.start, self._range.stop
        found: dict[str, tuple[int, range, int]] = {}
        while place < end:
            path = paths[place]
            cut = path.find("/", start)
            if cut < 0:
                found[path[start:]] = place, NOTHING, 0
                place += 1
                continue
            name = path[start:cut]
            # "0" is the character behind the slash.
            stop = bisect_left(paths, path[:cut] + "0", place, end)
            own = found[name][0] if name in found else -1
            found[name] = own, range(place, stop), cut + 1
            place = stop
        return found

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
        self._layers: list[FileTable] = []
        self._starts: list[int] = []
        """By layer, how many rows those below it have."""
        self._sizes: list[int] = []
        """Of the rows of all layers."""
        self._first: list[dict[str, int]] = []
        """By layer, its paths that no layer below it has, and their rows among those of all."""
        self._rows: dict[str, int] = {}
        """All of these."""
        self._first_bytes = 0
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

    def add(self, layer: FileTable) -> None:
        """Put a layer on top, as `core.images.remaining` leaves it: no path has two files."""
        with NoSearch():
            number, start = len(self._layers), len(self._sizes)
            first, markers, again = self._sorted_out(layer)
            for entry in (*markers, *again):
                if entry.kind != "opaque":
                    self._weigh(entry.path, self._weight(entry))
            for path in self._weights.keys() & first.keys():
                self._weigh(path, layer.sizes[first[path] - start])
            # What a layer hides is below it, wherever in the layer the whiteout stands.
            for entry in (*markers, *again):
                self._hide(entry, number)
            for entry in again:
                self._versions[entry.path] = (*self._history(entry.path), (number, entry))
            self._first_bytes += sum(layer.sizes[row - start] for row in first.values())
            self._first.append(first)
            self._starts.append(start)
            self._sizes += layer.sizes
            self._layers.append(layer)
            self._rows.update(first)

    def _sorted_out(
        self, layer: FileTable
    ) -> tuple[dict[str, int], list[FileEntry], list[FileEntry]]:
        """Return the rows of what no layer has so far, the whiteouts, and what one has."""
        first, markers, again = {}, [], []
        known, start = self._rows, len(self._sizes)
        if known.keys().isdisjoint(layer.paths) and not any(map(layer.kinds.count, MARKERS)):
            return dict(zip(layer.paths, count(start), strict=False)), [], []
        for row, (path, kind) in enumerate(zip(layer.paths, layer.kinds, strict=True)):
            if kind in MARKERS:
                markers.append(layer.entry(row))
            elif path in known:
                again.append(layer.entry(row))
            else:
                first[path] = start + row
        return first, markers, again

    def _lowest(self, path: str) -> tuple[int, FileEntry]:
        """Return the lowest layer that has a path, and what it has."""
        row = self._rows[path]
        layer = bisect_right(self._starts, row) - 1
        return layer, self._layers[layer].entry(row - self._starts[layer])

    def _history(self, path: str) -> tuple[Version, ...]:
        versions = self._versions.get(path)
        if versions is None and path in self._rows:
            versions = (self._lowest(path),)
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
            layer = self._layers[self._linked]
            for own, kind in zip(layer.paths, layer.kinds, strict=True):
                if kind not in MARKERS:
                    self._link(own)
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
        often = self._weights.keys() & self._rows.keys()
        once = self._first_bytes - sum(self._sizes[self._rows[path]] for path in often)
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
        for path in sorted(self._rows):
            if fits(path):
                return path, max(number for number, entry in self._history(path) if entry)
        return None

    def _at(self, path: str, number: int) -> FileEntry | None:
        """Return what a container of the layers up to `number` has at the path."""
        return _top(self._history(path), number)[1]

    def files(self, number: int) -> dict[str, FileEntry]:
        """Return what a container of the layers up to `number` would see, by path."""
        found: dict[str, FileEntry] = {}
        for layer in range(number + 1):
            entries, start = list(self._layers[layer]), self._starts[layer]
            found.update((path, entries[row - start]) for path, row in self._first[layer].items())
        for path, versions in list(self._versions.items()):
            entry = _top(versions, number)[1]
            if entry is not None:
                found[path] = entry
            else:
                found.pop(path, None)
        return found

    def layer_tree(self, number: int) -> Node:
        """Return what layer `number` (0 is the lowest) holds, marked against those below."""
        layer, first = self._layers[number], self._first[number]
        numbered: Iterable[tuple[str, int]] = zip(layer.paths, count(), strict=False)
        if "opaque" in layer.kinds:  # which stands beside the directory's own entry
            numbered = ((path, row) for path, row in numbered if layer.kinds[row] != "opaque")
        rows = dict(numbered)
        paths = sorted(rows)

        def entry(path: str) -> FileEntry:
            return layer.entry(rows[path])

        statuses = [
            ADDED if path in first else _status(entry(path), self._at(path, number - 1))
            for path in paths
        ]
        sizes = map(layer.sizes.__getitem__, map(rows.__getitem__, paths))
        return Listing(paths, sizes, statuses, entry).root()

    def image_tree(self, number: int) -> Node:
        """Return the whole image up to a layer, with what that layer did marked."""
        versions = dict(self._versions)
        others = self._others(number, versions)
        paths = [*chain(*self._first[: number + 1])]
        if versions:
            paths = [*(path for path in paths if path not in versions), *others]
        paths.sort()
        rows = [*map(self._rows.__getitem__, paths)]
        sizes = [*map(self._sizes.__getitem__, rows)]
        own = self._starts[number]
        statuses = [ADDED if row >= own else SAME for row in rows]
        if others:
            for place, path in enumerate(paths):
                if path in others:
                    found, statuses[place] = others[path]
                    sizes[place] = found.size

        def entry(path: str) -> FileEntry:
            return others[path][0] if path in others else self._lowest(path)[1]

        return Listing(paths, sizes, statuses, entry).root()

    def _others(
        self, number: int, versions: Mapping[str, tuple[Version, ...]]
    ) -> dict[str, tuple[FileEntry, str]]:
        """Return what of these paths shows up to a layer, and what that layer did to it."""
        found = {}
        for path, history in versions.items():
            setter, top = _top(history, number)
            if top is not None:
                below = _top(history, number - 1)[1]
                found[path] = top, SAME if setter < number else _status(top, below)
        layer = self._layers[number]
        for row, kind in enumerate(layer.kinds):
            if kind == "whiteout":
                path = layer.paths[row]
                if path not in found and self._at(path, number - 1) is not None:
                    found[path] = layer.entry(row), REMOVED
        return found


def _top(versions: tuple[Version, ...], number: int) -> Version:
    """Return the uppermost version of layers up to `number`, and its layer."""
    for version in reversed(versions):
        if version[0] <= number:
            return version
    return -1, None


def difference(old: Mapping[str, FileEntry], new: Mapping[str, FileEntry]) -> Node:
    """Return the files of two images as one tree, marked by how the new one differs."""

    def entry(path: str) -> FileEntry:
        return new[path] if path in new else old[path]

    paths = sorted(old.keys() | new.keys())
    sizes = [new[path].size if path in new else 0 for path in paths]
    statuses = [_status(new[path], old.get(path)) if path in new else REMOVED for path in paths]
    return Listing(paths, sizes, statuses, entry).root()


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
        self._kept = None if statuses is None else root.count(statuses)
        self.lines = self._inside(root, "", 0)

    def _inside(self, node: Node, path: str, depth: int) -> list[Row]:
        rows: list[Row] = []
        opened, kept = self._opened, self._kept
        stack = [(path, depth, child) for child in reversed(node.ordered)]
        while stack:
            above, level, node = stack.pop()
            if kept is not None and not node.sum(kept):
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
            if self._kept is None or node.sum(self._kept):
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
