"""The tar bytes of a layer, decompressed and summed up as they are wanted, or ahead by a thread.

zlib and the digests run without the interpreter's lock, so one processor can inflate while the
other makes files.  Where other layers keep all processors busy, a second thread would only take
turns with the first: a tenth of the time goes into that.
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


class Chunks:
    """Fills chunks with the tar that `layer` gives, which reads from `source`.

    `summer` is fed all bytes of the tar; more than `ceiling` of them are an ImageError.
    `progress` is told compressed bytes.
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
        self._total = self._told = 0
        self._chunk = bytearray()
        self._abandoned = False

    def next(self) -> tuple[bytearray, int]:
        """Return the next bytes and their number, good until the next call; 0 at the end."""
        if not self._chunk:
            self._chunk = bytearray(CHUNK)
        return self._chunk, self.fill(self._chunk)

    def fill(self, chunk: bytearray) -> int:
        """Fill a chunk, or some of it; returns how many bytes, 0 at the end."""
        count = 0 if self._abandoned else self._layer.readinto(chunk)
        if not count:
            self.drain()
            return 0
        self._summer.update(memoryview(chunk)[:count])
        self._total += count
        if self._total > self._ceiling:
            raise ImageError(f"more than {self._ceiling} bytes uncompressed")
        if self._source.position - self._told > PROGRESS_EVERY:
            self._told = self._source.position
            self._progress(self._told)
        return count

    def abandon(self) -> None:
        """Be at the end: what is left is not looked into."""
        self._abandoned = True

    def drain(self) -> None:
        """Let the rest of the source pass without looking into it."""
        while self._source.read():
            pass


class ChunksAhead:
    """Has a thread of its own fill the next chunks while one is used, and say the progress."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._filled: SimpleQueue[tuple[bytearray, int] | Exception] = SimpleQueue()
        self._free: SimpleQueue[bytearray] = SimpleQueue()
        self._used = bytearray()
        for _ in range(AHEAD):
            self._free.put(bytearray(CHUNK))
        sys.setswitchinterval(SWITCH_S)
        start_new_thread(self._produce, ())

    def next(self) -> tuple[bytearray, int]:
        """Return the next bytes and their number, good until the next call; 0 at the end."""
        if self._used:
            self._free.put(self._used)
        filled = self._filled.get()
        if isinstance(filled, Exception):
            raise filled
        self._used = filled[0]
        return filled

    def _produce(self) -> None:
        try:
            count = 1
            while count:
                chunk = self._free.get()
                count = self._chunks.fill(chunk)
                self._filled.put((chunk, count))
        except Exception as error:  # noqa: BLE001 - it is raised where the bytes are wanted
            self._filled.put(error)


class TarStream:
    """Gives exact numbers of bytes; `ahead`: the chunks are filled by a thread."""

    def __init__(self, chunks: Chunks, *, ahead: bool) -> None:
        self._chunks = chunks
        self._take = ChunksAhead(chunks).next if ahead else chunks.next
        self._over = False
        self._buffer = memoryview(b"")
        self._place = self._end = 0

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
        self._chunks.abandon()
        try:
            self.finish()
        except ImageError:
            pass  # said already: it is why this was called
        self._chunks.drain()

    def _next(self) -> bool:
        """Take the next chunk; False at the end."""
        if self._over:
            return False
        self._place = self._end = 0
        self._over = True  # also when this raises
        chunk, self._end = self._take()
        self._buffer = memoryview(chunk)[: self._end]
        self._over = not self._end
        return not self._over
