"""Room that is kept for the database, so that on a full disk one can still look and remove.

Both take a little space first: SQLite writes to its log what is to go.  So a file keeps some,
and gives it up when the disk is full; once there is plenty again, it is taken back.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

BYTES = 1 << 20
PLENTY = 64 * BYTES
"""The file is made only where nobody will miss its space."""


def see_to(paths: Paths) -> None:
    """Give the reserve up if the disk is full, take it back if there is plenty of space."""
    try:
        disk = os.statvfs(paths.data)
        free = disk.f_bavail * disk.f_frsize
        if free < BYTES:
            os.unlink(paths.reserve)
        elif free > PLENTY and not os.path.exists(paths.reserve):
            _take(paths.reserve)
    except OSError:
        pass  # it is gone already, or cannot be had here


def _take(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, BYTES)
    finally:
        os.close(fd)
