"""The files of a layer, by columns: an entry is made when somebody looks at it.

Of the ten thousands that a layer has few are ever looked at, and a tree of all of them needs
no more than their paths and sizes.
"""

from __future__ import annotations

from core.tuple_record import TupleRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self

    Others = tuple[list[str], list[str], list[str], list[str], list[bytes], list[str]]
    """The columns mode, uid, gid and mtime_ns, in decimal, digest and link."""
    Facts = tuple[str, str, str, str, int, bytes, str]
    """Kind, mode, uid, gid, these in decimal, size, digest and link."""

MOST_LINKS = 40
"""Hard links that lead to each other are followed so far."""
SAMPLE = 1024
"""Of a column, to see whether its values are mostly the same."""


class FileEntry(TupleRecord):
    """One file of a layer."""

    __slots__ = ()

    path: str
    """Relative to the root, without a leading slash; odd bytes as surrogates."""
    kind: str
    """file, dir, symlink, hardlink, char, block, fifo, whiteout or opaque."""
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    digest: str
    """sha256 of a file's content in hex; empty for everything else."""
    link: str
    """Where a symlink points, or the path that a hardlink shares."""


class FileTable:
    """Files in the order of their tar; iterating over it makes all entries, once."""

    def __init__(
        self,
        paths: list[str],
        kinds: list[str],
        sizes: list[int],
        others: Callable[[], Others] | None = None,
    ) -> None:
        self.paths = paths
        self.kinds = kinds
        self.sizes = sizes
        self._load = others
        self._others: Others | None = None
        self._entries: list[FileEntry] | None = None

    @classmethod
    def of(cls, entries: Iterable[FileEntry]) -> Self:
        """Return a table of entries that are there."""
        found = list(entries)
        paths, kinds, sizes = ([entry[place] for entry in found] for place in (0, 1, 5))
        table = cls(paths, kinds, sizes)
        table._entries = found
        return table

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[FileEntry]:
        if self._entries is None:
            modes, uids, gids, times, digests, links = self._columns()
            self._entries = FileEntry.of_columns(
                self.paths, self.kinds, numbers(modes), numbers(uids), numbers(gids),
                self.sizes, numbers(times), map(bytes.hex, digests), links,
            )  # fmt: skip
        return iter(self._entries)

    def entry(self, row: int) -> FileEntry:
        """Return the entry of a row, from 0."""
        if self._entries is not None:
            return self._entries[row]
        modes, uids, gids, times, digests, links = self._columns()
        return FileEntry(
            self.paths[row], self.kinds[row], int(modes[row]), int(uids[row]), int(gids[row]),
            self.sizes[row], int(times[row]), digests[row].hex(), links[row],
        )  # fmt: skip

    def facts(self) -> list[Facts]:
        """Return, for each row, all that two versions of a file may differ in but the time."""
        if self._entries is not None:
            return [
                (entry.kind, str(entry.mode), str(entry.uid), str(entry.gid), entry.size,
                 bytes.fromhex(entry.digest), entry.link)
                for entry in self._entries
            ]  # fmt: skip
        modes, uids, gids, _, digests, links = self._columns()
        return [*zip(self.kinds, modes, uids, gids, self.sizes, digests, links, strict=True)]

    def _columns(self) -> Others:
        if self._others is None:
            assert self._load is not None, "a table of entries is asked for no columns"
            self._others = self._load()
        return self._others


def numbers(texts: list[str]) -> Iterator[int]:
    """Return what texts mean: owners and modes are few and looked up, others are converted."""
    if len(set(texts[:SAMPLE])) * 8 > SAMPLE:
        return map(int, texts)
    known = {text: int(text) for text in set(texts)}
    return map(known.__getitem__, texts)


def behind_link(entry: FileEntry, own: Mapping[str, FileEntry]) -> FileEntry:
    """Return what a hard link is another name of, among its own layer's files by path.

    Never among an image's: where a layer above replaces one of the names, the other stays.
    """
    for _ in range(MOST_LINKS):
        if entry.kind != "hardlink" or entry.link not in own:
            break
        entry = own[entry.link]
    return entry
