"""The files of an image as it stands at one of its layers: read, found, opened, compared.

The layers are read in a thread, one after the other; what a layer holds can be asked as soon
as those up to it have been read.
"""

from __future__ import annotations

import time
from itertools import takewhile

from core.commands.show import counted, size
from core.images.files.compare import changed_words
from core.images.files.contents import place_of, search
from core.images.files.layer_stack import Stack
from core.record import Record
from tui.screens.file_text import difference, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from core.images.file_table import FileEntry, FileTable
    from core.images.files.contents import Content, Hit, Place
    from core.images.files.file_tree import Row
    from core.images.files.layer_stack import Waste
    from core.model import LayerInfo
    from tui.theme import Part
    from tui.views.layer_sources import ImageSource


LIVE_EVERY_S = 1.0
LIVE_SHARE = 20
"""How many times longer than reading a live layer takes it is left alone."""


class Steps(Record):
    """News: which layers there are."""

    layers: list[LayerInfo]


class Layer(Record):
    """News: a layer has been read."""

    number: int
    count: int
    """Its entries."""


class Whole(Record):
    """News: all layers have been read."""

    waste: Waste


class Change(Record):
    """News: the uppermost layer of a live source is another."""

    stack: Stack
    waste: Waste
    size_bytes: int
    count: int


class LayerContents:
    """What has been read of an image's layers; `number` is a layer's, the lowest has 0."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self.layers: list[LayerInfo] = []
        self.counts: list[int] = []
        """How many entries each layer has, 0 as long as it is not known."""
        self.stack = Stack()
        self.waste: Waste | None = None

    def read(self, left: Event) -> Iterator[Steps | Layer | Whole | Change]:
        """Read layer after layer, the uppermost of a live source until `left` is set.

        To be called in a thread; each news is for `take`, in the thread that asks.
        """
        files: list[FileTable] = []
        layers = self.source.steps()
        yield Steps(layers)
        for number, layer in enumerate(layers):
            files.append(self.source.files(layer.diff_id))
            self.stack.add(files[-1])
            yield Layer(number, len(files[-1]))
        yield Whole(self.stack.waste())
        if self.source.live:
            yield from self._follow(layers[-1], files, left)

    def _follow(self, layer: LayerInfo, files: list[FileTable], left: Event) -> Iterator[Change]:
        took = 0.0
        while not left.wait(max(LIVE_EVERY_S, took * LIVE_SHARE)):
            began = time.monotonic()
            entries = self.source.files(layer.diff_id)
            if list(entries) != list(files[-1]):
                files[-1] = entries
                stack = Stack()
                for each in files:
                    stack.add(each)
                size = sum(entries.sizes)
                yield Change(stack, stack.waste(), size, len(entries))
            took = time.monotonic() - began

    def take(self, news: Steps | Layer | Whole | Change) -> None:
        """Take in what has been read."""
        if isinstance(news, Steps):
            self.layers, self.counts = news.layers, [0] * len(news.layers)
        elif isinstance(news, Layer):
            self.counts[news.number] = news.count
        elif isinstance(news, Whole):
            self.waste = news.waste
        else:
            self.stack, self.waste, self.counts[-1] = news.stack, news.waste, news.count
            self.layers[-1] = self.layers[-1].replace(size_bytes=news.size_bytes, files=news.count)

    def holders(self, path: str, number: int) -> list[int]:
        """Return the layers up to one that hold content of a file, lowest first."""
        return [
            holder
            for holder, entry in self.stack.versions(path)
            if entry is not None and entry.kind in ("file", "hardlink") and holder <= number
        ]

    def opener(self, path: str, number: int) -> Callable[[], int]:
        """Return what opens a file as it is in one layer."""
        diff_id = self.layers[number].diff_id
        return lambda: self.source.open(diff_id, path)

    def changed_words(self, path: str, entry: FileEntry, number: int) -> str:
        """Return in what an entry of a layer differs from the version below; "" without one."""
        below = [before for holder, before in self.stack.versions(path)
                 if before is not None and holder < number]  # fmt: skip
        return changed_words(below[-1], entry) if below else ""

    def difference(self, path: str, old: int, new: int) -> list[list[Part]]:
        """Return how a file in one layer differs from that in another, as lines."""
        before, after = (read_bytes(self.opener(path, number)())[0] for number in (old, new))
        return difference(before, after, (f"layer {old + 1}", f"layer {new + 1}"))

    def search(self, wanted: str, number: int, stopped: Callable[[], bool]) -> list[Hit]:
        """Return files up to a layer that hold a text; see `core.images.files.contents.search`."""
        last = min(number, len(self.stack) - 1)
        found = self.stack.files(last) if last >= 0 else {}
        paths = {
            self._place(path, number): path
            for path, entry in sorted(found.items())
            if entry.kind == "file"
        }

        def look(contents: Iterator[Content]) -> list[Hit]:
            return search(takewhile(lambda _: not stopped(), contents), paths, wanted)

        return self.source.with_contents([*paths], look, missing_ok=True)

    def extract(self, row: Row, number: int, target: str) -> str:
        """Write a file, or a directory as a tar archive, to a new file; returns what to tell.

        Raises NotFound for what has no content, OSError.
        """
        from core.images.files.extraction import entries_below, files_of, write_file, write_tree

        def place_of(path: str) -> Place:
            return self._place(path, number)

        def one(contents: Iterator[Content]) -> int:
            return write_file(contents, row.node.entry.mode if row.node.entry else 0, target)

        if not row.node.is_directory:
            done = self.source.with_contents([place_of(row.path)], one)
            return f"{size(done)} written to {target}"
        entries = entries_below(row.node, row.path, self.stack, number)
        files = files_of(entries, place_of)
        count = self.source.with_contents(
            [*files], lambda contents: write_tree(entries, target, files, contents)
        )
        return f"{counted(count, 'entry', 'entries')} written to {target}"

    def _place(self, path: str, number: int) -> Place:
        return place_of(self.stack, [layer.diff_id for layer in self.layers], path, number)
