"""Takes out of what a RUN wrote that which was only made to mount something on."""

from __future__ import annotations

import os
import stat

from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STUBS = ("/dev", "/proc", "/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
"""What a container needs as mount points, and an image need not have."""
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def remove_stubs(upper: str, layers: str, lower: Sequence[int], targets: Sequence[str]) -> None:
    """Take away what was only made as a mount point, and directories it alone brought up.

    `lower` are layer IDs, the uppermost first.
    """
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for target in targets:
            _remove_stub(root, target.strip("/"), [f"{layers}/{number}" for number in lower])
    finally:
        os.close(root)


def _remove_stub(root: int, target: str, lower: list[str]) -> None:
    path = target
    while path:
        below = _facts_below(lower, path)
        parent, _, name = path.rpartition("/")
        try:
            folder = openat2(root, parent or ".", os.O_RDONLY | os.O_DIRECTORY, 0,
                             RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)  # fmt: skip
        except OSError:
            return
        try:
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not _is_stub(folder, name, facts, below):
                return
        except OSError:
            return
        finally:
            os.close(folder)
        path = parent


def _is_stub(folder: int, name: str, facts: os.stat_result, below: os.stat_result | None) -> bool:
    """Remove an entry if it holds nothing and is as it was below; return whether it went."""
    if stat.S_ISDIR(facts.st_mode):
        if below is not None and (
            not stat.S_ISDIR(below.st_mode)
            or (facts.st_mode, facts.st_uid, facts.st_gid)
            != (below.st_mode, below.st_uid, below.st_gid)
        ):
            return False
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=folder)
        try:
            if _is_opaque(fd):
                return False
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=folder)  # only an empty one goes
        return True
    if below is None and stat.S_ISREG(facts.st_mode) and facts.st_size == 0:
        os.unlink(name, dir_fd=folder)
        return True
    return False


def _is_opaque(place: str | int) -> bool:
    """Return whether a directory hides what the layers below have in it."""
    for name in OPAQUE:
        try:
            if os.getxattr(place, name) == b"y":
                return True
        except OSError:
            continue
    return False


def _facts_below(lower: Sequence[str], path: str) -> os.stat_result | None:
    """Return what the layers below have at a path, no link followed."""
    parts = path.split("/")
    for layer in lower:
        place, hides = layer, False
        for number, part in enumerate(parts):
            place = f"{place}/{part}"
            try:
                facts = os.lstat(place)
            except OSError:
                break
            if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                return None
            if number == len(parts) - 1:
                return facts
            if not stat.S_ISDIR(facts.st_mode):
                return None
            hides = hides or _is_opaque(place)
        if hides:
            return None
    return None
