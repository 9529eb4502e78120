"""One process at a time: flock(2) on a file, as a context."""

from __future__ import annotations

import fcntl
import os


class FileLock:
    """Held from the beginning of the `with` block to its end, whatever ends the process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        # Unlocked by name: a process forked meanwhile shares the lock until it closes it.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
