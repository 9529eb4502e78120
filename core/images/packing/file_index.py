"""The index of files whose content passes by: summed up and noted by a thread beside.

So that whoever reads the files does nothing else meanwhile.
"""

from __future__ import annotations

import hashlib

from core.images.index import IndexWriter
from core.images.packing.layer_sink import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 20
MOST = 2000
"""Steps that are handed on together; one for each is slow."""


class FileIndex:
    """Takes a file's content in order, then its row; `finish` before `write`."""

    def __init__(self) -> None:
        self._index = IndexWriter()
        self._worker = Worker(self._carry_out, self._fail)
        self._failure: BaseException | None = None
        self._steps: list[tuple[Any, ...]] = []
        self._size = 0
        self._summer: Any = None
        self.count = 0

    def content(self, data: bytes) -> None:
        """Take a part of the file whose row comes next."""
        if self._summer is None:
            self._summer = hashlib.sha256(usedforsecurity=False)
        self._steps.append((self._summer, data))
        self._size += len(data)
        if self._size >= CHUNK:
            self._hand_on()

    def zeros(self, count: int) -> None:
        """Take a hole of the file whose row comes next."""
        while count > 0:
            self.content(bytes(min(count, CHUNK)))
            count -= CHUNK

    def add(
        self, path: str, kind: str, mode: int, uid: int, gid: int, size: int, mtime: int, link: str
    ) -> None:
        """Add an entry; the digest of a file is that of what came before."""
        if kind == "file" and self._summer is None:
            self._summer = hashlib.sha256(usedforsecurity=False)
        self._steps.append((self._summer, path, kind, mode, uid, gid, size, mtime, link))
        self._summer = None
        self.count += 1
        if len(self._steps) >= MOST:
            self._hand_on()

    def finish(self) -> None:
        """Return when all is noted; raises what went wrong."""
        self._hand_on()
        self._worker.end()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Let the thread end; nothing is to be relied on."""
        self._worker.end()

    def write(self, path: str) -> None:
        """Write the index to a path."""
        self._index.write(path)

    def _hand_on(self) -> None:
        if self._steps:
            self._worker.put(self._steps)
        self._steps = []
        self._size = 0

    def _carry_out(self, steps: list[tuple[Any, ...]]) -> None:
        for step in steps:
            if len(step) == 2:
                summer, data = step
                summer.update(data)
            else:
                summer, *fields, link = step
                self._index.add(*fields, summer.hexdigest() if summer else "", link)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
