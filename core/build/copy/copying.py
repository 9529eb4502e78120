"""Carries files into the root of a stage, with the meaning COPY gives to targets and owners.

Runs in the worker.  Every path of the root is resolved by openat2 inside it; sources are
opened below their tree without following any link.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from core.build.context.files import attributes
from core.build.copy.chmod import apply_mode
from core.build.copy.selection import SelectionError
from core.linux.path import (
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    make_dirs,
    open_in_root,
    openat2,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHUNK = 1 << 20
OPEN_FOLDERS = 128
REPORT_EVERY = 256
NOFOLLOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


class Owner:
    """Who the copied files belong to: --chown's, or as in the source."""

    def __init__(self, uid: int | None = None, gid: int | None = None, mode: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.mode = mode

    def dress(self, fd: int, facts: os.stat_result, mode: int) -> None:
        """Give a file its owner, then its mode: chown(2) takes setuid away."""
        os.fchown(fd, *self.ids(facts))
        os.fchmod(fd, apply_mode(self.mode, mode, directory=stat.S_ISDIR(facts.st_mode)))

    def ids(self, facts: os.stat_result) -> tuple[int, int]:
        """Return user and group."""
        return (
            facts.st_uid if self.uid is None else self.uid,
            facts.st_gid if self.gid is None else self.gid,
        )


class Copier:
    """Copies into one root."""

    def __init__(self, root_fd: int, owner: Owner, report: Callable[[int], None]) -> None:
        self._root = root_fd
        self._owner = owner
        self._report = report
        self._folders: dict[str, int] = {}
        self._links: dict[tuple[int, int], tuple[str, str]] = {}
        self._late: list[tuple[str, os.stat_result]] = []
        self.count = 0

    def directory(self, path: str) -> None:
        """Make a directory and those above it, 0755 and the owner's, where they are missing."""
        path = posixpath.normpath("/" + path)
        missing = []
        parts = path.strip("/").split("/")
        for length in range(len(parts), 0, -1):
            above = "/" + "/".join(parts[:length])
            try:
                os.close(open_in_root(self._root, above))
                break
            except FileNotFoundError:
                missing.append(above)
        try:
            os.close(make_dirs(self._root, path))
        except NotADirectoryError:
            raise SelectionError(f"{path} or what it is in is a file, not a directory") from None
        for made in missing:
            fd = open_in_root(self._root, made, os.O_RDONLY | os.O_DIRECTORY)
            os.fchown(fd, self._owner.uid or 0, self._owner.gid or 0)
            os.close(fd)

    def is_directory(self, path: str) -> bool:
        """Return whether a path leads to a directory of the root."""
        try:
            os.close(open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY))
        except OSError:
            return False
        return True

    def group(
        self, source: int, items: Sequence[tuple[str, str, os.stat_result]], target: str
    ) -> None:
        """Copy one thing a COPY names, and all below it: (path, place below target, facts).

        `target` ends in a slash where a directory is meant.
        """
        path, place, facts = items[0]
        if not stat.S_ISDIR(facts.st_mode):
            if target.endswith("/") or self.is_directory(target):
                target = f"{target.rstrip('/')}/{place}"
            self.directory(posixpath.dirname(target) or "/")
            self._file(source, path, target, facts)
            return
        base = target.rstrip("/") + (f"/{place}" if place else "")
        if place or target.endswith("/"):
            self.directory(base)
            if place:
                self._late.append((base, facts))
        elif not self.is_directory(base):
            self.directory(posixpath.dirname(base))
            self._directory(base, facts)
        cut = len(place) + 1 if place else 0
        for path, inner, facts in items[1:]:
            self._one(source, path, f"{base}/{inner[cut:]}", facts)

    def finish(self) -> None:
        """Give directories the times of their sources, which filling them has changed."""
        for path, facts in reversed(self._late):
            fd = open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
            self._owner.dress(fd, facts, stat.S_IMODE(facts.st_mode))
            os.utime(fd, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
            os.close(fd)
        for fd in self._folders.values():
            os.close(fd)

    def write(self, target: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file of which there is only the content."""
        self.directory(posixpath.dirname(target))
        folder, name = self._folder(posixpath.dirname(target)), posixpath.basename(target)
        self._clear(folder, name, target)
        fd = self._create(folder, name)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fchown(fd, self._owner.uid or 0, self._owner.gid or 0)
            os.fchmod(fd, apply_mode(self._owner.mode, mode, directory=False))
        finally:
            os.close(fd)

    def _one(self, source: int, path: str, target: str, facts: os.stat_result) -> None:
        if stat.S_ISDIR(facts.st_mode):
            self._directory(target, facts)
        else:
            self._file(source, path, target, facts)

    def _directory(self, target: str, facts: os.stat_result) -> None:
        parent = self._folder(posixpath.dirname(target))
        try:
            os.mkdir(posixpath.basename(target), 0o700, dir_fd=parent)
        except FileExistsError:
            if not self.is_directory(target):
                raise SelectionError(
                    f"{target} is a file, and a directory is to be copied there"
                ) from None
        self._late.append((target, facts))

    def _file(self, source: int, path: str, target: str, facts: os.stat_result) -> None:
        folder = self._folder(posixpath.dirname(target))
        name = posixpath.basename(target)
        self._clear(folder, name, target)
        self.count += 1
        if self.count % REPORT_EVERY == 0:
            self._report(self.count)
        kind = stat.S_IFMT(facts.st_mode)
        if facts.st_nlink > 1 and kind == stat.S_IFREG:
            before = self._links.get((facts.st_dev, facts.st_ino))
            if before is not None:
                there = self._folder(before[0])
                os.link(before[1], name, src_dir_fd=there, dst_dir_fd=folder, follow_symlinks=False)
                return
            self._links[facts.st_dev, facts.st_ino] = posixpath.dirname(target), name
        if kind == stat.S_IFREG:
            self._regular(source, path, folder, name)
            return
        if kind == stat.S_IFLNK:
            above, _, last = path.rpartition("/")
            fd = openat2(source, above or ".", os.O_PATH | os.O_DIRECTORY, 0, NOFOLLOW)
            os.symlink(os.readlink(last, dir_fd=fd), name, dir_fd=folder)
            os.close(fd)
        else:
            os.mknod(name, facts.st_mode, facts.st_rdev, dir_fd=folder)
        os.chown(name, *self._owner.ids(facts), dir_fd=folder, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            mode = apply_mode(self._owner.mode, stat.S_IMODE(facts.st_mode), directory=False)
            os.chmod(name, mode, dir_fd=folder)
        times = (facts.st_mtime_ns, facts.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)

    def _regular(self, source: int, path: str, folder: int, name: str) -> None:
        read = openat2(source, path, os.O_RDONLY | os.O_NONBLOCK, 0, NOFOLLOW)
        try:
            facts = os.fstat(read)
            write = self._create(folder, name)
            try:
                copy_bytes(read, write, facts.st_size)
                self._owner.dress(write, facts, stat.S_IMODE(facts.st_mode))
                for key in attributes(read):
                    os.setxattr(write, key, os.getxattr(read, key))
                os.utime(write, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
            finally:
                os.close(write)
        finally:
            os.close(read)

    def _create(self, folder: int, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=folder)

    def _clear(self, folder: int, name: str, target: str) -> None:
        """Make room for a file; a directory does not give way."""
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            raise SelectionError(
                f"{target} is a directory, and a file is to be copied there",
                "end the target with / to copy into it",
            ) from None

    def _folder(self, path: str) -> int:
        """Return a descriptor of a directory of the root."""
        fd = self._folders.get(path)
        if fd is None:
            if len(self._folders) >= OPEN_FOLDERS:
                oldest = next(iter(self._folders))
                os.close(self._folders.pop(oldest))
            fd = self._folders[path] = open_in_root(
                self._root, path or "/", os.O_RDONLY | os.O_DIRECTORY
            )
        return fd


def copy_bytes(read: int, write: int, size: int) -> None:
    """Copy a file's content: in the kernel where the file systems can, by hand elsewhere."""
    left = size
    try:
        while left > 0:
            done = os.copy_file_range(read, write, min(left, 1 << 30))
            if not done:
                return
            left -= done
    except OSError as error:
        unable = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)
        if error.errno not in unable or left != size:
            raise
        while part := os.read(read, CHUNK):
            view = memoryview(part)
            while view:
                view = view[os.write(write, view) :]
