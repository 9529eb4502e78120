"""Makes a second tree of what a walk finds, while its content passes by.

For a layer whose files somebody still writes to: what is packed and what is kept are then
the same bytes.
"""

from __future__ import annotations

import os
import stat

from core.images.tar import DIRECTORY, FILE, HARDLINK, SYMLINK, TarEntry
from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.tree_walk import Found

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Mirror:
    """Writes below the empty directory `root`, which is nobody else's.  Close it at the end."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, OPEN_DIRECTORY)
        self._folder = b""
        self._parent = os.dup(self._root)
        self._directories: list[tuple[bytes, int]] = []
        self._file = -1

    def make(self, found: Found) -> None:
        """Make the same thing; of a file, the content then comes through `write`."""
        entry = found.entry
        if not entry.name:
            self._dress(self._root, entry, found)
            self._directories.append((b".", entry.mtime_ns))
            return
        folder, _, name = entry.name.rpartition(b"/")
        parent = self._enter(folder)
        if entry.kind == FILE:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(name, flags, 0o600, dir_fd=parent)
        elif entry.kind == DIRECTORY:
            os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
            try:
                self._dress(fd, entry, found)
            finally:
                os.close(fd)
            self._directories.append((entry.name, entry.mtime_ns))
        elif entry.kind == HARDLINK:
            above, _, first = entry.link.rpartition(b"/")
            source = self._open(above)
            try:
                os.link(first, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(source)
        else:
            self._special(parent, name, entry, found)

    def write(self, data: bytes, place: int) -> None:
        """Write a part of the file that was made last."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, place)
            view, place = view[written:], place + written

    def end_file(self, found: Found) -> None:
        """Give the file its size, owner, mode and time."""
        os.ftruncate(self._file, found.entry.size)
        self._dress(self._file, found.entry, found)
        os.utime(self._file, ns=(found.entry.mtime_ns, found.entry.mtime_ns))
        os.close(self._file)
        self._file = -1

    def finish(self) -> None:
        """Give the directories their times, now that nothing more is made in them."""
        for path, mtime in reversed(self._directories):
            fd = self._open(path if path != b"." else b"")
            try:
                os.utime(fd, ns=(mtime, mtime))
            finally:
                os.close(fd)

    def close(self) -> None:
        """Close what is open."""
        for fd in (self._root, self._parent, self._file):
            if fd >= 0:
                os.close(fd)

    def _enter(self, folder: bytes) -> int:
        if folder != self._folder:
            fd = self._open(folder)
            os.close(self._parent)
            self._parent, self._folder = fd, folder
        return self._parent

    def _open(self, path: bytes) -> int:
        if not path:
            return os.open(".", OPEN_DIRECTORY, dir_fd=self._root)
        resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
        return openat2(self._root, os.fsdecode(path), OPEN_DIRECTORY, 0, resolve)

    def _special(self, parent: int, name: bytes, entry: TarEntry, found: Found) -> None:
        if entry.kind == SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent)
        else:
            kind = stat.S_IFMT(found.facts.st_mode)
            os.mknod(name, kind | 0o600, found.facts.st_rdev, dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != SYMLINK:
            os.chmod(name, entry.mode, dir_fd=parent)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _dress(self, fd: int, entry: TarEntry, found: Found) -> None:
        """Owner before mode: a change of owner clears set-user-ID bits and capabilities."""
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs.items():
            os.setxattr(fd, name, value)
        if opaque := found.opaque:
            os.setxattr(fd, opaque, b"y")
