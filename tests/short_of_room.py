"""A file that cannot grow beyond a size, as on a disk that gets full in the middle of a write."""

from __future__ import annotations

import resource
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let this process write files of `size` bytes: more is written in part, then EFBIG.

    The kernel does the same with ENOSPC: write(2) says how much of the data had room.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
