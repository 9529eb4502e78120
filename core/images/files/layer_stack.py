"""Layers on each other: what each does to those below, and what that wastes.

Made from the layers' indexes alone, in time that grows with the number of entries however
many layers and whiteouts there are.  Efficiency is counted as dive does it: of all bytes
that layers hold for a path, how many are needed once; a whiteout of a file weighs nothing,
that of a directory weighs what it hides.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import chain, count

from core.garbage import NoSearch
from core.images.files.file_tree import ADDED, REMOVED, SAME, Listing, status_of
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from core.images.file_table import FileEntry, FileTable
    from core.images.files.file_tree import Node

    Version = tuple[int, FileEntry | None]
    """The number of a layer, and what it has; None where it hides what is below."""


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
        layer, first, start = self._layers[number], self._first[number], self._starts[number]
        all_new = len(first) == len(layer)  # as of the lowest
        rows = first if all_new else self._own_rows(number)
        paths = sorted(rows)

        def entry(path: str) -> FileEntry:
            return layer.entry(rows[path] - start)

        statuses = [ADDED] * len(paths) if all_new else [
            ADDED if path in first else status_of(entry(path), self._at(path, number - 1))
            for path in paths
        ]  # fmt: skip
        sizes = map(self._sizes.__getitem__, map(rows.__getitem__, paths))
        return Listing(paths, sizes, statuses, entry).root()

    def _own_rows(self, number: int) -> dict[str, int]:
        """Return the paths that a layer sets or removes, and their rows among those of all."""
        layer = self._layers[number]
        numbered: Iterable[tuple[str, int]] = zip(
            layer.paths, count(self._starts[number]), strict=False
        )
        if "opaque" in layer.kinds:  # which stands beside the directory's own entry
            numbered = (
                one for one, kind in zip(numbered, layer.kinds, strict=True) if kind != "opaque"
            )
        return dict(numbered)

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
                found[path] = top, SAME if setter < number else status_of(top, below)
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
