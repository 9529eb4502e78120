"""What a container changed of its image's files (`diff`): its writable layer, read.

The layer is overlayfs's: what is in it was added or copied up to be changed, a device 0:0
hides what lies below, an opaque directory hides all of what lies below it.
https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import os
import stat

from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_DEPTH = 400
ADDED, CHANGED, DELETED = "A", "C", "D"
ITSELF = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


class Change(Record):
    """One path that is not as in the image."""

    kind: str
    """A added, C changed, D deleted."""
    path: str


def find_changes(upper: str, image: int, mount_points: frozenset[str]) -> list[Change]:
    """Return what the layer at `upper` changes of the image whose root is `image` (O_PATH).

    Sorted by path; a directory also counts as changed when something in it did.  Of
    `mount_points`, what limpet made to mount on is left out.  Raises OSError.
    """
    top = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _Layer(mount_points).directory(top, image, "", whole=False)
    finally:
        os.close(top)
    return sorted(found, key=lambda change: change.path.split("/"))


def mount_points(spec: dict[str, Any]) -> frozenset[str]:
    """Return the paths that a container's start makes so as to mount on them."""
    return frozenset(
        {entry["destination"].rstrip("/") for entry in spec["mounts"]} | {"/dev/console"}
    )


def written_bytes(upper: str) -> int:
    """Return the bytes of all files in the layer at `upper`, a hard link counted once.

    Files that cannot be looked at, because they are being changed or removed, do not count.
    """
    total, seen, todo = 0, set(), ["."]
    try:
        top = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        while todo:
            for path, facts in _entries(top, todo.pop()):
                if stat.S_ISDIR(facts.st_mode):
                    todo.append(path)
                elif facts.st_nlink == 1 or facts.st_ino not in seen:
                    seen.add(facts.st_ino)
                    total += facts.st_size
    finally:
        os.close(top)
    return total


def _entries(top: int, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in a directory below `top`, as far as it can be looked at."""
    beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    try:
        here = openat2(top, path, os.O_RDONLY | os.O_DIRECTORY, 0, beneath)
    except OSError:
        return
    try:
        with os.scandir(here) as entries:
            for entry in entries:
                yield f"{path}/{entry.name}", entry.stat(follow_symlinks=False)
    except OSError:
        return
    finally:
        os.close(here)


class _Layer:
    def __init__(self, mount_points: frozenset[str]) -> None:
        self._mount_points = mount_points
        self._above = {
            point[:end] for point in mount_points for end in range(len(point)) if point[end] == "/"
        }

    def directory(self, upper: int, lower: int, path: str, *, whole: bool) -> list[Change]:
        """Return the changes in a directory; `lower` is -1 when the image has none there.

        `whole`: the layer's directory is all there is to see, what the image has more is gone.
        """
        if path.count("/") > MAX_DEPTH:
            return []
        changes: list[Change] = []
        names = sorted(os.listdir(upper))
        for name in names:
            try:
                entry = os.open(name, ITSELF, dir_fd=upper)
            except FileNotFoundError:
                continue  # the container has removed it meanwhile
            below = _below(lower, name)
            try:
                changes += self._entry(entry, below, f"{path}/{name}", whole=whole)
            finally:
                os.close(entry)
                if below >= 0:
                    os.close(below)
        if whole and lower >= 0:
            gone = set(_names(lower)) - set(names)
            changes += [Change(DELETED, f"{path}/{name}") for name in gone]
        return changes

    def _entry(self, entry: int, below: int, path: str, *, whole: bool) -> Iterator[Change]:
        facts = os.fstat(entry)
        if _is_whiteout(facts):
            if below >= 0:
                yield Change(DELETED, path)
            return
        if not stat.S_ISDIR(facts.st_mode):
            if below >= 0 or facts.st_size or path not in self._mount_points:
                yield Change(CHANGED if below >= 0 else ADDED, path)
            return
        was_directory = below >= 0 and stat.S_ISDIR(os.fstat(below).st_mode)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry)
        try:
            inner = self.directory(
                here, below if was_directory else -1, path, whole=whole or _is_opaque(here)
            )
        finally:
            os.close(here)
        kind = CHANGED if below >= 0 else ADDED
        if inner or not self._is_ours(path, facts, below if was_directory else -1, kind):
            yield Change(kind, path)
        yield from inner

    def _is_ours(self, path: str, facts: os.stat_result, below: int, kind: str) -> bool:
        """Tell whether a directory without changes in it is only there to be mounted on."""
        if kind == ADDED:
            return path in self._mount_points or path in self._above
        if below < 0:
            return False
        before = os.fstat(below)
        same = (facts.st_mode, facts.st_uid, facts.st_gid) == (
            before.st_mode, before.st_uid, before.st_gid
        )  # fmt: skip
        # Copied up on the way to something that is no more, or that we made to mount on.
        return same and (facts.st_mtime_ns == before.st_mtime_ns or path in self._above)


def _below(lower: int, name: str) -> int:
    """Return an O_PATH descriptor of what the image has under a name, -1 if nothing."""
    if lower < 0:
        return -1
    try:
        found = os.open(name, ITSELF, dir_fd=lower)
    except OSError:
        return -1
    if _is_whiteout(os.fstat(found)):
        os.close(found)
        return -1
    return found


def _names(lower: int) -> list[str]:
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=lower)
    try:
        with os.scandir(here) as entries:
            return [
                entry.name for entry in entries
                if not _is_whiteout(entry.stat(follow_symlinks=False))
            ]  # fmt: skip
    finally:
        os.close(here)


def _is_whiteout(facts: os.stat_result) -> bool:
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def _is_opaque(directory: int) -> bool:
    for name in OPAQUE:
        try:
            if os.getxattr(directory, name) == b"y":
                return True
        except OSError:
            continue
    return False
