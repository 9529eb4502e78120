"""Puts tar entries into a directory as an overlay layer, and indexes them on the way.

Nothing reaches outside: this runs in a process of its own that has changed its root to the
directory, and every parent is found by openat2 under it, every last part by descriptor
without following links.  Whiteouts become what overlayfs reads.
https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from core.errors import Corrupt, ImageError, UnsafePath
from core.images.index import IndexWriter
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
from core.linux.path import make_dirs, open_in_root
from core.trees import remove_tree_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.images.tar.stream import TarStream

CHUNK = 1 << 20
MAX_DEPTH, MAX_PATH = 256, 4096
IMPLIED_MODE = 0o755
"""Of directories that a layer has without an entry for them."""
MAX_PARENTS = 256
"""Descriptors of parent directories kept open."""
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
NAMELESS = frozenset((b"", b".", b".."))
"""What no file is called."""
EMPTY = hashlib.sha256().hexdigest()
WHITEOUT, OPAQUE = b".wh.", b".wh..wh..opq"
KIND_NAMES = {FILE: "file", HARDLINK: "hardlink", SYMLINK: "symlink", CHAR: "char",
              BLOCKDEV: "block", DIRECTORY: "dir", FIFO: "fifo"}  # fmt: skip


class Extractor:
    """Unpacks the layer that `stream` gives under `root_fd`.

    `rootless` is for root of a user namespace only: overlayfs's notes are user attributes
    then, and devices, which the kernel makes for nobody there, are left out, with links to them.
    """

    def __init__(
        self,
        root_fd: int,
        stream: TarStream,
        *,
        max_files: int,
        max_bytes: int,
        rootless: bool = False,
    ) -> None:
        self._root = root_fd
        self._stream = stream
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._inherits = False
        """Whether a directory may pass on its group or an ACL to what is made in it."""
        self._parents: dict[bytes, int] = {}
        self._directories: dict[bytes, int] = {}
        """Their times, which are given last: what is made in one changes its own."""
        self._has_removed = False
        """Whether an entry has given way to a later one."""
        self._xattr = "user.overlay.opaque" if rootless else "trusted.overlay.opaque"
        self._rootless = rootless
        self._left_out: set[bytes] = set()
        """Paths of devices, and of links to them."""
        self.index = IndexWriter()
        self.size = 0

    def run(self) -> None:
        """Unpack everything; raises ImageError naming the entry."""
        for entry in self._entries():
            if self.index.count >= self._max_files:
                raise ImageError(
                    f"{shown(entry.name)}: more than {self._max_files} entries",
                    hint="raise image.max_layer_files in config.toml if you trust it",
                )
            self.size += entry.size
            if self.size > self._max_bytes:
                raise ImageError(
                    f"{shown(entry.name)}: more than {self._max_bytes} bytes of files",
                    hint="raise image.max_layer_bytes in config.toml if you trust it",
                )
            try:
                self._put(entry)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise
                raise ImageError(f"{shown(entry.name)}: {error.strerror}") from error
            except (OverflowError, ValueError) as error:
                raise Corrupt(f"{shown(entry.name)}: {error}") from error
            except Corrupt as error:
                if shown(entry.name) not in error.message:
                    raise Corrupt(f"{shown(entry.name)}: {error.message}") from error
                raise
        for path, mtime in self._directories.items():
            self._set_directory_time(path, mtime)

    def _entries(self) -> Iterator[TarEntry]:
        """Yield the entries; what is wrong with the next one is told by the one before it."""
        last = b""
        try:
            for entry in read_entries(self._stream.read, self._stream.ended):
                last = entry.name
                yield entry
        except Corrupt as error:
            if last and "'" not in error.message:
                raise Corrupt(f"{error.message}, after {shown(last)}", hint=error.hint) from error
            raise

    def _put(self, entry: TarEntry) -> None:
        path = entry.name
        folder, _, name = path.rpartition(b"/")
        # In a folder that is open already, hence named well, only the last part is to be looked at.
        known = folder in self._parents and len(path) <= MAX_DEPTH
        if not known or name in NAMELESS or path.startswith(b"/"):
            parts = split_path(path)
            if not parts:
                if entry.kind == DIRECTORY:
                    self._dress(self._root, entry)
                    self._directories[b"."] = entry.mtime_ns
                self._skip(entry)
                return
            path = b"/".join(parts)
            folder, _, name = path.rpartition(b"/")
        parent = self._parent(folder)
        if name.startswith(WHITEOUT):
            self._skip(entry)
            self._white_out(parent, folder, name)
            return
        if entry.kind == FILE:
            digest = self._file(parent, path, name, entry)
        else:
            digest = ""
            self._skip(entry)
            self._make(parent, path, name, entry)
        link = entry.link
        if entry.kind == HARDLINK:
            link = b"/".join(split_path(entry.link))
            if link == path:
                return  # nothing was made
        self.index.add(
            path.decode("utf-8", "surrogateescape"),
            KIND_NAMES[entry.kind],
            entry.mode,
            entry.uid,
            entry.gid,
            entry.size,
            entry.mtime_ns,
            digest,
            link.decode("utf-8", "surrogateescape"),
        )

    def _make(self, parent: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        """Make what has no content."""
        kind = entry.kind
        if kind == DIRECTORY:
            self._directory(parent, path, name, entry)
            return
        if kind == HARDLINK:
            self._hardlink(parent, path, name, entry)
            return
        if not name or len(entry.link) > MAX_PATH:
            raise UnsafePath(f"{shown(path)}: its link is too long")
        if self._rootless and kind in (CHAR, BLOCKDEV):
            self._left_out.add(path)
            return
        self._retry(parent, path, name, lambda: self._special(parent, name, entry))
        if kind != SYMLINK or not self._is_dressed(entry):
            with _Owner(entry):
                os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if kind != SYMLINK:
            os.chmod(name, entry.mode, dir_fd=parent)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _special(self, parent: int, name: bytes, entry: TarEntry) -> None:
        if entry.kind == SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent)
            return
        kind = {CHAR: stat.S_IFCHR, BLOCKDEV: stat.S_IFBLK, FIFO: stat.S_IFIFO}[entry.kind]
        device = 0 if entry.kind == FIFO else os.makedev(entry.major, entry.minor)
        if entry.kind == CHAR and device == 0:
            raise UnsafePath(f"{shown(entry.name)}: a device 0:0 would be a whiteout")
        os.mknod(name, kind | 0o600, device, dir_fd=parent)

    def _file(self, parent: int, path: bytes, name: bytes, entry: TarEntry) -> str:
        mode = entry.mode & 0o777
        try:
            fd = os.open(name, NEW_FILE, mode, dir_fd=parent)
        except FileExistsError:
            self._remove(parent, path, name)
            fd = os.open(name, NEW_FILE, mode, dir_fd=parent)
        try:
            if entry.sparse is None:
                digest = self._copy(fd, entry.stored)
            else:
                digest = self._copy_sparse(fd, entry)
            if not self._is_dressed(entry):
                self._dress(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)
        return digest

    def _copy(self, fd: int, size: int) -> str:
        if not size:
            return EMPTY
        data = self._stream.some(size)
        summer = hashlib.sha256(data, usedforsecurity=False)
        _write(fd, data)
        while size := size - len(data):
            data = self._stream.some(size)
            summer.update(data)
            _write(fd, data)
        return summer.hexdigest()

    def _copy_sparse(self, fd: int, entry: TarEntry) -> str:
        """Write the pieces; the digest is that of the file as it reads, holes as zeros."""
        os.ftruncate(fd, entry.size)
        summer = hashlib.sha256(usedforsecurity=False)
        place = 0
        for offset, length in [*(entry.sparse or ()), (entry.size, 0)]:
            hole = offset - place
            while hole > 0:
                summer.update(bytes(min(hole, CHUNK)))
                hole -= CHUNK
            os.lseek(fd, offset, os.SEEK_SET)
            left = length
            while left > 0:
                data = self._stream.some(left)
                summer.update(data)
                left -= len(data)
                _write(fd, data)
            place = offset + length
        return summer.hexdigest()

    def _directory(self, parent: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        # Put last: under another name it may be among those before.
        self._directories.pop(path, 0)
        self._directories[path] = entry.mtime_ns
        mode = entry.mode & 0o777
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(facts.st_mode):
                self._remove(parent, path, name)
                os.mkdir(name, mode, dir_fd=parent)
                if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                    self._make_opaque(parent, name)  # its own whiteout hid what lies below
        else:
            if self._is_dressed(entry):
                return
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        try:
            self._dress(fd, entry)
        finally:
            os.close(fd)

    def _hardlink(self, parent: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        parts = split_path(entry.link)
        if not parts:
            raise UnsafePath(f"{shown(path)}: a hard link to nothing")
        source = self._parent(b"/".join(parts[:-1]), make=False)
        target = b"/".join(parts)
        if target == path:
            return
        try:
            facts = os.stat(parts[-1], dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            if target not in self._left_out:
                raise
            self._left_out.add(path)
            return
        if stat.S_ISCHR(facts.st_mode) and not facts.st_rdev:
            raise UnsafePath(f"{shown(path)}: a hard link to a whiteout would be one")

        def link() -> None:
            os.link(parts[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

        self._retry(parent, path, name, link)

    def _white_out(self, parent: int, folder: bytes, name: bytes) -> None:
        if name == OPAQUE:
            self._make_opaque(parent, b".")
            self.index.add(os.fsdecode(folder), "opaque", 0, 0, 0, 0, 0, "", "")
            return
        hidden = name[len(WHITEOUT) :]
        if hidden.startswith(WHITEOUT):
            return  # aufs's own book-keeping
        if hidden in (b"", b".", b".."):
            raise UnsafePath(f"{shown(name)}: a whiteout of nothing")
        path = folder + b"/" + hidden if folder else hidden
        self._hide_below(parent, hidden)
        self.index.add(os.fsdecode(path), "whiteout", 0, 0, 0, 0, 0, "", "")

    def _hide_below(self, parent: int, name: bytes) -> None:
        """Hide what lower layers have; the layer's own entry of that name stays, in any order."""
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                self._make_opaque(parent, name)

    def _make_opaque(self, parent: int, name: bytes) -> None:
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        try:
            os.setxattr(fd, self._xattr, b"y")
        finally:
            os.close(fd)

    def _is_dressed(self, entry: TarEntry) -> bool:
        """Tell whether something new is as the entry says: it was made with its mode."""
        own = entry.uid == self._uid and entry.gid == self._gid
        return own and not self._inherits and entry.mode <= 0o777 and not entry.xattrs

    def _dress(self, fd: int, entry: TarEntry) -> None:
        """Give owner, extended attributes and mode, in the order that keeps setuid and caps."""
        if entry.kind == DIRECTORY and (entry.mode & stat.S_ISGID or entry.xattrs):
            self._inherits = True
        with _Owner(entry):
            os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs.items():
            # Not trusted.* and not user.overlay.*: an image may not steer the overlay it is in.
            if not name.startswith(KEPT_XATTRS) or name.startswith("user.overlay."):
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise ImageError(f"{shown(entry.name)}: {name}: {error.strerror}") from error

    def _set_directory_time(self, path: bytes, mtime: int) -> None:
        folder, _, name = path.rpartition(b"/")
        try:
            parent = self._parent(folder, make=False)
            if self._has_removed:
                facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if not stat.S_ISDIR(facts.st_mode):
                    return  # a later entry replaced it
            os.utime(name, ns=(mtime, mtime), dir_fd=parent, follow_symlinks=False)
        except (OSError, ImageError):
            return  # it went with one above it

    def _parent(self, path: bytes, *, make: bool = True) -> int:
        """Return a descriptor of a directory, found under the root and made when missing."""
        fd = self._parents.pop(path, -1)
        if fd >= 0:
            # Put last: the two that one entry needs are never the ones to be closed.
            self._parents[path] = fd
            return fd
        try:
            fd = self._open_directory(path)
        except FileNotFoundError:
            if not make:
                raise Corrupt(
                    f"{shown(path)}: a hard link into a directory that is not there"
                ) from None
            fd = self._make_parent(path)
        except NotADirectoryError:
            if not make or not self._uncover(path):
                raise ImageError(f"{shown(path)} is not a directory") from None
            return self._parent(path)
        if len(self._parents) >= MAX_PARENTS:
            os.close(self._parents.pop(next(iter(self._parents))))
        self._parents[path] = fd
        return fd

    def _open_directory(self, path: bytes) -> int:
        above, _, name = path.rpartition(b"/")
        if name and (parent := self._parents.get(above, -1)) >= 0:
            try:
                return os.open(name, OPEN_PARENT, dir_fd=parent)
            except NotADirectoryError:
                pass  # a link, perhaps
        return open_in_root(self._root, "/" + os.fsdecode(path), os.O_PATH | os.O_DIRECTORY)

    def _make_parent(self, path: bytes) -> int:
        """Make a directory that has no entry of its own, and those above it."""
        above, _, name = path.rpartition(b"/")
        parent = self._parent(above)
        try:
            os.mkdir(name, IMPLIED_MODE, dir_fd=parent)
        except FileExistsError:
            return make_dirs(self._root, "/" + os.fsdecode(path))  # a link to what is not there
        self.index.add(os.fsdecode(path), "dir", IMPLIED_MODE, 0, 0, 0, 0, "", "")
        return os.open(name, OPEN_PARENT, dir_fd=parent)

    def _uncover(self, path: bytes) -> bool:
        """Turn the layer's own whiteout on the way to `path` into an opaque directory."""
        above, _, name = path.rpartition(b"/")
        if above and not self._is_directory(above):
            return self._uncover(above)
        parent = self._parent(above)
        facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISCHR(facts.st_mode) or facts.st_rdev:
            return False
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, IMPLIED_MODE, dir_fd=parent)
        self._make_opaque(parent, name)
        self.index.add(os.fsdecode(path), "dir", IMPLIED_MODE, 0, 0, 0, 0, "", "")
        self.index.add(os.fsdecode(path), "opaque", 0, 0, 0, 0, 0, "", "")
        return True

    def _is_directory(self, path: bytes) -> bool:
        try:
            os.close(open_in_root(self._root, "/" + os.fsdecode(path), os.O_PATH | os.O_DIRECTORY))
        except OSError:
            return False
        return True

    def _retry(self, parent: int, path: bytes, name: bytes, make: Callable[[], int | None]) -> int:
        """Make something; what an earlier entry of the layer put there gives way."""
        try:
            return make() or 0
        except FileExistsError:
            self._remove(parent, path, name)
            return make() or 0

    def _remove(self, parent: int, path: bytes, name: bytes) -> None:
        self._has_removed = True
        self._forget(path)
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            remove_tree_at(parent, name)
        else:
            os.unlink(name, dir_fd=parent)

    def _forget(self, path: bytes) -> None:
        """Let go of descriptors in a directory that is about to be removed."""
        for known in [k for k in self._parents if k == path or k.startswith(path + b"/")]:
            os.close(self._parents.pop(known))

    def _skip(self, entry: TarEntry) -> None:
        left = entry.stored
        while left > 0:
            left -= len(self._stream.some(left))


def split_path(name: bytes) -> list[bytes]:
    """Return the parts of an entry's name; UnsafePath for one that leaves the layer."""
    parts = name.split(b"/")
    if b"" in parts or b"." in parts:
        parts = [part for part in parts if part not in (b"", b".")]
    # Not by `in`: for bytes in bytes it raises and catches something first.
    if b".." in parts or name.find(b"\0") >= 0:
        raise UnsafePath(f"{shown(name)} leads out of the layer")
    if len(parts) > MAX_DEPTH or len(name) > MAX_PATH:
        raise UnsafePath(f"{shown(name)}: too deep or too long")
    return parts


def _write(fd: int, data: memoryview) -> None:
    while (written := os.write(fd, data)) < len(data):
        data = data[written:]


class _Owner:
    """A context that says why an owner cannot be given: EINVAL, chown(2)."""

    def __init__(self, entry: TarEntry) -> None:
        self._entry = entry

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError) and error.errno == errno.EINVAL:
            entry = self._entry
            raise ImageError(
                f"{shown(entry.name)} belongs to {entry.uid}:{entry.gid}, which is outside of "
                "the IDs of this user namespace",
                hint="give yourself more: usermod --add-subuids FIRST-LAST, and --add-subgids",
            ) from error
