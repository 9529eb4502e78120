"""Makes a second tree of what a walk finds, while its content passes by.

For a layer whose files somebody still writes to: what is packed and what is kept are then
the same bytes.
"""

from __future__ import annotations

import os
import stat

from core.images.tar.reader import DIRECTORY, FILE, HARDLINK, SYMLINK, TarEntry
from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.packing.tree_walk import Found

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Mirror:
    """Writes below the empty directory `root`, which is nobody else's.  Close it at the end."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, OPEN_DIRECTORY)
        self._chain: list[tuple[bytes, int]] = [(b"", self._root)]
        """The directory that is being filled, and those above it."""
        self._directories: list[tuple[bytes, int]] = []
        self._file = -1
        self._made_size = 0
        self._umask = _umask()
        self._owner = os.geteuid(), os.getegid()
        self._inherits = False
        """Whether a directory may pass on its group or an ACL to what is made in it."""

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
            mode = entry.mode if self._is_dressed(entry) else 0o600
            self._file = os.open(name, flags, mode, dir_fd=parent)
            self._made_size = 0
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
        self._made_size = place

    def end_file(self, found: Found) -> None:
        """Give the file its size, owner, mode and time."""
        if self._made_size != found.entry.size:
            os.ftruncate(self._file, found.entry.size)
        if not self._is_dressed(found.entry):
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
        for fd in (*(fd for _, fd in self._chain), self._file):
            if fd >= 0:
                os.close(fd)

    def _enter(self, folder: bytes) -> int:
        """Return the directory of what the walk came to: below, beside or above the last one."""
        while folder != self._chain[-1][0]:
            path, fd = self._chain[-1]
            if path and not folder.startswith(path + b"/"):
                os.close(self._chain.pop()[1])
                continue
            name = folder[len(path) :].lstrip(b"/").partition(b"/")[0]
            below = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
            self._chain.append((path + b"/" + name if path else name, below))
        return self._chain[-1][1]

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

    def _is_dressed(self, entry: TarEntry) -> bool:
        """Tell whether a file can be made as the entry says, or has been."""
        own = (entry.uid, entry.gid) == self._owner and not self._inherits
        return own and entry.mode <= 0o777 and not entry.mode & self._umask and not entry.xattrs

    def _dress(self, fd: int, entry: TarEntry, found: Found) -> None:
        """Owner before mode: a change of owner clears set-user-ID bits and capabilities."""
        if entry.kind == DIRECTORY and (entry.mode & stat.S_ISGID or entry.xattrs):
            self._inherits = True
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs.items():
            os.setxattr(fd, name, value)
        if opaque := found.opaque:
            os.setxattr(fd, opaque, b"y")


def _umask() -> int:
    """Return this process's file mode creation mask, which cannot be asked for by umask(2)."""
    with open("/proc/self/status", "rb") as lines:
        return next((int(line[6:], 8) for line in lines if line.startswith(b"Umask:")), 0o777)
