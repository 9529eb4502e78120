"""Paths inside a container's root, resolved by openat2(2): no link leads out of it."""

from __future__ import annotations

import errno
import os
import stat

from core.linux.libc import address, string, syscall

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 1, 2, 4
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 8, 16
NR_OPENAT2 = 437
MAX_LINKS = 40
"""As many as the kernel follows."""
TRIES = 100


def openat2(
    dir_fd: int, path: str, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT
) -> int:
    """Call openat2(2), close-on-exec; returns a descriptor.

    EAGAIN says that something on the host was renamed or mounted while the kernel walked a "..";
    that is tried again.
    """
    how = bytearray(
        b"".join(value.to_bytes(8, "little") for value in (flags | os.O_CLOEXEC, mode, resolve))
    )
    text = string(path)
    tries = TRIES
    while True:
        try:
            return syscall(
                "openat2", NR_OPENAT2, dir_fd, address(text), address(how), len(how), path=path
            )
        except BlockingIOError:
            tries -= 1
            if not tries:
                raise


def open_in_root(root_fd: int, path: str, flags: int = os.O_PATH) -> int:
    """Open `path` as a process whose root is `root_fd` would see it, magic links refused."""
    return openat2(root_fd, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def make_dirs(root_fd: int, path: str, mode: int = 0o755, links: int = 0) -> int:
    """Make the directories of `path` that are missing; returns an O_PATH descriptor of the last.

    Links are followed inside the root, and what a dangling one names is made there.  Raises
    OSError (ENOTDIR, ELOOP).
    """
    try:
        return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    done = ""
    fd = open_in_root(root_fd, "/", os.O_PATH | os.O_DIRECTORY)
    for name in path.split("/"):
        if name in ("", "."):
            continue
        parent, done = done, f"{done}/{name}"
        above = fd
        try:
            fd = _make_dir(root_fd, above, parent, name, mode, links)
        finally:
            os.close(above)
    return fd


def _make_dir(root_fd: int, fd: int, parent: str, name: str, mode: int, links: int) -> int:
    """Return the directory `name` of `parent`, which `fd` refers to, made if it is missing."""
    try:
        return open_in_root(root_fd, f"{parent}/{name}", os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    try:
        # It is made in the directory that fd refers to, whatever names mean by now.
        os.mkdir(name, mode, dir_fd=fd)
        beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
        return openat2(fd, name, os.O_PATH | os.O_DIRECTORY, 0, beneath)
    except FileExistsError:
        return make_dirs(root_fd, _dangling(fd, name, parent, links), mode, links + 1)


def _dangling(parent_fd: int, name: str, parent: str, links: int) -> str:
    """Return what a link names, as a path from the root."""
    if links >= MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    aim = os.readlink(name, dir_fd=parent_fd)
    return aim if aim.startswith("/") else f"{parent}/{aim}"


def make_target(root_fd: int, path: str, *, directory: bool, links: int = 0) -> int:
    """Return an O_PATH descriptor of a mount's target, made as an empty file or directory."""
    if directory:
        return make_dirs(root_fd, path)
    try:
        return open_in_root(root_fd, path)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip("/").rpartition("/")
    parent_fd = make_dirs(root_fd, parent)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o644, dir_fd=parent_fd))
        return openat2(parent_fd, name, os.O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except FileExistsError:
        aim = _dangling(parent_fd, name, parent, links)
        return make_target(root_fd, aim, directory=False, links=links + 1)
    finally:
        os.close(parent_fd)


def is_directory(fd: int) -> bool:
    """Return whether a descriptor refers to a directory."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def read_in_root(root_fd: int, path: str, limit: int = 1 << 20) -> bytes:
    """Return at most `limit` bytes of a regular file inside the root; b"" if there is none."""
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        parts = []
        while limit > 0 and (part := os.read(fd, min(limit, 64 << 10))):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)
