"""Copies files between the host and containers, and between containers, as docker cp does.

Running or not: both ends are roots held by descriptor (`core.containers.files.root`), so a
container that swaps links meanwhile only ever misleads a copy inside itself.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager

from core.containers import repair, state, stored
from core.containers.copy.ends import End, find_directory, find_source, find_target
from core.containers.copy.facts import Keeping
from core.containers.copy.tree_sink import TarSink, TreeSink, inode_of
from core.containers.copy.tree_walk import Walk
from core.containers.files import root
from core.containers.stored import Lock
from core.errors import Conflict, HostError
from core.linux.path import open_in_root
from core.privileges import require_root
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.containers.stored import Row
    from core.database import Database
    from core.images.store import ImageStore
    from core.network.network import Network
    from core.paths import Paths


class Place(Record):
    """A path of a container, or an absolute one of the host when `container` is empty."""

    container: str
    path: str


class Copied(Record):
    """What a copy came to."""

    bytes: int
    skipped: int
    """Sockets, and what was gone when its turn came."""


class Copying:
    """Copies files; `check` is called often and ends a copy by raising.

    `progress` is told how many bytes have been copied so far.
    """

    def __init__(
        self,
        paths: Paths,
        database: Database,
        images: Callable[[], ImageStore],
        network: Network,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int], None] = lambda total: None,
    ) -> None:
        self._paths = paths
        self._database = database
        self._images = images
        self._network = network
        self._check = check
        self._progress = progress
        self._bytes = 0

    def copy(
        self, source: Place, target: Place, *, archive: bool = False, follow: bool = False
    ) -> Copied:
        """Copy a file or a directory, as docker cp does.

        `archive` keeps owners, set-ID bits and capabilities; else what is copied belongs to
        root in a container and to the caller on the host.  `follow` takes what the source
        links to.  Raises NotFound, Conflict, HostError.
        """
        owner = (0, 0) if target.container else (os.getuid(), os.getgid())
        with self._ends(source, target) as (source_end, target_end), ExitStack() as stack:
            found = find_source(source_end, source.path, follow=follow)
            stack.callback(os.close, found.found)
            aim = find_target(target_end, target.path, found)
            stack.callback(os.close, aim.parent)
            sink = TreeSink(aim.parent, Keeping(archive, owner), self._count)
            stack.callback(sink.close)
            walk = Walk(sink, self._check)
            if aim.name:
                walk.top(found.found, aim.name)
            else:
                sink.avoid.add(inode_of(aim.parent))
                walk.content(found.found)
        return Copied(self._bytes, walk.skipped)

    def pack(self, source: Place, out: int, *, follow: bool = False) -> Copied:
        """Write a file or a directory to the descriptor `out` as a tar, owners as they are."""
        host = Place("", "/")
        with self._ends(source, host) as (end, _), ExitStack() as stack:
            found = find_source(end, source.path, follow=follow)
            stack.callback(os.close, found.found)
            sink = TarSink(out, Keeping(archive=True), self._count)
            walk = Walk(sink, self._check)
            walk.top(found.found, "." if found.content else found.name)
            sink.close()
        return Copied(self._bytes, walk.skipped)

    def unpack(self, read: Callable[[int], bytes], target: Place) -> Copied:
        """Put the entries of a tar, plain or compressed, into a directory of a container.

        `read(n)` gives at most n bytes, b"" at the end.  Owners are the tar's.  Raises Corrupt
        for what is no tar, UnsafePath for an entry that leads out of the directory.
        """
        from core.containers.copy.tar_source import unpack

        host = Place("", "/")
        with self._ends(host, target) as (_, end), ExitStack() as stack:
            directory = find_directory(end, target.path)
            stack.callback(os.close, directory)
            unpack(read, end.root, directory, target.path, self._check, self._count)
        return Copied(self._bytes, 0)

    def names(self, place: Place) -> Iterator[str]:
        """Yield what is in a directory of a container; directories end in `/`.

        Raises OSError where there is no such directory, or while somebody changes the container.
        """
        require_root("reading a container's files")
        with ExitStack() as stack:
            row = stored.find(self._database, place.container)
            inside = self._open(row, stack, wait=False)
            stack.callback(os.close, inside)
            # No link leads out of the container's root.
            here = open_in_root(inside, place.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
            stack.callback(os.close, here)
            for entry in stack.enter_context(os.scandir(here)):
                yield entry.name + "/" * entry.is_dir(follow_symlinks=False)

    def _count(self, count: int) -> None:
        self._check()
        self._bytes += count
        self._progress(self._bytes)

    @contextmanager
    def _ends(self, *places: Place) -> Iterator[list[End]]:
        """Open the roots of all places; those of containers that do not run stay locked."""
        require_root("copying files of a container")
        rows = {place.container: stored.find(self._database, place.container)
                for place in places if place.container}  # fmt: skip
        opened: dict[str, int] = {}
        with ExitStack() as stack, _told(places):
            # In one order, so that two copies that cross do not wait for each other.
            for row in sorted({row.id: row for row in rows.values()}.values(), key=_by_id):
                opened[row.id] = self._open(row, stack)
                stack.callback(os.close, opened[row.id])
            host = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, host)
            yield [
                End(opened[rows[place.container].id], rows[place.container].name)
                if place.container
                else End(host)
                for place in places
            ]

    def _open(self, row: Row, stack: ExitStack, *, wait: bool = True) -> int:
        found = repair.current_state(self._paths, self._network, row.id)
        if found.state not in state.ALIVE:
            # Nobody starts it while its file system is mounted here as well.
            stack.enter_context(Lock(self._paths, row.id, wait=wait))
            found = repair.locked_state(self._paths, self._network, row.id)
        if found.state in state.WAITING:
            raise Conflict(
                f"container {row.name} is {found.state}: it has no files between two runs",
                hint=f"limpet stop {row.name}, then copy",
                subject=row.name,
            )
        if found.state in state.ALIVE:
            return root.open_running(found.pid, found.ticks)
        return root.open_stopped(
            stored.spec_of(self._database, row.id),
            self._paths.container(row.id),
            self._paths.layers,
            self._images().lowerdirs(row.image_digest),
        )


def _by_id(row: Row) -> str:
    return row.id


@contextmanager
def _told(places: tuple[Place, ...]) -> Iterator[None]:
    """Turn what the kernel refuses into an error that names the copy."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f": {error.filename}" if isinstance(error.filename, str) else ""
        target = places[-1]
        if error.errno == errno.EROFS:
            raise Conflict(
                f"{target.container}:{target.path} is read-only",
                hint="copy to a volume of it, or make it without --read-only or :ro",
            ) from error
        raise HostError(
            f"the copy ended early{what}: {error.strerror}",
            hint="df shows whether a disk is full" if error.errno == errno.ENOSPC else "",
            errno=error.errno or 0,
        ) from error
