"""One directory of an image, read off the indexes of its layers."""

from __future__ import annotations

import errno
import os

from core.images.files.compare import kind_of, put_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.images.file_table import FileTable
    from core.images.files.compare import Row

MOST_LINKS = 40
"""Linux follows no more of them for one path."""


def names(layers: Sequence[tuple[str, FileTable]], folder: str) -> Iterator[str]:
    """Yield what a directory holds, its links followed; directories end in `/`.

    `layers` are a Tree's, lowest first.  Raises OSError for what is no directory.
    """
    files: dict[str, Row] = {}
    for _, layer in layers:
        put_on(files, layer)
    path = _resolve(files, folder)
    if path and (path not in files or kind_of(files[path]) != "dir"):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    for found, row in files.items():
        parent, _, name = found.rpartition("/")
        if parent == path:
            yield name + "/" * (kind_of(row) == "dir")


def _resolve(files: Mapping[str, Row], path: str) -> str:
    """Return a path without links, `.` and `..`; nothing leads above the root."""
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            done.append(part)
            row = files.get("/".join(done))
            if row is not None and kind_of(row) == "symlink":
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                layer, number = row
                link = layer.entry(number).link
                done = [] if link.startswith("/") else done[:-1]
                todo += link.split("/")[::-1]
    return "/".join(done)
