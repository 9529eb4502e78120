"""The tar bytes of a layer, decompressed and summed up ahead by a thread of their own.

zlib and the digests run without the interpreter's lock, so one processor inflates while
the other makes files.
"""

from __future__ import annotations

import sys
from queue import Queue
from threading import Thread

from core.errors import Corrupt, ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.images.tar.compression import Reader, Source

CHUNK = 256 << 10
"""Fits a processor's cache."""
AHEAD = 16
"""Chunks that may wait: what the two processors differ by at most."""
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
        layer: Reader,
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
        self._buffer = b""
        self._place = 0
        self._chunks: Queue[bytes | Exception] = Queue(AHEAD)
        sys.setswitchinterval(SWITCH_S)
        Thread(target=self._produce, daemon=True).start()

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes; Corrupt when fewer are left."""
        end = self._place + count
        if end <= len(self._buffer):
            data = self._buffer[self._place : end]
            self._place = end
            return data
        parts = [self._buffer[self._place :]]
        count -= len(parts[0])
        while count > 0:
            if not self._next():
                raise Corrupt("the layer ends in the middle of an entry")
            parts.append(self._buffer[:count])
            self._place = min(count, len(self._buffer))
            count -= self._place
        return b"".join(parts)

    def some(self, count: int) -> memoryview:
        """Return at least one byte and at most `count`, without a copy; Corrupt at the end."""
        if self._place >= len(self._buffer) and not self._next():
            raise Corrupt("the layer ends in the middle of an entry")
        data = memoryview(self._buffer)[self._place : self._place + count]
        self._place += len(data)
        return data

    def ended(self) -> bool:
        """Tell whether no byte is left."""
        return self._place >= len(self._buffer) and not self._next()

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
        chunk = self._chunks.get()
        if isinstance(chunk, Exception):
            self._over = True
            raise chunk
        self._over = not chunk
        self._buffer, self._place = chunk, 0
        return bool(chunk)

    def _produce(self) -> None:
        try:
            self._read_ahead()
        except Exception as error:  # noqa: BLE001 - it is raised where the bytes are wanted
            self._chunks.put(error)
        else:
            self._chunks.put(b"")

    def _read_ahead(self) -> None:
        total = told = 0
        while not self._abandoned:
            data = self._layer.read(CHUNK)
            if not data:
                break
            self._summer.update(data)
            total += len(data)
            if total > self._ceiling:
                raise ImageError(f"more than {self._ceiling} bytes uncompressed")
            if self._source.position - told > PROGRESS_EVERY:
                told = self._source.position
                self._progress(told)
            self._chunks.put(data)
        while self._source.read():
            pass
