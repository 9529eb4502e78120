"""Layer blobs as streams of tar bytes: gzip of many members, zstd of many frames, plain.

Every read is bounded, so a bomb costs no more memory than an honest layer.
"""

from __future__ import annotations

from core.errors import Corrupt, UnsupportedMedia

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Protocol

    class Reader(Protocol):
        """Something that gives bytes until b""."""

        def read(self, size: int) -> bytes:
            """Return at most `size` bytes."""
            ...


CHUNK = 256 << 10
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Hashed:
    """Gives a file's bytes and sums them up on the way."""

    def __init__(self, file: BinaryIO, summer: Any) -> None:
        self._file = file
        self._summer = summer
        self.position = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        data = self._file.read(size)
        self._summer.update(data)
        self.position += len(data)
        return data


class Gzip:
    """Decompresses gzip members one after the other; zero padding behind them is ignored."""

    def __init__(self, source: Reader) -> None:
        try:
            from isal import isal_zlib as zlib
        except ImportError:
            import zlib  # type: ignore[no-redef]
        self._zlib = zlib
        self._error: Any = zlib.error
        self._source = source
        self._member = zlib.decompressobj(wbits=31)
        self._input = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end; Corrupt for damaged data."""
        try:
            while True:
                if self._member.eof and not self._next_member():
                    return b""
                # Called with nothing, too: output may wait inside when the input is used up.
                data = self._member.decompress(self._input, size)
                self._input = (
                    self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                )
                if data:
                    return bytes(data)
                if not self._input and not self._member.eof:
                    self._input = self._source.read(CHUNK)
                    if not self._input:
                        raise Corrupt("the gzip data is cut off")
        except self._error as error:
            raise Corrupt(f"the gzip data is damaged: {error}") from error

    def _next_member(self) -> bool:
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            self._input = self._source.read(CHUNK)
            if not self._input:
                return False
            self._input = self._input.lstrip(b"\0")
        if len(self._input) < 2:
            self._input += self._source.read(CHUNK)
        if not self._input.startswith(GZIP_MAGIC):
            raise Corrupt("garbage follows the gzip data")
        self._member = self._zlib.decompressobj(wbits=31)
        return True


class Zstd:
    """Decompresses zstd frames one after the other."""

    def __init__(self, source: Reader) -> None:
        import zstandard

        self._error: type[Exception] = zstandard.ZstdError
        # 128 MiB: the largest window of `zstd --ultra -22`; a frame may ask for no more.
        self._reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            source,  # type: ignore[arg-type] # it only ever calls read
            read_size=CHUNK,
            read_across_frames=True,
        )

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end; Corrupt for damaged data."""
        try:
            return self._reader.read(size)
        except self._error as error:
            raise Corrupt(f"the zstd data is damaged: {error}") from error


class Rest:
    """A stream whose first bytes have been looked at."""

    def __init__(self, head: bytes, source: Reader) -> None:
        self._head = head
        self._source = source

    def read(self, size: int = CHUNK) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._source.read(size)


def open_layer(source: Reader, media_type: str) -> Reader:
    """Return the tar bytes of a layer; the content's first bytes tell the compression.

    Registries are full of layers whose media type lies, so it only serves the message.
    """
    head = source.read(4)
    stream = Rest(head, source)
    if head.startswith(GZIP_MAGIC):
        return Gzip(stream)
    if head == ZSTD_MAGIC:
        return Zstd(stream)
    if "gzip" in media_type or "zstd" in media_type:
        raise UnsupportedMedia(f"the layer says {media_type}, but begins with {head!r}")
    return stream
