"""Files as a tree, marked by what was done to them, and the lines of it that show."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from core.images.file_table import FileEntry

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
        self._differing: list[int] | None = None

    @property
    def differing(self) -> list[int]:
        """How many before each path, and of all, are not as they were."""
        if self._differing is None:
            self._differing = [0, *accumulate(status != SAME for status in self.statuses)]
        return self._differing

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

    @property
    def differs_below(self) -> bool:
        """Whether something was done to what is in it."""
        counts, below = self._listing.differing, self._range
        return counts[below.stop] > counts[below.start]

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


def status_of(entry: FileEntry, old: FileEntry | None) -> str:
    """Return what makes of `old`, or of nothing, what is there now; times alone do not count."""
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


def difference(old: Mapping[str, FileEntry], new: Mapping[str, FileEntry]) -> Node:
    """Return the files of two images as one tree, marked by how the new one differs."""

    def entry(path: str) -> FileEntry:
        return new[path] if path in new else old[path]

    paths = sorted(old.keys() | new.keys())
    sizes = [new[path].size if path in new else 0 for path in paths]
    statuses = [status_of(new[path], old.get(path)) if path in new else REMOVED for path in paths]
    return Listing(paths, sizes, statuses, entry).root()


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
