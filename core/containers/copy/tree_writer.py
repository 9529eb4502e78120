"""Puts files into a directory, by descriptors alone and never through a link.

Whoever else writes there, a hostile container too, may swap names at any moment: each entry is
made without a name, or under one that nobody knows, in a directory that is held open.
"""

from __future__ import annotations

import errno
import os
import stat

from core.containers.copy.facts import Facts, Keeping, dress
from core.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""What file systems and kernels say that have no O_TMPFILE (open(2)); overlayfs before 6.1."""


def put_file(
    parent: int, name: str, facts: Facts, keeping: Keeping, fill: Callable[[int], object]
) -> None:
    """Make a file whose content `fill(fd)` writes; it appears whole, in place of what was there.

    A file that something is mounted on, as /etc/hosts is in a container, is written over.
    Raises Conflict when a directory has the name.
    """
    temporary = ""
    try:
        # Without a name: nobody can touch it, and nothing stays when this process is killed.
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=parent)
    except OSError as error:
        if error.errno not in NO_TMPFILE:
            raise
        temporary = _temporary()
        fd = os.open(temporary, NEW_FILE, 0o600, dir_fd=parent)
    try:
        fill(fd)
        dress(fd, facts, keeping)
        if not temporary:
            if _link(fd, name, parent):
                return
            temporary = _temporary()
            _link(fd, temporary, parent)
        try:
            _rename(temporary, name, parent)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _write_over(parent, fd, name)
            _unlink(temporary, parent)
    except BaseException:
        if temporary:
            _unlink(temporary, parent)
        raise
    finally:
        os.close(fd)


def _link(fd: int, name: str, parent: int) -> bool:
    """Give a file without a name one; False when something has it."""
    try:
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=parent, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def put_special(parent: int, name: str, facts: Facts, keeping: Keeping, link: str = "") -> None:
    """Make a symbolic link to `link`, a device node or a FIFO, in place of what has the name."""
    temporary = _temporary()
    if stat.S_ISLNK(facts.mode):
        os.symlink(link, temporary, dir_fd=parent)
    else:
        os.mknod(temporary, stat.S_IFMT(facts.mode) | 0o600, facts.device, dir_fd=parent)
    try:
        _settle(parent, temporary, facts, keeping)
        _rename(temporary, name, parent)
    except BaseException:
        _unlink(temporary, parent)
        raise


def put_hardlink(parent: int, name: str, source_parent: int, source: str) -> None:
    """Make a further name of a file that lies in the directory `source_parent`."""
    temporary = _temporary()
    os.link(source, temporary, src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)
    try:
        _rename(temporary, name, parent)
    finally:
        _unlink(temporary, parent)  # rename(2) leaves it when both are one file already


def enter_directory(parent: int, name: str) -> tuple[int, bool]:
    """Return a descriptor of the directory of this name, and whether it was made for that.

    Raises Conflict when something else has the name.
    """
    made = True
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        made = False
    try:
        fd = os.open(name, DIRECTORY, dir_fd=parent)
        now = os.fstat(fd)
        # One that somebody moved there meanwhile is not dressed as ours.
        return fd, made and now.st_mode & 0o777 == 0o700 and now.st_uid == os.geteuid()
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise Conflict(
            f"{name} is no directory where it is to be copied to, and is one where it comes from",
            hint="remove it there, or copy to another path",
            subject=name,
        ) from None


def _rename(temporary: str, name: str, parent: int) -> None:
    if _is_mounted_on(parent, name):
        # The kernel refuses only where the mount is this process's own; a container's it
        # would take away.
        raise OSError(errno.EBUSY, "something is mounted on it", name)
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        raise Conflict(
            f"{name} is a directory where it is to be copied to, and none where it comes from",
            hint="remove it there, or copy to another path",
            subject=name,
        ) from None


def _is_mounted_on(parent: int, name: str) -> bool:
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False  # nothing is there
    try:
        return _mount_of(found) != _mount_of(parent)
    finally:
        os.close(found)


def _mount_of(fd: int) -> str:
    """Return the ID of the mount that a descriptor was opened through (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return next(line for line in file if line.startswith("mnt_id:"))


def _write_over(parent: int, source: int, name: str) -> None:
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        target = reopen(found, os.O_WRONLY | os.O_TRUNC)
    finally:
        os.close(found)
    try:
        os.lseek(source, 0, os.SEEK_SET)
        while os.sendfile(target, source, None, 1 << 20):
            pass
    finally:
        os.close(target)


def reopen(found: int, flags: int) -> int:
    """Open the regular file that an O_PATH descriptor refers to, whatever names mean by now.

    Raises OSError (EINVAL) for anything else: to open a device or a FIFO can do things.
    """
    if not stat.S_ISREG(os.fstat(found).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return os.open(f"/proc/self/fd/{found}", flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _settle(parent: int, name: str, facts: Facts, keeping: Keeping) -> None:
    """Give a link or node that was just made its facts; never another file put in its place."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        now = os.fstat(found)
        if stat.S_IFMT(now.st_mode) != stat.S_IFMT(facts.mode) or now.st_nlink != 1:
            raise OSError(errno.ESTALE, "it was replaced while it was made", name)
        itself = f"/proc/self/fd/{found}"
        os.chown(itself, *keeping.owner_of(facts))
        if not stat.S_ISLNK(facts.mode):
            os.chmod(itself, keeping.mode_of(facts))
        os.utime(itself, ns=(facts.atime_ns, facts.mtime_ns))
    finally:
        os.close(found)


def _unlink(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except OSError:
        pass  # renamed, or somebody was faster


def _temporary() -> str:
    return f".limpet-{os.urandom(8).hex()}"
