"""Removes directory trees that hold anything at all: deep, unreadable, with odd names."""

from __future__ import annotations

import os
import stat


def remove_tree(path: str) -> None:
    """Remove a directory and all in it; nothing happens if it is not there.

    Never follows a link and never crosses into another file system.  Raises OSError.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    parent = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _empty(parent, os.path.basename(path), facts.st_dev)
        os.rmdir(os.path.basename(path), dir_fd=parent)
    finally:
        os.close(parent)


def _empty(parent: int, name: str, device: int) -> None:
    """Remove what a directory holds, with a stack of its own: trees may be deep."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    stack = [(name, os.open(name, flags, dir_fd=parent))]
    try:
        while stack:
            here, fd = stack[-1]
            below = _unlink_files(fd, device)
            if below is not None:
                stack.append((below, os.open(below, flags, dir_fd=fd)))
                continue
            stack.pop()
            os.close(fd)
            if stack:
                os.rmdir(here, dir_fd=stack[-1][1])
    finally:
        for _, fd in stack:
            os.close(fd)


def _unlink_files(fd: int, device: int) -> str | None:
    """Unlink everything but directories; returns the name of one that is left, if any."""
    directory = None
    with os.scandir(fd) as entries:
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(facts.st_mode):
                os.unlink(entry.name, dir_fd=fd)
            elif facts.st_dev != device:
                raise OSError(16, "something is mounted in it", entry.name)
            else:
                directory = entry.name
    return directory
