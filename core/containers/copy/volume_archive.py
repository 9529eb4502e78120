"""A volume as a tar, out and in: its backup, and what is made of it again.

What is in a volume was put there by containers; its links are followed only inside it.
"""

from __future__ import annotations

import os

from core.containers.copy.facts import Keeping
from core.containers.copy.tree_sink import TarSink
from core.containers.copy.tree_walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def export_volume(
    path: str, out: int, check: Callable[[], None], progress: Callable[[int], None]
) -> None:
    """Write all in the directory `path` to a descriptor as a tar, and the directory as `.`.

    Raises OSError, and what `check` raises.
    """
    directory = os.open(path, OPEN_DIRECTORY)
    try:
        sink = TarSink(out, Keeping(archive=True), progress)
        Walk(sink, check).top(directory, ".")
        sink.close()
    finally:
        os.close(directory)


def import_volume(
    path: str,
    read: Callable[[int], bytes],
    check: Callable[[], None],
    progress: Callable[[int], None],
) -> None:
    """Put the entries of a tar, plain or compressed, into the directory `path`.

    `read(n)` gives at most n bytes, b"" at the end.  What is there stays, unless the tar has
    it too.  Raises Corrupt, UnsafePath for an entry that leads out, OSError.
    """
    from core.containers.copy.tar_source import unpack

    directory = os.open(path, OPEN_DIRECTORY)
    try:
        unpack(read, directory, directory, "/", check, progress)
    finally:
        os.close(directory)
