"""Walks a directory tree as tar entries: sorted, every name one step from its directory.

No link is followed and nothing is opened but regular files and directories, so a tree that
a hostile program still writes to leads nowhere else.
"""

from __future__ import annotations

import errno
import os
import stat

from core.errors import ImageError
from core.images.tar.reader import (
    BLOCKDEV,
    CHAR,
    DIRECTORY,
    FIFO,
    FILE,
    HARDLINK,
    MAX_SPARSE,
    SYMLINK,
    TarEntry,
    shown,
)
from core.images.unpacking.extract import KEPT_XATTRS, MAX_DEPTH, MAX_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

KINDS = {stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCKDEV, stat.S_IFIFO: FIFO,
         stat.S_IFREG: FILE, stat.S_IFSOCK: b""}  # fmt: skip
OVERLAY = ("trusted.overlay.", "user.overlay.")
OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GRAIN = 64 << 10
"""Holes are told apart in such pieces, whatever the file system's own are."""
ZEROS = bytes(GRAIN)


class Found:
    """One file of a tree; `fd` is open for reading while it is looked at, -1 if it cannot be."""

    __slots__ = ("entry", "facts", "fd", "name", "overlay", "parent")

    def __init__(self, entry: TarEntry, parent: int, name: bytes, facts: os.stat_result) -> None:
        self.entry = entry
        """Its name is the whole path; empty for the root."""
        self.parent = parent
        self.name = name
        self.facts = facts
        self.fd = -1
        self.overlay: dict[str, bytes] = {}
        """overlayfs's own attributes, which are not the file's."""

    @property
    def is_whiteout(self) -> bool:
        """Whether it is what overlayfs hides a name with."""
        return self.entry.kind == CHAR and self.facts.st_rdev == 0

    @property
    def is_socket(self) -> bool:
        """Whether it is a socket: nothing that an archive could hold."""
        return stat.S_ISSOCK(self.facts.st_mode)

    @property
    def opaque(self) -> str:
        """The attribute that makes a directory hide all below it, "" if it does not."""
        return next((name for name in OPAQUE if self.overlay.get(name) == b"y"), "")


def walk(root: int, left_out: Container[bytes] = ()) -> Iterator[Found]:
    """Yield the root and all below it, a directory before what is in it, names in order.

    Sockets come along, though no archive has them.  Of several names of one file the first has
    the content.  What vanishes meanwhile is left out, and so are empty files and directories at
    the paths `left_out`: what was made to be mounted on.  Raises ImageError for a tree too deep
    to be unpacked again, OSError.
    """
    found = Found(_entry(b"", DIRECTORY, os.fstat(root)), root, b"", os.fstat(root))
    found.fd = root
    _attributes(found)
    yield found
    yield from _inside(root, b"", 1, {}, left_out)


def _inside(
    directory: int,
    path: bytes,
    depth: int,
    linked: dict[tuple[int, int], bytes],
    left_out: Container[bytes],
) -> Iterator[Found]:
    with os.scandir(directory) as entries:
        names = sorted(
            (os.fsencode(entry.name), entry.is_file(follow_symlinks=False)) for entry in entries
        )
    if depth > MAX_DEPTH or len(path) > MAX_PATH - 256:
        raise ImageError(f"{shown(path)}: too deep or too long for a layer", subject=shown(path))
    for name, is_file in names:
        full = path + b"/" + name if path else name
        try:
            found = _look(directory, name, full, is_file, linked)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                continue  # it went, or became something else, while it was looked at
            raise
        try:
            if full in left_out and _is_empty(found):
                continue
            yield found
            if found.entry.kind == DIRECTORY:
                yield from _inside(found.fd, full, depth + 1, linked, left_out)
        finally:
            if found.fd >= 0:
                os.close(found.fd)


def _is_empty(found: Found) -> bool:
    if found.entry.kind == DIRECTORY:
        return not os.listdir(found.fd)
    return found.entry.kind == FILE and not found.entry.size


