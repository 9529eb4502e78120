"""Where a walk's entries go: into a directory, or into a tar stream."""

from __future__ import annotations

import os
import tarfile

from core.containers.copy.facts import Facts, Keeping, copy_content, dress
from core.containers.copy.tree_writer import enter_directory, put_file, put_hardlink, put_special
from core.linux.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

XATTR = "SCHILY.xattr."


def inode_of(fd: int) -> tuple[int, int]:
    """Return the device and inode that a descriptor refers to."""
    facts = os.fstat(fd)
    return facts.st_dev, facts.st_ino


class TreeSink:
    """Makes a walk's entries in the directory `target`, which is held open.

    Directories that are there already keep their owner, mode and times.  `progress` is told
    of bytes.
    """

    def __init__(self, target: int, keeping: Keeping, progress: Callable[[int], None]) -> None:
        self._directories: list[tuple[int, Facts | None]] = [(os.dup(target), None)]
        self._keeping = keeping
        self._progress = progress
        self.avoid: set[tuple[int, int]] = set()

    def close(self) -> None:
        """Let go of the directories."""
        while self._directories:
            os.close(self._directories.pop()[0])

    @property
    def _here(self) -> int:
        return self._directories[-1][0]

    def enter(self, name: str, facts: Facts) -> None:
        """Make a directory, or take the one that is there."""
        fd, made = enter_directory(self._here, name)
        if len(self._directories) == 1:
            self.avoid.add(inode_of(fd))
        self._directories.append((fd, facts if made else None))

    def leave(self) -> None:
        """Give a directory that was made its facts: its times were changed by its entries."""
        fd, facts = self._directories.pop()
        try:
            if facts is not None:
                dress(fd, facts, self._keeping)
        finally:
            os.close(fd)

    def file(self, name: str, facts: Facts, fd: int) -> None:
        """Copy a file."""

        def fill(target: int) -> None:
            self._progress(copy_content(fd, target, facts.size))

        put_file(self._here, name, facts, self._keeping, fill)

    def special(self, name: str, facts: Facts, link: str) -> None:
        """Make a link, a node or a FIFO."""
        put_special(self._here, name, facts, self._keeping, link)

    def hardlink(self, name: str, facts: Facts, fd: int, first: tuple[str, ...]) -> None:
        """Link to the copy made first; where that is gone or elsewhere, copy again."""
        try:
            beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
            folder = "/".join(first[:-1]) or "."
            top = self._directories[0][0]
            source = openat2(top, folder, os.O_PATH | os.O_DIRECTORY, 0, beneath)
            try:
                put_hardlink(self._here, name, source, first[-1])
            finally:
                os.close(source)
        except OSError:
            self.file(name, facts, fd)


class _Counting:
    """A file object over a descriptor that tells how much has been written."""

    def __init__(self, fd: int, progress: Callable[[int], None]) -> None:
        self._fd = fd
        self._progress = progress

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._progress(len(data))
        return len(data)


class TarSink:
    """Writes a walk's entries to the descriptor `out` as a PAX tar, owners as they are."""

    def __init__(self, out: int, keeping: Keeping, progress: Callable[[int], None]) -> None:
        self._keeping = keeping
        self._names: list[str] = []
        self.avoid: set[tuple[int, int]] = set()
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `close`
            fileobj=_Counting(out, progress),  # type: ignore[call-overload] # it only writes
            mode="w|",
            format=tarfile.PAX_FORMAT,
            bufsize=1 << 20,
        )

    def close(self) -> None:
        """Write the end."""
        self._tar.close()

    def enter(self, name: str, facts: Facts) -> None:
        """Write a directory's entry."""
        self._names.append(name)
        self._tar.addfile(self._info("", facts, tarfile.DIRTYPE))

    def leave(self) -> None:
        """Go up."""
        self._names.pop()

    def file(self, name: str, facts: Facts, fd: int) -> None:
        """Write a file, exactly as long as it was when it was opened."""
        if facts.size == 0:
            # Those of /proc say they are empty; the header must know before the content.
            from io import BytesIO

            content = _read_unsized(fd)
            facts = facts.replace(size=len(content))
            self._tar.addfile(self._info(name, facts, tarfile.REGTYPE), BytesIO(content))
            return
        self._tar.addfile(
            self._info(name, facts, tarfile.REGTYPE),
            _Padded(fd, facts.size),
        )

    def special(self, name: str, facts: Facts, link: str) -> None:
        """Write a link, a node or a FIFO."""
        import stat

        kind = {
            stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFCHR: tarfile.CHRTYPE,
            stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE,
        }[stat.S_IFMT(facts.mode)]  # fmt: skip
        info = self._info(name, facts, kind)
        info.linkname = link
        info.devmajor, info.devminor = os.major(facts.device), os.minor(facts.device)
        self._tar.addfile(info)

    def hardlink(self, name: str, facts: Facts, fd: int, first: tuple[str, ...]) -> None:
        """Write a further name."""
        info = self._info(name, facts, tarfile.LNKTYPE)
        info.linkname = "/".join(first)
        self._tar.addfile(info)

    def _info(self, name: str, facts: Facts, kind: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo("/".join([*self._names, *([name] if name else [])]))
        info.type = kind
        info.size = facts.size if kind == tarfile.REGTYPE else 0
        info.mode = facts.mode & 0o7777
        info.uid, info.gid = facts.uid, facts.gid
        seconds, rest = divmod(facts.mtime_ns, 10**9)
        info.mtime = seconds
        headers = {
            XATTR + attribute: value.decode("utf-8", "surrogateescape")
            for attribute, value in facts.xattrs
            if self._keeping.keeps(attribute)
        }
        if rest:
            headers["mtime"] = f"{seconds}.{rest:09}"
        info.pax_headers = headers
        return info


class _Padded:
    """Reads exactly `size` bytes of a file, zeros where it has been cut short."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._left = size

    def read(self, count: int) -> bytes:
        count = min(count, self._left)
        data = os.read(self._fd, count) or bytes(count)
        self._left -= len(data)
        return data


def _read_unsized(fd: int) -> bytes:
    from core.containers.copy.facts import MAX_UNSIZED

    parts: list[bytes] = []
    total = 0
    while total < MAX_UNSIZED:
        try:
            part = os.read(fd, 1 << 20)
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
        total += len(part)
    return b"".join(parts)
