"""What remains of a layer's entries on the disk, where its tar has a name more than once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.file_table import FileEntry

MARKERS = ("whiteout", "opaque")


def remaining(entries: list[FileEntry]) -> tuple[list[FileEntry], dict[str, FileEntry]]:
    """Return a layer's entries as they are once all are unpacked, in their order.

    Of several with one path the last counts; one in a directory's place takes away what was
    below it.  A whiteout hides what lower layers have: beside the layer's own directory of that
    path it makes that opaque, beside another entry it is nothing.  A hard link to a name that
    another entry took later is the file itself; the entries with the contents of those are
    returned, too, by path.
    """
    if len({entry.path for entry in entries}) == len(entries):
        return entries, {}
    history = _History(entries)
    kept = history.kept()
    own = {entry.path for entry in kept if entry.kind not in MARKERS}
    there = set(map(id, kept))
    found: list[FileEntry] = []
    first: dict[int, str] = {}
    moved: dict[str, FileEntry] = {}
    for entry in kept:
        path = entry.path
        source = history.contents.get(path)
        if entry.kind in MARKERS and path in own:
            if path in history.hiding:
                found.append(entry.replace(kind="opaque"))
        elif entry.kind == "hardlink" and source is not None and id(source) not in there:
            if (name := first.setdefault(id(source), path)) == path:
                moved[path] = source
                found.append(source.replace(path=path))
            else:
                found.append(entry.replace(link=name))
        else:
            found.append(entry)
    return found, moved


class _History:
    """What became of each path, one entry after the other."""

    def __init__(self, entries: list[FileEntry]) -> None:
        self._entries = entries
        self._own: dict[str, int] = {}
        self._marks: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        """Where something else took a directory's place."""
        self.hiding: set[str] = set()
        """What is a whiteout or an opaque directory."""
        self.contents: dict[str, FileEntry] = {}
        """The file that a name stands for."""
        for number, entry in enumerate(entries):
            self._take(number, entry)

    def _take(self, number: int, entry: FileEntry) -> None:
        path, kind = entry.path, entry.kind
        last = self._own.get(path)
        before = self._entries[last] if last is not None and not self._went(path, last) else None
        if kind in MARKERS:
            self._marks[path] = number
            if before is None or before.kind == "dir":
                self.hiding.add(path)
            return
        self._own[path] = number
        if kind != "dir":
            self.hiding.discard(path)
            if before is not None and before.kind == "dir":
                self._gone[path] = number
        source = self.contents.get(entry.link) if kind == "hardlink" else entry
        if source is not None:
            self.contents[path] = source

    def kept(self) -> list[FileEntry]:
        """Return the last entry of each path, and its last marker, that nothing took away."""
        last = {*self._own.values(), *self._marks.values()}
        return [
            entry
            for number, entry in enumerate(self._entries)
            if number in last and not self._went(entry.path, number)
        ]

    def _went(self, path: str, number: int) -> bool:
        """Return whether a directory above was taken away behind the entry of this number."""
        while self._gone and (path := path.rpartition("/")[0]):
            if number < self._gone.get(path, -1):
                return True
        return False
