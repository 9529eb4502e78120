"""Reads a container's log: the last lines, a span of time, and what is still coming.

The writer is `core.containers.log.writer`.  A follower holds the file it reads open, so a
rotation loses it nothing: it finishes the old file and goes on with the next newer one.
"""

from __future__ import annotations

import os
import select
import time
from _json import scanstring

from core.containers.log.writer import log_names, timestamp
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self, TypeVar

    T = TypeVar("T")

BLOCK = 64 << 10
MAX_ROTATED = 1000
"""Where the search for rotated files ends, should somebody have made them all."""
NO_FILE = (0, 0)
RUN_LINES = 5
LINE_CHARACTERS = 400
POLL_S = 1.0
"""A follower's look at whether the container still runs, should an event be missed."""
LOOK_S = 0.025
"""A follower looks no oftener: what is written without a pause is read many lines at a time."""


class Entry(Record):
    """One entry of the log; `text` ends with a newline unless the line was cut in parts."""

    stream: int
    """1 stdout, 2 stderr."""
    text: bytes
    time: bytes
    """RFC 3339 with nine decimals, so that these sort as they follow each other."""


def parse_entry(line: bytes) -> Entry | None:
    """Parse one line of the file; None for one that is damaged (a full disk, a crash)."""
    try:
        if line.startswith(b'{"log":"') and line.endswith(b'Z"}\n'):
            text = line.decode()
            log, end = scanstring(text, 8, True)
            stream = 1 if text.startswith(',"stream":"stdout"', end) else 2
            at = text.index('"time":"', end) + 8
            return Entry(stream, log.encode("utf-8", "surrogateescape"), text[at:-3].encode())
    except ValueError:
        pass
    return None


def read_log(
    path: str, *, tail: int | None = None, since: float = 0, until: float = 0
) -> Iterator[Entry]:
    """Return the entries that are there now, the oldest first.

    What is written into files that are begun meanwhile is left out: a quicker writer may have
    removed others before them.  `tail` counts entries from the end; `since` and `until` are
    seconds since the epoch, 0 for no bound.
    """
    with Follower(path, tail=tail, since=since, until=until) as follower:
        yield from follower.read(newer=False)


def last_lines(path: str, since: float, until: float) -> list[str]:
    """Return the last lines that were written in a span of time, each cut to LINE_CHARACTERS."""
    found: list[Entry] = []
    for entry in read_log(path, since=since, until=until):
        found.append(entry)
        del found[:-RUN_LINES]
    return [entry.text.decode("utf-8", "replace").rstrip("\n")[:LINE_CHARACTERS] for entry in found]


