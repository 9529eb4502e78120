"""What a copy keeps of a file besides its content: mode, times, owner, attributes.

One rule for both ways: with `archive` owners, set-ID bits and file capabilities stay; without
it everything belongs to one owner, and those bits, which were given to another, go.
"""

from __future__ import annotations

import errno
import os
import stat

from core.record import Record

PIECE = 1 << 20
MAX_UNSIZED = 16 << 20
"""Most bytes of a file that claims to have none, as those of /proc do."""


class Facts(Record):
    """What is known of one file; `xattrs` are those it has, wanted or not."""

    mode: int
    """With its type, as in stat(2)."""
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    size: int = 0
    device: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


class Keeping(Record):
    """What is kept; `owner` is whose everything becomes unless `archive`."""

    archive: bool
    owner: tuple[int, int] = (0, 0)

    def owner_of(self, facts: Facts) -> tuple[int, int]:
        """Return the user and group of the copy."""
        return (facts.uid, facts.gid) if self.archive else self.owner

    def mode_of(self, facts: Facts) -> int:
        """Return the mode of the copy: permissions and what else is kept."""
        mode = stat.S_IMODE(facts.mode)
        if self.archive:
            return mode
        if stat.S_ISDIR(facts.mode):
            return mode & ~stat.S_ISUID
        if stat.S_ISCHR(facts.mode) or stat.S_ISBLK(facts.mode):
            return mode & 0o700  # it opens hardware for whoever may open it
        return mode & 0o777

    def keeps(self, attribute: str) -> bool:
        """Return whether an extended attribute is kept; others belong to the file system."""
        if attribute == "security.capability":
            return self.archive
        return attribute.startswith(("user.", "system.posix_acl_")) and not attribute.startswith(
            "user.overlay."
        )


def facts_of(found: os.stat_result, opened: int = -1) -> Facts:
    """Return the facts of a file; with its attributes when it is `opened` for reading."""
    return Facts(
        found.st_mode, found.st_uid, found.st_gid, found.st_atime_ns, found.st_mtime_ns,
        found.st_size, found.st_rdev, _xattrs(opened) if opened >= 0 else (),
    )  # fmt: skip


def _xattrs(fd: int) -> tuple[tuple[str, bytes], ...]:
    try:
        return tuple((name, os.getxattr(fd, name)) for name in os.listxattr(fd))
    except OSError as error:
        # Taken away meanwhile, or a file system that has none.
        if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.ERANGE):
            raise
        return ()


def dress(fd: int, facts: Facts, keeping: Keeping) -> None:
    """Give an opened file or directory its owner, attributes, mode and times.

    Owner before mode: a change of owner clears set-ID bits and capabilities.
    """
    os.fchown(fd, *keeping.owner_of(facts))
    os.fchmod(fd, keeping.mode_of(facts))
    for name, value in facts.xattrs:
        if keeping.keeps(name):
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise
    os.utime(fd, ns=(facts.atime_ns, facts.mtime_ns))


def copy_content(source: int, target: int, size: int) -> int:
    """Copy at most `size` bytes between two files, holes as holes; returns how many.

    A file that says it has none is read to its end.  More than it had when it was opened is
    never copied: somebody may be writing without end.
    """
    if size == 0:
        return _copy_unsized(source, target)
    place = 0
    while place < size:
        try:
            start = os.lseek(source, place, os.SEEK_DATA)
            end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # nothing but a hole is left
            if error.errno != errno.EINVAL:
                raise
            start, end = place, size  # a file system without holes
        if start >= size:
            break
        place = start
        while place < end:
            os.lseek(target, place, os.SEEK_SET)
            count = os.sendfile(target, source, place, min(PIECE, end - place))
            if count == 0:
                return place  # it was cut short meanwhile
            place += count
    os.ftruncate(target, size)
    return size


def _copy_unsized(source: int, target: int) -> int:
    total = 0
    while total < MAX_UNSIZED:
        try:
            data = os.read(source, PIECE)
        except BlockingIOError:
            break  # the kernel has no more to say for now
        if not data:
            break
        total += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
    return total
