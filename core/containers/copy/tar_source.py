"""Puts the entries of a tar stream into a directory of a container.

Links that lie in the container are followed as a process in it would; an entry that climbs
out of the directory is refused.
"""

from __future__ import annotations

import errno
import os
import stat

from core.containers.copy.facts import Facts, Keeping, dress
from core.containers.copy.tree_writer import enter_directory, put_file, put_hardlink, put_special
from core.errors import Corrupt, HostError
from core.images.tar.compression import open_layer
from core.images.tar.reader import (
    BLOCKDEV,
    CHAR,
    DIRECTORY,
    FIFO,
    FILE,
    HARDLINK,
    SYMLINK,
    TarEntry,
    read_entries,
    shown,
)
from core.images.unpacking.extract import split_path
from core.linux.path import make_dirs, open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 20
TYPES = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, CHAR: stat.S_IFCHR,
         BLOCKDEV: stat.S_IFBLK, FIFO: stat.S_IFIFO}  # fmt: skip
KEEPING = Keeping(archive=True)
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
"""What no entry is to blame for."""


class _Input:
    """Exact numbers of bytes from a stream that gives what it has."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._tar = open_layer(_Source(read), "")
        self._ahead = b""

    def read(self, count: int) -> bytes:
        parts = []
        while count > 0:
            part = self._take(count)
            if not part:
                raise Corrupt("the tar ends in the middle of an entry", hint="was it cut off?")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def ended(self) -> bool:
        if not self._ahead:
            self._ahead = self._tar.read(PIECE)
        return not self._ahead

    def _take(self, count: int) -> bytes:
        if not self._ahead:
            return self._tar.read(min(count, PIECE))
        part, self._ahead = self._ahead[:count], self._ahead[count:]
        return part


class _Source:
    """What `open_layer` reads from: its first read must not come short."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int) -> bytes:
        data = self._read(size)
        while data and len(data) < min(size, 4) and (more := self._read(size - len(data))):
            data += more
        return data


def unpack(
    read: Callable[[int], bytes],
    root: int,
    directory: int,
    path: str,
    check: Callable[[], None],
    progress: Callable[[int], None],
) -> None:
    """Put all entries into `directory`, which `path` leads to under `root`.

    Directories that are there keep their facts.  Raises Corrupt, UnsafePath, Conflict, HostError
    for an entry that cannot be made there, OSError.
    """
    stream = _Input(read)
    made: list[tuple[str, Facts]] = []
    for entry in read_entries(stream.read, stream.ended):
        check()
        parts = [os.fsdecode(part) for part in split_path(entry.name)]
        if parts:
            try:
                parent = _parent(root, directory, path, parts[:-1])
                try:
                    if _put(stream, root, parent, parts[-1], entry, path, progress):
                        made.append(("/".join([path, *parts]), _facts(entry)))
                finally:
                    os.close(parent)
            except OSError as error:
                if error.errno in OF_THE_DISK:
                    raise
                raise HostError(
                    f"{shown(entry.name)} cannot be made: {error.strerror}", errno=error.errno or 0
                ) from error
        elif entry.kind == FILE:
            stream.read(entry.stored)
    for place, facts in reversed(made):
        try:
            fd = open_in_root(root, place, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # a later entry, or the container, put something else there
        dress(fd, facts, KEEPING)
        os.close(fd)


def _parent(root: int, directory: int, path: str, folders: list[str]) -> int:
    """Return a descriptor of the directory that an entry goes into, made if it is missing."""
    return make_dirs(root, "/".join([path, *folders])) if folders else os.dup(directory)


def _put(
    stream: _Input,
    root: int,
    parent: int,
    name: str,
    entry: TarEntry,
    path: str,
    progress: Callable[[int], None],
) -> bool:
    """Make one entry; returns whether it is a directory that was made."""
    if entry.kind == DIRECTORY:
        fd, made = enter_directory(parent, name)
        os.close(fd)
        return made
    if entry.kind == FILE:

        def fill(fd: int) -> None:
            pieces = entry.sparse if entry.sparse is not None else [(0, entry.stored)]
            os.ftruncate(fd, entry.size)
            for offset, length in pieces:
                os.lseek(fd, offset, os.SEEK_SET)
                _copy(stream, fd, length, progress)

        put_file(parent, name, _facts(entry), KEEPING, fill)
    elif entry.kind == HARDLINK:
        parts = [os.fsdecode(part) for part in split_path(entry.link)]
        if not parts:
            raise Corrupt(f"{shown(entry.name)}: a hard link to nothing")
        source = open_in_root(root, "/".join([path, *parts[:-1]]), os.O_PATH | os.O_DIRECTORY)
        try:
            put_hardlink(parent, name, source, parts[-1])
        finally:
            os.close(source)
    else:
        put_special(parent, name, _facts(entry), KEEPING, os.fsdecode(entry.link))
    return False


def _copy(stream: _Input, fd: int, length: int, progress: Callable[[int], None]) -> None:
    while length > 0:
        data = stream.read(min(length, PIECE))
        length -= len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        progress(len(data))


def _facts(entry: TarEntry) -> Facts:
    return Facts(
        TYPES[entry.kind] | entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.mtime_ns,
        entry.size, os.makedev(entry.major, entry.minor), tuple(entry.xattrs.items()),
    )  # fmt: skip
