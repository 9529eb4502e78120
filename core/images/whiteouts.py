"""How a layer says that something is gone: names in its tar, marks in its directory.

In a tar a whiteout is an empty file with a prefix
(https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts); overlayfs
reads a character device 0:0, and an attribute of directories
(https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories).
"""

from __future__ import annotations

import os
import stat

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
BOOKKEEPING_PREFIX = b".wh..wh."
"""aufs's own files, which old images may hold; they mean nothing elsewhere."""

OPAQUE_VALUE = b"y"


def opaque_attribute() -> str:
    """Return the attribute this process can mark directories with."""
    return "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


def is_whiteout(facts: os.stat_result) -> bool:
    """Return whether overlayfs takes a file for a whiteout."""
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def make_whiteout(parent: int, name: bytes) -> None:
    """Make a whiteout; needs no privilege since Linux 5.8.  Raises OSError."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)


def mark_opaque(directory: int) -> None:
    """Hide what lower layers have in a directory (any descriptor of it).  Raises OSError."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.setxattr(fd, opaque_attribute(), OPAQUE_VALUE)
    finally:
        os.close(fd)
