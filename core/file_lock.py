"""One process at a time: flock(2) on a file, as a context."""

from __future__ import annotations

import fcntl
import os


class FileLock:
    """Held from the beginning of the `with` block to its end, whatever ends the process."""

    def __init__(self, path: str, *, shared: bool = False, wait: bool = True) -> None:
        """`shared`: with others who have it so.  Without `wait` one that is held raises
        BlockingIOError.
        """
        self._path = path
        self._how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, self._how)
        except BaseException:
            os.close(self._fd)
            raise

    def __exit__(self, *_: object) -> None:
        # Unlocked by name: a process forked meanwhile shares the lock until it closes it.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
