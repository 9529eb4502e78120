"""A process's own memory: madvise(2)."""

from __future__ import annotations

import os

from core.linux.libc import c_int, c_ulong, check, function

PAGE = os.sysconf("SC_PAGE_SIZE")
MADV_POPULATE_WRITE = 23

_madvise = function("madvise", c_ulong, c_ulong, c_int)


def populate(address: int, size: int) -> None:
    """Have pages as if they had been written to: Linux 5.14.  Raises OSError."""
    check(_madvise(address, size, MADV_POPULATE_WRITE), "madvise")
