"""A directory for each build's work in progress, and the end of those whose build is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from threading import Lock

from core.linux.filesystem import spread_subdirectories
from core.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from core.paths import Paths

LOCK, GONE = "lock", ".gone-"
JANITOR = os.path.join(os.path.dirname(__file__), "janitor.py")


class Home:
    """The directory of one build; a context, at whose end it is gone."""

    def __init__(self, paths: Paths) -> None:
        self._top = f"{paths.data}/build/work"
        self._memory = f"{paths.run}/build"
        self.path = f"{self._top}/{os.urandom(6).hex()}"
        self._fd = -1
        self._count = 0
        self._places = Lock()
        self._janitor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        from core.containers.removal import remove_empty_cgroups

        os.makedirs(self._top, 0o700, exist_ok=True)
        spread_subdirectories(self._top)
        sweep(self._top, self._memory)
        remove_empty_cgroups()
        os.mkdir(self.path, 0o700)
        self._fd = os.open(f"{self.path}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            remove_tree(self.path)
        finally:
            os.close(self._fd)
            if self._janitor is not None:
                self._janitor.kill()
                self._janitor.communicate()

    def place(self) -> str:
        """Return a new directory in it; from the first on somebody is there to clean up."""
        with self._places:
            if self._janitor is None:
                self._janitor = _start_janitor(self.path, self._memory)
            self._count += 1
            path = f"{self.path}/{self._count}"
        os.mkdir(path, 0o700)
        return path


def _start_janitor(path: str, memory: str) -> subprocess.Popen[bytes]:
    modules = os.pathsep.join(place for place in sys.path if place and os.path.isdir(place))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-E", JANITOR, modules, path, memory],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, cwd="/",
    )  # fmt: skip


def sweep(top: str, memory: str) -> None:
    """Remove the directories of builds that are gone, and what they had in memory."""
    for name in os.listdir(top):
        if name.startswith(GONE):
            with suppress(OSError):  # somebody else is at it
                remove_tree(f"{top}/{name}")
        else:
            remove_home(f"{top}/{name}")
    for name in os.listdir(memory) if os.path.isdir(memory) else ():
        if not os.path.exists(f"{top}/{name}"):
            remove_tree(f"{memory}/{name}")


def remove_home(path: str) -> None:
    """Remove the directory of a build, unless the build lives.

    It is renamed before: several may be at it at once, and what is half removed has no lock.
    """
    top, _, name = path.rpartition("/")
    try:
        fd = os.open(f"{path}/{LOCK}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # gone, or just being made
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = f"{top}/{GONE}{name}"
        os.rename(path, gone)
        remove_tree(gone)
    except OSError:
        pass  # it lives, or somebody else removes it as well
    finally:
        os.close(fd)
