"""Reads files straight out of unpacked layers; no link in a layer leads anywhere."""

from __future__ import annotations

import errno
import os
import stat

from core.errors import NotFound, UnsupportedMedia
from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.database import Database
    from core.paths import Paths


def open_layer_file(paths: Paths, database: Database, diff_id: str, path: str) -> int:
    """Return a descriptor, open for reading, of a regular file as a layer holds it.

    Raises NotFound for a layer or a path that is not there, UnsupportedMedia for what is no
    regular file.
    """
    row = database.query("SELECT id FROM layers WHERE diff_id=?", (diff_id,))
    if not row:
        raise NotFound(f"there is no layer {diff_id} here", subject=diff_id)
    return open_beneath(f"{paths.layers}/{row[0][0]}", path)


def open_beneath(directory: str, path: str) -> int:
    """Return a descriptor, open for reading, of a regular file below a directory.

    Raises NotFound for what is not there, UnsupportedMedia for what is no regular file.
    """
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
        fd = openat2(root, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ELOOP, errno.EACCES):
            raise UnsupportedMedia(f"/{path} is no regular file", subject=path) from error
        raise NotFound(f"the layer has no /{path}: {error.strerror}", subject=path) from error
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsupportedMedia(f"/{path} is no regular file", subject=path)
    return fd