class Follower:
    """Reads a log from some point on, again and again, through rotations."""

    def __init__(
        self, path: str, *, tail: int | None = None, since: float = 0, until: float = 0
    ) -> None:
        self._path = path
        self._since = timestamp(int(since * 1e9)) if since > 0 else b""
        self._until = timestamp(int(until * 1e9)) if until > 0 else b""
        self._files: list[_File] = []
        self._skip(tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()
        self._files.clear()

    def read(self, *, newer: bool = True) -> Iterator[Entry]:
        """Return the entries up to the end as it is now, each once.

        Without `newer` it ends with the file that was the newest when it was opened.
        """
        for block in self.blocks(newer=newer):
            for line in block.splitlines(keepends=True):
                found = parse_entry(line)
                if found is not None and self._wanted(found.time):
                    yield found

    def blocks(self, *, newer: bool = True) -> Iterator[bytes]:
        """Return what `read` does as it stands in the files: whole lines, of whatever time."""
        while self._files:
            yield from self._files[0].blocks()
            if len(self._files) == 1 and not (newer and self._newer()):
                return
            # A writer that had the old file open may have added a last line meanwhile.
            yield from self._files[0].blocks()
            self._files.pop(0).close()

    def _wanted(self, time: bytes) -> bool:
        return time >= self._since and (not self._until or time <= self._until)

    def _skip(self, tail: int | None) -> None:
        """Open the files that are needed and go to where reading begins."""
        files: list[_File] = []
        opened = _open_files(self._path)
        left = tail
        for number, file in enumerate(opened, 1):
            files.insert(0, file)
            if left is not None:
                left -= file.seek_tail(left)
            enough = left is not None and left <= 0
            if enough or (left is None and self._since and file.modified < self._since):
                for older in opened[number:]:
                    older.close()
                break
        if self._since and tail is None and files:
            files[0].seek_time(self._since)
        self._files = files

    def _newer(self) -> bool:
        """Open the files that came after the one being read; False when there are none."""
        found = _open_files(self._path, self._files[-1].inode)
        self._files += reversed(found)
        return bool(found)


def _open_files(path: str, until: tuple[int, int] = NO_FILE) -> list[_File]:
    """Open a log's files, the newest first, down to the one before `until`, a device and inode.

    Rotations go on meanwhile.  A name never gets a file back that it has lost, so if all names
    have at the end what they had when they were opened, it was so at one moment.  A rotation
    under way, or one that was killed, leaves one name free between two files.
    """
    while True:
        files: list[_File] = []
        seen: list[tuple[str, tuple[int, int]]] = []
        for name in log_names(path, MAX_ROTATED):
            file = _File.open(name)
            seen.append((name, file.inode if file else NO_FILE))
            if file is None:
                if len(seen) > 1 and seen[-2][1] == NO_FILE:
                    break
                continue
            if file.inode == until:
                file.close()
                break
            files.append(file)
        if all(_inode(name) == inode for name, inode in seen):
            return files
        for file in files:
            file.close()


def _inode(path: str) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return NO_FILE
    return facts.st_dev, facts.st_ino


class _File:
    """One file of the log, read by whole lines."""

    def __init__(self, fd: int) -> None:
        facts = os.fstat(fd)
        self._fd = fd
        self._rest = b""
        self.inode = (facts.st_dev, facts.st_ino)
        self.modified = timestamp(facts.st_mtime_ns)

    @classmethod
    def open(cls, path: str) -> _File | None:
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    def close(self) -> None:
        os.close(self._fd)

    def blocks(self) -> Iterator[bytes]:
        """Return the complete lines from here on; a begun one waits for the next call."""
        while block := os.read(self._fd, BLOCK):
            data = self._rest + block
            end = data.rfind(b"\n") + 1
            self._rest = data[end:]
            if end:
                yield data[:end]

    def seek_time(self, since: bytes) -> None:
        """Go to the first line that is not older, by halves; times rise through the file."""
        low, high = 0, os.lseek(self._fd, 0, os.SEEK_END)
        while high - low > BLOCK:
            middle = (low + high) // 2
            block = os.pread(self._fd, BLOCK, middle)
            start = block.find(b"\n") + 1
            end = block.find(b"\n", start) + 1
            found = parse_entry(block[start:end]) if start and end else None
            if found is None:
                break  # damaged, or a very long line: from here all is read
            if found.time < since:
                low = middle + end
            else:
                high = middle
        os.lseek(self._fd, low, os.SEEK_SET)

    def seek_tail(self, count: int) -> int:
        """Go to the last `count` lines; returns how many there are, at most `count`."""
        position = end = os.lseek(self._fd, 0, os.SEEK_END)
        found = 0
        start = 0 if count else end
        while count and position:
            size = min(BLOCK, position)
            position -= size
            block = os.pread(self._fd, size, position)
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                if position + at + 1 == end:
                    continue  # the newline of the last line itself
                found += 1
                if found == count:
                    start = position + at + 1
                    os.lseek(self._fd, start, os.SEEK_SET)
                    return found
        os.lseek(self._fd, start, os.SEEK_SET)
        return found + (count > 0 and end > 0)


def follow(
    directory: str,
    follower: Follower,
    running: Callable[[], bool],
    look: Callable[[], Iterator[T]],
) -> Iterator[T]:
    """Yield what each `look` of the follower finds, until `running()` is false and all is read.

    The first finds what is there already.  `directory` holds the log and state.json: a change
    in it is what wakes us.
    """
    from core.linux import inotify

    with follower:
        try:
            events = inotify.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            events = -1  # out of inotify instances: polling does
        try:
            if events >= 0:
                kinds = inotify.IN_MODIFY | inotify.IN_MOVED_TO | inotify.IN_CREATE
                inotify.inotify_add_watch(events, directory, kinds)
            while True:
                next_look = time.monotonic() + LOOK_S
                alive = running()  # asked first: what is read after it is all there is
                yield from look()
                if not alive:
                    return
                _wait(events)
                time.sleep(max(0.0, next_look - time.monotonic()))
        finally:
            if events >= 0:
                os.close(events)


def _wait(events: int) -> None:
    if events < 0:
        time.sleep(POLL_S / 5)
    elif select.select([events], [], [], POLL_S)[0]:
        os.read(events, BLOCK)


class Matching:
    """Lets through the entries in which a pattern is found; of the first lot the last `tail`.

    A pattern without a capital letter is found in any case, as journalctl(1) does.  Raises
    UsageError for a pattern that is none.
    """

    def __init__(self, pattern: str, tail: int | None) -> None:
        import re

        from core.errors import UsageError

        flags = re.IGNORECASE if pattern == pattern.lower() else re.NOFLAG
        try:
            self._found = re.compile(pattern.encode("utf-8", "surrogateescape"), flags).search
        except re.error as error:
            raise UsageError(
                f"{pattern!r} is no regular expression: {error}",
                hint="put a backslash before . * + ? [ ] ( ) { } | ^ $ that are meant as such",
            ) from None
        self._tail = tail

    def __call__(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Return those of a lot that match."""
        found = (entry for entry in entries if self._found(entry.text))
        if self._tail is not None:
            from collections import deque

            last = deque(found, self._tail)
            self._tail = None
            return iter(last)
        return found


def show(
    entries: Iterable[Entry], *, timestamps: bool, inside: dict[int, bool] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Return (stream, bytes) as they are printed: the time stands where a line begins.

    `inside` tells of each stream whether it is within a line, and is kept up to date.
    """
    inside = {1: False, 2: False} if inside is None else inside
    for found in entries:
        text = found.text
        if timestamps and not inside[found.stream]:
            text = found.time + b" " + text
        inside[found.stream] = not text.endswith(b"\n")
        yield found.stream, text
