"""Notices that a context has changed: `build --watch`."""

from __future__ import annotations

import os
import time

from core.build.context.files import find_ignore
from core.build.context.ignore import Ignore
from core.build.copy.selection import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_S = 0.5
SHARE = 10
"""Of the time, one part in so many goes into looking."""


class Watch:
    """A directory and a Dockerfile as they were when this was made."""

    def __init__(self, root: str, dockerfile: str) -> None:
        self._root = root
        self._dockerfile = dockerfile
        self._took = 0.0
        self._before = self._look()

    def _look(self) -> dict[str, tuple[int, int, int]]:
        started = time.monotonic()
        ignore, _ = find_ignore(self._root, self._dockerfile)
        tree = Tree(self._root, ignore, closed=True)
        found = {
            path: (facts.st_mtime_ns, facts.st_size, facts.st_mode)
            for path, _, facts in tree.walk("", Ignore(()))
        }
        # What may be left out of the context, and still makes the build another.
        for path in (self._dockerfile, f"{self._root}/.dockerignore"):
            if os.path.exists(path):
                facts = os.stat(path)
                found[f"/{path}"] = (facts.st_mtime_ns, facts.st_size, facts.st_mode)
        self._took = time.monotonic() - started
        return found

    def wait(self, stopped: Callable[[], bool]) -> list[str]:
        """Wait for a change and return the files that differ; [] once `stopped()` is true."""
        while not stopped():
            time.sleep(max(LEAST_S, SHARE * self._took))
            now = self._look()
            if now != self._before:
                changed = {path for path, _ in now.items() ^ self._before.items()}
                self._before = now
                return sorted(path.lstrip("/") for path in changed)
        return []
