"""Brings a file of an image onto this host, or a directory as one tar archive.

Nothing that an image names is ever made here: what is written is one new file.
"""

from __future__ import annotations

import os
import tarfile

from core.commands.show import size
from core.images.layer_tree import REMOVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.index import FileEntry
    from core.images.layer_tree import Node

KINDS = {
    "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE,
}  # fmt: skip


def write_file(fd: int, target: str) -> str:
    """Write the file to a new one on this host; returns what to tell. Closes the descriptor.

    What is there already is left alone; of the mode only reading, writing and executing
    are kept, for the owner.
    """
    with os.fdopen(fd, "rb") as source:
        mode = os.fstat(source.fileno()).st_mode & 0o700 | 0o600
        path = os.path.expanduser(target)
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        written = 0
        with os.fdopen(out, "wb") as file:
            while part := source.read(1 << 20):
                written += file.write(part)
    return f"{size(written)} written to {target}"


def write_tree(root: Node, path: str, target: str, open_content: Callable[[str], int]) -> int:
    """Write everything below a node to a new file; returns how many entries there are.

    Hard links become files of their own; device numbers are not known to the index and
    devices are left out.
    """
    count = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with (
        os.fdopen(os.open(target, flags, 0o600), "wb") as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        stack = [(path, root)]
        while stack:
            here, node = stack.pop()
            stack += [(f"{here}/{child.name}", child) for child in reversed(node.ordered)]
            entry = node.entry
            if node.status == REMOVED or entry is None or entry.kind in ("char", "block"):
                continue
            _add(archive, here, entry, open_content)
            count += 1
    return count


def _add(
    archive: tarfile.TarFile, path: str, entry: FileEntry, open_content: Callable[[str], int]
) -> None:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.mtime = entry.mtime_ns // 10**9
    if entry.kind in KINDS:
        info.type = KINDS[entry.kind]
        info.linkname = entry.link if entry.kind == "symlink" else ""
        archive.addfile(info)
        return
    with os.fdopen(open_content(path), "rb") as content:
        info.size = os.fstat(content.fileno()).st_size
        archive.addfile(info, content)
