"""Removes directory trees that hold anything at all: deep, unreadable, with odd names.

One descriptor is open at a time, so depth has no limit; a mount point stops the removal,
whatever is mounted there; no link is ever followed.
"""

from __future__ import annotations

import errno
import os

from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


def remove_tree(path: str) -> None:
    """Remove a directory and all in it; nothing happens if it is not there.

    Raises OSError: EXDEV where something is mounted in the tree.
    """
    folder, _, name = path.rpartition("/")
    try:
        parent = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_tree_at(parent, os.fsencode(name))
    finally:
        os.close(parent)


def remove_tree_at(parent: int, name: bytes) -> None:
    """Do the same for a directory that is named relative to an open one."""
    try:
        fd = _descend(parent, name)
    except FileNotFoundError:
        return
    # The directories on the way down: their names, and what is still to be done in them.
    names, pending, places = [name], [_unlink_files(fd)], [_place(fd)]
    try:
        while True:
            if pending[-1]:
                below = pending[-1].pop()
                following = _descend(fd, below)
                os.close(fd)
                fd = following
                names.append(below)
                pending.append(_unlink_files(fd))
                places.append(_place(fd))
                continue
            if len(names) == 1:
                break
            above = os.open("..", _FLAGS, dir_fd=fd)
            os.close(fd)
            fd = above
            places.pop()
            pending.pop()
            if _place(fd) != places[-1]:
                raise OSError(errno.EBUSY, "the directory was moved while it was removed")
            os.rmdir(names.pop(), dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _descend(fd: int, name: bytes) -> int:
    """Open a directory, refusing links and mount points."""
    try:
        return openat2(fd, os.fsdecode(name), _FLAGS, 0, _RESOLVE)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    # Before Linux 5.6: a mount of the same file system is not noticed.
    below = os.open(name, _FLAGS, dir_fd=fd)
    if os.fstat(below).st_dev != os.fstat(fd).st_dev:
        os.close(below)
        raise OSError(errno.EXDEV, "something is mounted in the directory", os.fsdecode(name))
    return below


def _unlink_files(fd: int) -> list[bytes]:
    """Unlink everything but directories; returns those."""
    directories = []
    with os.scandir(fd) as entries:
        found = [
            (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries
        ]
    for name, is_directory in found:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=fd)
    return directories


def _place(fd: int) -> tuple[int, int]:
    facts = os.fstat(fd)
    return facts.st_dev, facts.st_ino
