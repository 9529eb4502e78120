"""Walks a file or a directory and tells a sink of everything in it, links not followed.

Every step is from one open directory to a name in it.  A tree that somebody changes meanwhile
gives old or new entries, never something outside of it; what is gone is left out.
"""

from __future__ import annotations

import os
import stat

from core.containers.copy.facts import Facts, facts_of
from core.containers.copy.tree_writer import reopen
from core.errors import Conflict
from core.linux.filesystem import is_kernel_made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Sink(Protocol):
        """What a walk tells of; descriptors are open for reading and stay the walk's."""

        avoid: set[tuple[int, int]]
        """Directories (device, inode) that are written to, and must not be walked."""

        def enter(self, name: str, facts: Facts) -> None:
            """Begin a directory; what follows until `leave` is in it."""
            ...

        def leave(self) -> None:
            """End the directory begun last."""
            ...

        def file(self, name: str, facts: Facts, fd: int) -> None:
            """Take a regular file."""
            ...

        def special(self, name: str, facts: Facts, link: str) -> None:
            """Take a symbolic link to `link`, a device node or a FIFO."""
            ...

        def hardlink(self, name: str, facts: Facts, fd: int, first: tuple[str, ...]) -> None:
            """Take a further name of the file told of as `first`, names from the top."""
            ...


MAX_DEPTH = 300
"""A level holds two descriptors here and one in a sink; a process has 1024."""


class Walk:
    """One walk; `check` is called for each entry and ends it by raising."""

    def __init__(self, sink: Sink, check: Callable[[], None]) -> None:
        self._sink = sink
        self._check = check
        self._names: list[str] = []
        self._first: dict[tuple[int, int], tuple[str, ...]] = {}
        self.skipped = 0
        """Sockets, which cannot be copied, and entries that were gone when their turn came."""

    def top(self, found: int, name: str) -> None:
        """Walk what an O_PATH descriptor refers to, told of as `name`."""
        self._entry(found, name, os.fstat(found).st_dev)

    def content(self, found: int) -> None:
        """Walk what is in the directory that an O_PATH descriptor refers to."""
        self._directory(found, os.fstat(found).st_dev)

    def _directory(self, found: int, device: int) -> None:
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)
        try:
            for name in sorted(os.listdir(here)):
                self._check()
                try:
                    entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                except FileNotFoundError:
                    self.skipped += 1
                    continue
                try:
                    self._entry(entry, name, device)
                finally:
                    os.close(entry)
        finally:
            os.close(here)

    def _entry(self, found: int, name: str, device: int) -> None:
        facts = os.fstat(found)
        kind = stat.S_IFMT(facts.st_mode)
        if kind == stat.S_IFDIR:
            self._enter(found, name, facts, device)
        elif kind == stat.S_IFREG:
            self._file(found, name, facts)
        elif kind == stat.S_IFLNK:
            self._sink.special(name, facts_of(facts), os.readlink("", dir_fd=found))
        elif kind == stat.S_IFSOCK:
            self.skipped += 1
        else:
            self._sink.special(name, facts_of(facts), "")

    def _enter(self, found: int, name: str, facts: os.stat_result, device: int) -> None:
        if len(self._names) >= MAX_DEPTH:
            raise Conflict(
                f"directories are nested more than {MAX_DEPTH} deep at {'/'.join(self._names[:3])}",
                hint="copy a directory further down",
            )
        if (facts.st_dev, facts.st_ino) in self._sink.avoid:
            raise Conflict(f"{name} cannot be copied into itself", hint="copy to another path")
        reading = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)
        try:
            self._sink.enter(name, facts_of(facts, reading))
        finally:
            os.close(reading)
        self._names.append(name)
        # What the kernel makes up under /proc and /sys is not the container's to be copied.
        made_up = facts.st_dev != device and is_kernel_made(found)
        if not made_up:
            self._directory(found, facts.st_dev)
        self._names.pop()
        self._sink.leave()

    def _file(self, found: int, name: str, facts: os.stat_result) -> None:
        reading = reopen(found, os.O_RDONLY)
        try:
            told = facts_of(facts, reading)
            inode = (facts.st_dev, facts.st_ino)
            if first := self._first.get(inode):
                self._sink.hardlink(name, told, reading, first)
                return
            self._sink.file(name, told, reading)
            if facts.st_nlink > 1:
                self._first[inode] = (*self._names, name)
        finally:
            os.close(reading)
