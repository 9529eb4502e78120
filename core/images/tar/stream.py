"""The tar bytes of a layer, decompressed and summed up ahead by a thread of their own.

zlib and the digests run without the interpreter's lock, so one processor inflates while
the other makes files.
"""

from __future__ import annotations

import sys
from _queue import SimpleQueue
from _thread import start_new_thread

from core.errors import Corrupt, ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.images.tar.compression import Layer, Source

CHUNK = 256 << 10
"""Fits a processor's cache."""
AHEAD = 16
"""Chunks that may wait: what the two processors differ by at most.  They are filled again and
again, for new memory would cost a page fault every 4 KiB.
"""
SWITCH_S = 0.0005
"""How long one thread may keep the interpreter's lock from the other."""
PROGRESS_EVERY = 1 << 20


class TarStream:
    """Gives exact numbers of bytes; `source` is what `layer` reads from.

    `summer` is fed all bytes of the tar; more than `ceiling` of them are an ImageError.
    `progress` is told compressed bytes, from the other thread.
    """

    def __init__(
        self,
        layer: Layer,
        source: Source,
        summer: Any,
        ceiling: int,
        progress: Callable[[int], None],
    ) -> None:
        self._layer = layer
        self._source = source
        self._summer = summer
        self._ceiling = ceiling
        self._progress = progress
        self._abandoned = False
        self._over = False
        self._chunk = bytearray()
        self._buffer = memoryview(self._chunk)
        self._place = self._end = 0
        self._filled: SimpleQueue[tuple[bytearray, int] | Exception] = SimpleQueue()
        self._free: SimpleQueue[bytearray] = SimpleQueue()
        for _ in range(AHEAD):
            self._free.put(bytearray(CHUNK))
        sys.setswitchinterval(SWITCH_S)
        start_new_thread(self._produce, ())

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes; Corrupt when fewer are left."""
        end = self._place + count
        if end <= self._end:
            data = bytes(self._buffer[self._place : end])
            self._place = end
            return data
        parts = []
        while count > 0:
            parts.append(bytes(self.some(count)))
            count -= len(parts[-1])
        return b"".join(parts)

    def some(self, count: int) -> memoryview:
        """Return at least one byte and at most `count`, without a copy; Corrupt at the end.

        They are good until the next call of any method.
        """
        if self._place >= self._end and not self._next():
            raise Corrupt("the layer ends in the middle of an entry")
        data = self._buffer[self._place : self._place + count]
        self._place += len(data)
        return data

    def ended(self) -> bool:
        """Tell whether no byte is left."""
        return self._place >= self._end and not self._next()

    def finish(self) -> None:
        """Let the rest pass, so that the digests are those of all bytes.  Raises as `read`."""
        while self._next():
            pass

    def abandon(self) -> None:
        """Let the rest of the source pass without looking into it."""
        self._abandoned = True
        try:
            self.finish()
        except ImageError:
            pass  # said already: it is why this was called
        while self._source.read():
            pass

    def _next(self) -> bool:
        """Take the next chunk; False at the end."""
        if self._over:
            return False
        if self._end:
            self._free.put(self._chunk)
        filled = self._filled.get()
        self._place = self._end = 0
        if isinstance(filled, Exception):
            self._over = True
            raise filled
        self._chunk, self._end = filled
        self._buffer = memoryview(self._chunk)[: self._end]
        self._over = not self._end
        return not self._over

    def _produce(self) -> None:
        try:
            self._read_ahead()
        except Exception as error:  # noqa: BLE001 - it is raised where the bytes are wanted
            self._filled.put(error)
        else:
            self._filled.put((bytearray(), 0))

    def _read_ahead(self) -> None:
        total = told = 0
        while not self._abandoned:
            chunk = self._free.get()
            count = self._layer.readinto(chunk)
            if not count:
                break
            self._summer.update(memoryview(chunk)[:count])
            total += count
            if total > self._ceiling:
                raise ImageError(f"more than {self._ceiling} bytes uncompressed")
            if self._source.position - told > PROGRESS_EVERY:
                told = self._source.position
                self._progress(told)
            self._filled.put((chunk, count))
        while self._source.read():
            pass
