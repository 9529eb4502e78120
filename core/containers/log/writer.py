"""A container's log: docker's json-file lines, rotated by size.

One line an entry: {"log":"text\\n","stream":"stdout","time":"2024-05-01T10:00:00.000000000Z"}.
Output that is not UTF-8 is kept exactly: each odd byte becomes a lone surrogate escape
(\\udc80 to \\udcff), which `core.containers.log.reader` turns back.  Runs inside the monitor.
"""

from __future__ import annotations

import os
import time
from _json import encode_basestring, encode_basestring_ascii

from core.containers.log.drivers import JOURNALD, JSON_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_LINE = 16 << 10
"""Longer lines become several entries, all but the last without a newline, as in docker."""

STREAM_NAMES = {1: b'"stdout"', 2: b'"stderr"'}


def log_names(path: str, max_files: int) -> list[str]:
    """Return the names of a log's files, the current one first."""
    return [path, *(f"{path}.{number}" for number in range(1, max(1, max_files)))]


def entry(stream: int, text: bytes, stamp: bytes) -> bytes:
    """Return one line of the log for one line (or part of one) of output."""
    try:
        quoted = encode_basestring(text.decode()).encode()
    except UnicodeDecodeError:
        quoted = encode_basestring_ascii(text.decode("utf-8", "surrogateescape")).encode()
    return b'{"log":%b,"stream":%b,"time":"%b"}\n' % (quoted, STREAM_NAMES[stream], stamp)


def timestamp(ns: int) -> bytes:
    """Return a time in nanoseconds since the epoch as RFC 3339, always nine decimals."""
    seconds, rest = divmod(ns, 1_000_000_000)
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % (
        year, month, day, hour, minute, second, rest,
    )  # fmt: skip


class LineWriter:
    """Cuts output into entries, one a line; what becomes of them is a subclass's."""

    def __init__(self) -> None:
        self.partial = {1: b"", 2: b""}
        """Of each stream, the line that has not ended yet."""
        self.lost = 0
        """Entries that could not be kept; that never stops a container."""
        self.fd = -1
        """Of the file that is written to, if there is one."""

    def _entry(self, stream: int, text: bytes, stamp: bytes) -> bytes:
        raise NotImplementedError

    def _append(self, entries: list[bytes]) -> None:
        raise NotImplementedError

    def write(self, stream: int, data: bytes) -> None:
        """Log the complete lines in `data`; a started line waits for its end."""
        lines = (self.partial[stream] + data).split(b"\n")
        rest = lines.pop()
        stamp = timestamp(time.time_ns())
        entries = []
        for line in lines:
            text = line + b"\n"
            while len(text) > MAX_LINE:
                entries.append(self._entry(stream, text[:MAX_LINE], stamp))
                text = text[MAX_LINE:]
            entries.append(self._entry(stream, text, stamp))
        while len(rest) >= MAX_LINE:
            entries.append(self._entry(stream, rest[:MAX_LINE], stamp))
            rest = rest[MAX_LINE:]
        self.partial[stream] = rest
        if entries:
            self._append(entries)

    def end_lines(self) -> None:
        """Log the lines that never ended."""
        stamp = timestamp(time.time_ns())
        rest = [self._entry(stream, text, stamp) for stream, text in self.partial.items() if text]
        self.partial = {1: b"", 2: b""}
        if rest:
            self._append(rest)

    def close(self) -> None:
        """Log the lines that never ended, and let go of the log."""
        self.end_lines()


class NoLog(LineWriter):
    """Keeps nothing."""

    def write(self, stream: int, data: bytes) -> None:
        """Drop the output."""


class LogWriter(LineWriter):
    """Appends output to a log file and rotates it.

    `max_bytes` 0 means no limit.  A full disk loses lines; what is on disk stays whole lines.
    """

    def __init__(self, path: str, max_bytes: int, max_files: int, fd: int = -1) -> None:
        """`fd` is the descriptor of the file where that is open already."""
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max(1, max_files)
        self.fd = fd if fd >= 0 else self._open(path)
        self._size = os.lseek(self.fd, 0, os.SEEK_END)

    def _open(self, path: str, flags: int = 0) -> int:
        flags |= os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def _entry(self, stream: int, text: bytes, stamp: bytes) -> bytes:
        return entry(stream, text, stamp)

    def close(self) -> None:
        """Log the lines that never ended, and close the file."""
        super().close()
        os.close(self.fd)

    def _append(self, entries: list[bytes]) -> None:
        limit, size = self._max_bytes, self._size
        fitting: list[bytes] = []
        for line in entries:
            if limit and size and size + len(line) > limit:
                self._put(fitting)
                self._rotate()
                fitting, size = [], 0
            size += len(line)
            fitting.append(line)
        self._put(fitting)

    def _put(self, entries: list[bytes]) -> None:
        data = b"".join(entries)
        try:
            written = os.write(self.fd, data)
            if written < len(data):
                raise OSError("disk full")
            self._size += written
        except OSError:
            self.lost += len(entries)
            try:
                os.ftruncate(self.fd, self._size)  # no half line stays behind
            except OSError:
                pass

    def _rotate(self) -> None:
        names, fresh = log_names(self._path, self._max_files), f"{self._path}.new"
        try:
            # First of all: on a full disk, or where the directory is gone, it cannot be had.
            fd = self._open(fresh, os.O_TRUNC)
        except OSError:
            return  # go on in the same file: a log too large is better than none
        try:
            for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
                try:
                    os.rename(newer, older)
                except FileNotFoundError:
                    pass
            os.rename(fresh, self._path)
        except OSError:
            os.close(fd)
            return
        os.close(self.fd)
        self.fd = fd
        self._size = 0


def open_log(log: tuple[Any, ...], fd: int = -1) -> LineWriter:
    """Return the writer of a container's log; `log` is from `drivers.make_log`.

    `fd` is what another writer of the same log left off with.
    """
    driver, *values = log
    if driver == JSON_FILE:
        path, max_bytes, max_files = values
        return LogWriter(path, max_bytes, max_files, fd)
    if driver == JOURNALD:
        from core.containers.log.journal import JournalLog

        return JournalLog(*values)
    return NoLog()
