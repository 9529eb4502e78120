"""A directory for each build's work in progress, and the end of those whose build is gone."""

from __future__ import annotations

import fcntl
import os

from core.images.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from core.paths import Paths

LOCK = "lock"


class Home:
    """The directory of one build; a context, at whose end it is gone."""

    def __init__(self, paths: Paths) -> None:
        self._top = f"{paths.data}/build/work"
        self._memory = f"{paths.run}/build"
        self.path = f"{self._top}/{os.urandom(6).hex()}"
        self._fd = -1
        self._count = 0

    def __enter__(self) -> Self:
        os.makedirs(self._top, 0o700, exist_ok=True)
        sweep(self._top, self._memory)
        os.mkdir(self.path, 0o700)
        self._fd = os.open(f"{self.path}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            remove_tree(self.path)
        finally:
            os.close(self._fd)

    def place(self) -> str:
        """Return a new directory in it."""
        self._count += 1
        path = f"{self.path}/{self._count}"
        os.mkdir(path, 0o700)
        return path


def sweep(top: str, memory: str) -> None:
    """Remove the directories of builds that are gone, and what they had in memory."""
    for name in os.listdir(top):
        remove_home(f"{top}/{name}")
    for name in os.listdir(memory) if os.path.isdir(memory) else ():
        if not os.path.exists(f"{top}/{name}"):
            remove_tree(f"{memory}/{name}")


def remove_home(path: str) -> None:
    """Remove the directory of a build, unless the build lives."""
    try:
        fd = os.open(f"{path}/{LOCK}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # gone, or just being made
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(path)
    except OSError:
        pass  # it lives, or somebody else removes it as well
    finally:
        os.close(fd)