def _look(
    directory: int,
    name: bytes,
    path: bytes,
    is_file: bool,
    linked: dict[tuple[int, int], bytes],
) -> Found:
    fd = -1
    if is_file:
        fd = os.open(name, OPEN_FILE, dir_fd=directory)
        facts = os.fstat(fd)
    else:
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            fd = os.open(name, OPEN_DIRECTORY, dir_fd=directory)
        elif stat.S_ISREG(facts.st_mode):
            fd = os.open(name, OPEN_FILE, dir_fd=directory)
    try:
        return _found(directory, name, path, facts, fd, linked)
    except BaseException:
        if fd >= 0:
            os.close(fd)
        raise


def _found(
    directory: int,
    name: bytes,
    path: bytes,
    facts: os.stat_result,
    fd: int,
    linked: dict[tuple[int, int], bytes],
) -> Found:
    kind = stat.S_IFMT(facts.st_mode)
    if kind == stat.S_IFDIR:
        found = Found(_entry(path, DIRECTORY, facts), directory, name, facts)
    elif kind == stat.S_IFREG:
        found = Found(_entry(path, FILE, facts), directory, name, facts)
        found.entry.size = found.entry.stored = facts.st_size
    else:
        found = Found(_entry(path, KINDS[kind], facts), directory, name, facts)
        if kind == stat.S_IFLNK:
            found.entry.link = os.readlink(name, dir_fd=directory)
        found.entry.major, found.entry.minor = os.major(facts.st_rdev), os.minor(facts.st_rdev)
    found.fd = fd
    # overlayfs gives many whiteouts one inode: they are no links of each other.
    if facts.st_nlink > 1 and kind != stat.S_IFDIR and not found.is_whiteout:
        first = linked.setdefault((facts.st_dev, facts.st_ino), path)
        if first is not path:
            entry = found.entry
            entry.kind, entry.link, entry.size, entry.stored = HARDLINK, first, 0, 0
            return found
    if fd >= 0:
        _attributes(found)
        if kind == stat.S_IFREG and facts.st_blocks * 512 < facts.st_size:
            _find_holes(found)
    return found


def _entry(path: bytes, kind: bytes, facts: os.stat_result) -> TarEntry:
    entry = TarEntry()
    entry.name, entry.kind, entry.mode = path, kind, stat.S_IMODE(facts.st_mode)
    entry.uid, entry.gid, entry.mtime_ns = facts.st_uid, facts.st_gid, facts.st_mtime_ns
    return entry


def _attributes(found: Found) -> None:
    for name in os.listxattr(found.fd):
        if name.startswith(OVERLAY):
            found.overlay[name] = os.getxattr(found.fd, name)
        elif name.startswith(KEPT_XATTRS):
            found.entry.xattrs[name] = os.getxattr(found.fd, name)


def _find_holes(found: Found) -> None:
    """Note a sparse file's pieces: by its content, so that every file system gives the same."""
    size, fd = found.facts.st_size, found.fd
    if os.lseek(fd, 0, os.SEEK_HOLE) >= size:
        os.lseek(fd, 0, os.SEEK_SET)
        return
    pieces: list[tuple[int, int]] = []
    for place in _with_data(fd, size):
        data = os.pread(fd, GRAIN, place)
        if data == ZEROS[: len(data)]:
            continue
        start, length = pieces[-1] if pieces else (-1, 0)
        if start + length == place:
            pieces[-1] = (start, length + len(data))
        else:
            pieces.append((place, len(data)))
    os.lseek(fd, 0, os.SEEK_SET)
    if not pieces or sum(pieces[-1]) < size:
        pieces.append((size, 0))
    if len(pieces) <= MAX_SPARSE:
        found.entry.sparse = pieces
        found.entry.stored = sum(length for _, length in pieces)


def _with_data(fd: int, size: int) -> Iterator[int]:
    """Yield the places of pieces that are not all hole."""
    place = 0
    while place < size:
        try:
            start = os.lseek(fd, place, os.SEEK_DATA)
        except OSError:
            return  # ENXIO: only a hole is left
        end = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        place = max(place, start - start % GRAIN)
        while place < end:
            yield place
            place += GRAIN
