"""A forward-only reader over chunks of bytes, made for a tar parser's two habits.

Headers are taken whole, bodies are passed on in pieces.  Most of both lies inside one
chunk, so `take` is a slice and `views` copies nothing; memory is one chunk.
"""

from __future__ import annotations

from core.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class TarStream:
    """Bytes from an iterator of non-empty chunks."""

    __slots__ = ("_base", "_buffer", "_chunks", "_position")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._position = 0
        self._base = 0

    def tell(self) -> int:
        """Return the bytes consumed so far."""
        return self._base + self._position

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes, to be used for small ones; Corrupt at the end."""
        start = self._position
        end = start + size
        if end <= len(self._buffer):
            self._position = end
            return self._buffer[start:end]
        return b"".join(self.views(size))

    def views(self, size: int) -> Iterator[bytes | memoryview]:
        """Yield pieces that make up exactly `size` bytes; Corrupt at a premature end.

        A piece is valid until the next one is asked for.
        """
        while size > 0:
            available = len(self._buffer) - self._position
            if not available:
                if not self._advance():
                    raise Corrupt(f"the archive ends {size} bytes too early")
                continue
            start = self._position
            count = min(size, available)
            self._position = start + count
            size -= count
            yield memoryview(self._buffer)[start : start + count]

    def skip_to(self, offset: int) -> None:
        """Consume up to an absolute offset; Corrupt at a premature end."""
        while True:
            position = offset - self._base
            if position <= len(self._buffer):
                self._position = position
                return
            self._position = len(self._buffer)
            if not self._advance():
                raise Corrupt(f"the archive ends {offset - self.tell()} bytes too early")

    def at_end(self) -> bool:
        """Return whether nothing is left."""
        return self._position == len(self._buffer) and not self._advance()

    def drain(self) -> None:
        """Consume everything that is left."""
        while self._advance():
            pass

    def _advance(self) -> bool:
        """Drop the current chunk and take the next one."""
        self._base += len(self._buffer)
        self._position = 0
        self._buffer = next(self._chunks, b"")
        return bool(self._buffer)
