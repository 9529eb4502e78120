"""A process that was forked ahead copies the memory that it will write to while it waits.

It shares its parent's pages until it first writes to one, which then is copied, a few hundred
times from a request to execve(2): a fifth of what a start takes.  Which pages those are is the
same from start to start, as all that are forked have the same memory.  So the first that comes
to its end notes them for all that are forked after it.
"""

from __future__ import annotations

import os

from core.linux import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, DEPUTY = 0, 1
"""Who takes copies: a container's first process, and the one that starts it."""
PLACE = 2048
"""Numbers that are noted of each."""
PRESENT, SHARED_FILE, ALONE = 1 << 63, 1 << 61, 1 << 56
"""Bits of a page in /proc/PID/pagemap: proc_pid_pagemap(5)."""

_spans: list[tuple[int, int]] = []
"""First page and number of pages of what a fork may have to copy."""
_noted: list[memoryview] = []
"""What all forks share: for each kind how many numbers follow, then pairs as in `_spans`."""


def prepare() -> None:
    """Let processes note, and take, which are forked from now on."""
    import mmap

    _spans[:] = _private()
    _noted[:] = [memoryview(mmap.mmap(-1, 2 * 8 * PLACE)).cast("Q")]


def forget() -> None:
    """Let what this process forks from now on neither note nor take."""
    _noted.clear()


def take(kind: int) -> None:
    """Copy what others of the kind have written to."""
    if not _noted or kind < 0:
        return
    start = kind * PLACE
    count = _noted[0][start]
    pairs = _noted[0][start + 1 : start + 1 + count].tolist()
    try:
        for page, pages in zip(pairs[::2], pairs[1::2], strict=True):
            memory.populate(page * memory.PAGE, pages * memory.PAGE)
    except OSError:
        pass  # a kernel before 5.14: it copies when it must


def open_map(kind: int) -> int:
    """Return a descriptor for `note`, -1 where nothing is to be noted."""
    if not _noted or _noted[0][kind * PLACE]:
        return -1
    return os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)


def note(kind: int, pagemap: int = -1) -> None:
    """Note what this process has copied so far, unless another has; closes the descriptor.

    `pagemap` was `open_map`'s before this process has moved to where it cannot be opened.
    """
    if pagemap < 0:
        pagemap = open_map(kind)
    if pagemap < 0:
        return
    found: list[int] = []
    for first, count in _spans:
        bits = memoryview(os.pread(pagemap, 8 * count, 8 * first)).cast("Q").tolist()
        for page, state in enumerate(bits, first):
            if not (state & PRESENT and state & ALONE) or state & SHARED_FILE:
                continue
            if found and sum(found[-2:]) == page:
                found[-1] += 1
            else:
                found += page, 1
    os.close(pagemap)
    found = found[: PLACE - 2]
    start = kind * PLACE
    for place, number in enumerate(found, start + 1):
        _noted[0][place] = number
    _noted[0][start] = len(found)


def _private() -> Iterator[tuple[int, int]]:
    """Yield the mappings of this process that its forks will have copies of."""
    with open("/proc/self/maps", "rb") as file:
        for line in file.read().splitlines():
            where, rights, *_ = line.split()
            if rights.startswith(b"rw") and rights.endswith(b"p"):
                first, end = (int(number, 16) // memory.PAGE for number in where.split(b"-"))
                yield first, end - first
