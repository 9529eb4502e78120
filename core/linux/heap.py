"""glibc's allocator, see mallopt(3)."""

from __future__ import annotations

from core.linux.libc import c_int, function

M_ARENA_MAX = -8
"""malloc.h."""


def limit_arenas(most: int) -> None:
    """Let threads share so many heaps; by itself each gets one, and keeps what it freed there.

    Does nothing with a C library that has no such arenas.
    """
    try:
        function("mallopt", c_int, c_int)(M_ARENA_MAX, most)
    except AttributeError:
        pass
