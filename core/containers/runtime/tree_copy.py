"""Copies what an image has at a volume's place into the volume, as docker does when it is new.

Every name is one step from a directory descriptor and never followed: the content is the
image author's.  Lean, and run before the root is pivoted into.
"""

from __future__ import annotations

import os
import stat

PIECE = 1 << 20
MAX_DEPTH = 500
"""Each level holds two descriptors; a deeper tree is refused, not copied in part."""


def copy_tree(source: int, target: int, depth: int = 0) -> None:
    """Copy the directory `source` refers to into the empty one of `target`, all but links' count.

    Owner, mode, extended attributes and times come along.  Raises OSError.
    """
    if depth > MAX_DEPTH:
        raise OSError(40, "directories are nested too deeply")  # ELOOP
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    try:
        with os.scandir(here) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            facts = os.stat(name, dir_fd=here, follow_symlinks=False)
            _copy_entry(here, target, name, facts, depth)
        _copy_facts(here, target, os.fstat(here))
    finally:
        os.close(here)


def _copy_entry(source: int, target: int, name: str, facts: os.stat_result, depth: int) -> None:
    kind = stat.S_IFMT(facts.st_mode)
    if kind == stat.S_IFDIR:
        os.mkdir(name, 0o700, dir_fd=target)
        inner = _open(source, name, os.O_RDONLY | os.O_DIRECTORY)
        copy = _open(target, name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            copy_tree(inner, copy, depth + 1)
        finally:
            os.close(inner)
            os.close(copy)
    elif kind == stat.S_IFREG:
        inner = _open(source, name, os.O_RDONLY | os.O_NONBLOCK)
        copy = _open(target, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            while os.sendfile(copy, inner, None, PIECE):
                pass
            _copy_facts(inner, copy, facts)
        finally:
            os.close(inner)
            os.close(copy)
    else:
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, facts.st_mode, facts.st_rdev, dir_fd=target)
        os.chown(name, facts.st_uid, facts.st_gid, dir_fd=target, follow_symlinks=False)
        times = (facts.st_atime_ns, facts.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _open(directory: int, name: str, flags: int, mode: int = 0) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)


def _copy_facts(source: int, target: int, facts: os.stat_result) -> None:
    """Owner before mode: a change of owner clears set-user-ID bits and file capabilities."""
    os.fchown(target, facts.st_uid, facts.st_gid)
    os.fchmod(target, stat.S_IMODE(facts.st_mode))
    for name in os.listxattr(source):
        # overlayfs keeps its own notes under this name; they are not the image's.
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
