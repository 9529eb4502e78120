"""A file that a person asked for: an archive, a backup, what a build came to."""

from __future__ import annotations

import os


class OutputFile:
    """Appears when it is whole and on the disk; a context, which gives a descriptor to write to.

    A pipe or a device is written to as it is, and what links lead to is replaced, not the link:
    /dev/stdout is one.  Raises OSError; nothing stays then, and what was there before does.
    """

    def __init__(self, path: str, mode: int = 0o600) -> None:
        self._path = path
        self._mode = mode
        self._half = ""
        """The file's name until it is whole; empty where there is none."""

    def __enter__(self) -> int:
        flags = os.O_WRONLY | os.O_CLOEXEC
        if os.path.exists(self._path) and not os.path.isfile(self._path):
            self._fd = os.open(self._path, flags)
            return self._fd
        self._path = os.path.realpath(self._path)
        half = f"{self._path}.{os.urandom(4).hex()}.part"
        self._fd = os.open(half, flags | os.O_CREAT | os.O_EXCL, self._mode)
        self._half = half
        return self._fd

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._half and kind is None:
                os.fsync(self._fd)  # a power cut must not leave the name without the content
                os.rename(self._half, self._path)
                self._half = ""
        finally:
            os.close(self._fd)
            if self._half:
                os.unlink(self._half)
