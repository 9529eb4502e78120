"""Several layers made one: `build --squash`.

Layers are laid out as overlayfs's upper directories; so is what comes of them.  Runs in the
worker.
"""

from __future__ import annotations

import os
import stat

from core.build.copy.copying import copy_bytes
from core.privileges import is_rootless
from core.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def squash(layers: Sequence[str], target: str) -> None:
    """Merge layers, lowest first, into an empty directory."""
    merger = _Merger("user.overlay.opaque" if is_rootless() else "trusted.overlay.opaque")
    for layer in layers:
        merger.merge(layer, target)


class _Merger:
    def __init__(self, opaque: str) -> None:
        self._opaque = opaque

    def merge(self, source: str, target: str) -> None:
        """Put one layer on what is there."""
        links: dict[int, str] = {}
        pending = [(source, target)]
        late = []
        while pending:
            above, below = pending.pop()
            late.append((above, below))
            for name in sorted(os.listdir(above)):
                one, other = f"{above}/{name}", f"{below}/{name}"
                facts = os.lstat(one)
                if stat.S_ISDIR(facts.st_mode):
                    self._directory(one, other)
                    pending.append((one, other))
                else:
                    _clear(other)
                    _file(one, other, facts, links)
        for above, below in reversed(late):
            _dress(above, below, os.lstat(above))

    def _directory(self, one: str, other: str) -> None:
        hides = self._is_opaque(one)
        there = os.lstat(other) if os.path.lexists(other) else None
        if there is not None and (hides or not stat.S_ISDIR(there.st_mode)):
            # A whiteout or a file hid what is below both, and so does what takes its place.
            hides = True
            _clear(other)
            there = None
        if there is None:
            os.mkdir(other, 0o700)
        if hides:
            os.setxattr(other, self._opaque, b"y")

    def _is_opaque(self, path: str) -> bool:
        try:
            return os.getxattr(path, self._opaque) == b"y"
        except OSError:
            return False


def _clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _file(one: str, other: str, facts: os.stat_result, links: dict[int, str]) -> None:
    before = links.get(facts.st_ino) if facts.st_nlink > 1 else None
    if before is not None:
        os.link(before, other, follow_symlinks=False)
        return
    links[facts.st_ino] = other
    if stat.S_ISREG(facts.st_mode):
        read = os.open(one, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        write = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        copy_bytes(read, write, facts.st_size)
        os.close(read)
        os.close(write)
    elif stat.S_ISLNK(facts.st_mode):
        os.symlink(os.readlink(one), other)
    else:
        os.mknod(other, facts.st_mode, facts.st_rdev)
    _dress(one, other, facts)


def _dress(one: str, other: str, facts: os.stat_result) -> None:
    """Give a copy the owner, mode, attributes and times of what it was made from."""
    os.chown(other, facts.st_uid, facts.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(facts.st_mode):
        os.chmod(other, stat.S_IMODE(facts.st_mode))
    for name in os.listxattr(one, follow_symlinks=False):
        if ".overlay." not in name:
            value = os.getxattr(one, name, follow_symlinks=False)
            os.setxattr(other, name, value, follow_symlinks=False)
    times = (facts.st_mtime_ns, facts.st_mtime_ns)
    os.utime(other, ns=times, follow_symlinks=False)
