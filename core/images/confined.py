"""Finds the directories that a layer's entries lie in, never outside of one root.

Entries come sorted by directory, so open descriptors are kept and most look-ups are one
of a dictionary.  Each part of a path is opened without following links; where a part is a
link, openat2(2) resolves the path as a process in that root would.
"""

from __future__ import annotations

import errno
import os
import stat

from core.errors import Corrupt, UnsafePath
from core.images.trees import remove_tree_at
from core.images.whiteouts import is_whiteout, mark_opaque
from core.linux.path import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 256
MAX_PATH = 4095
"""PATH_MAX without the final NUL: longer paths could not be used in the container."""
MAX_OPEN = 256

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def clean_path(name: bytes) -> bytes:
    """Return an entry's name relative to the root, without empty parts; b"" for the root.

    A leading slash is dropped.  Raises UnsafePath for `..`, and for what is too long or deep.
    """
    if b".." in name or b"/." in name or b"//" in name or name[:1] in (b"/", b".") or (
        name[-1:] == b"/"
    ):
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise UnsafePath("its name leads out of the layer")
        name = b"/".join(parts)
    if len(name) > MAX_PATH or name.count(b"/") >= MAX_DEPTH:
        raise UnsafePath(f"its name is longer than {MAX_PATH} bytes or {MAX_DEPTH} directories")
    return name


class ConfinedTree:
    """The directory a layer is unpacked into.

    `implied` is told of each directory that was made because something lies in it, and
    whether it had to replace a whiteout.  Paths given to it must be clean (`clean_path`).
    """

    def __init__(self, root: int, implied: Callable[[bytes, bool], None], chrooted: bool) -> None:
        self._root = root
        self._implied = implied
        self._chrooted = chrooted
        self._open = {b"": root}

    def directory(self, path: bytes, *, make: bool = True, keep: int = -1) -> int:
        """Return an O_PATH descriptor of a directory, valid until the next call.

        `keep` is one from an earlier call that must stay valid.  Raises Corrupt if the path
        leads through something else than directories, or is missing and `make` is false.
        """
        fd = self._open.get(path)
        return self._walk(path, make, keep) if fd is None else fd

    def clear(self, parent: int, name: bytes) -> tuple[bool, bool]:
        """Remove what is at a name; returns whether it was a directory, or a whiteout."""
        facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            self._forget(parent)
            remove_tree_at(parent, name)
            return True, False
        if stat.S_ISLNK(facts.st_mode):
            self._forget(parent)  # paths may have led through it
        os.unlink(name, dir_fd=parent)
        return False, is_whiteout(facts)

    def _forget(self, keep: int) -> None:
        """Close the descriptors but one: they may lead through what is about to go."""
        kept = {b"": self._root}
        for path, fd in self._open.items():
            if fd == keep:
                kept[path] = fd
            elif fd != self._root:
                os.close(fd)
        self._open = kept

    def _walk(self, path: bytes, make: bool, keep: int) -> int:
        if len(self._open) > MAX_OPEN:
            self._forget(keep)
        parts = path.split(b"/")
        known = len(parts) - 1
        while (fd := self._open.get(b"/".join(parts[:known]))) is None:
            known -= 1
        for count in range(known + 1, len(parts) + 1):
            here = b"/".join(parts[:count])
            fd = self._step(fd, parts[count - 1], here, make)
            self._open[here] = fd
        return fd

    def _step(self, parent: int, name: bytes, path: bytes, make: bool) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            if not make:
                raise Corrupt(f"there is no directory {path!r} in this layer") from None
            replaced = False
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(facts.st_mode):
                return self._follow(path)
            if not is_whiteout(facts) or not make:
                raise Corrupt(f"{path!r} is not a directory") from None
            os.unlink(name, dir_fd=parent)
            replaced = True
        os.mkdir(name, 0o755, dir_fd=parent)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        if replaced:
            mark_opaque(fd)
        self._implied(path, replaced)
        return fd

    def _follow(self, path: bytes) -> int:
        """Resolve a path with links in it as the container would."""
        flags = os.O_PATH | os.O_DIRECTORY
        try:
            return open_in_root(self._root, os.fsdecode(path), flags)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise Corrupt(f"{path!r} is a link to no directory of this layer") from None
        if not self._chrooted:
            raise UnsafePath(f"{path!r} is a link, and this kernel cannot confine it")
        try:
            return os.open(b"/" + path, flags | os.O_CLOEXEC)
        except OSError:
            raise Corrupt(f"{path!r} is a link to no directory of this layer") from None
