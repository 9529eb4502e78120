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

    class Layer(Reader, Protocol):
        """A layer's tar, which can be had without a new object for every part."""

        def readinto(self, buffer: bytearray | memoryview) -> int:
            """Fill the buffer, or some of it; returns how many bytes, 0 at the end."""
            ...

    class Source(Protocol):
        """A layer's blob, which knows how much of it was read."""

        position: int

        def read(self, size: int = ...) -> bytes:
            """Return at most `size` bytes, b"" at the end."""
            ...


CHUNK = 256 << 10
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
XZ_MAGIC, BZIP2_MAGIC = b"\xfd7zXZ", b"BZh"
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
"""Of a frame that holds nothing, its magic number behind the first byte."""
ZSTD_MAX_HEADER, ZSTD_BLOCK_HEADER = 18, 3
ZSTD_REPEATED = 1
"""The kind of a block that stands for one byte many times."""
XZ_MEMORY = 256 << 20
"""What an xz stream may ask for: `xz -9` asks for 65 MiB."""


def import_codec(media_type: str) -> None:
    """Import what a layer of this type most likely takes: once, for all forks to come."""
    if "zstd" in media_type:
        import zstandard  # noqa: F401
    else:
        import gzip  # noqa: F401 - isal takes its exception from there

        _import_zlib()


def _import_zlib() -> Any:
    """Return isal's counterpart of zlib, zlib where that is missing."""
    try:
        from isal import isal_zlib
    except ImportError:
        import zlib

        return zlib
    return isal_zlib


class Copied:
    """Gives bytes into a buffer, by way of `read`."""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        raise NotImplementedError

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer, or some of it; returns how many bytes, 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


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
    """Decompresses gzip members one after the other, with isal; zeros behind them are ignored."""

    def __init__(self, source: Rest, reader: Any, error: type[Exception]) -> None:
        from gzip import BadGzipFile

        self._reader = reader(source, CHUNK)
        self._errors = (error, BadGzipFile)

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end; Corrupt for damaged data."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(buffer)])

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer, or some of it; returns how many bytes, 0 at the end; or Corrupt."""
        try:
            return int(self._reader.readinto(buffer))
        except EOFError as error:
            raise Corrupt("the gzip data is cut off") from error
        except self._errors as error:
            raise Corrupt(f"the gzip data is damaged: {error}") from error


class ZlibGzip(Copied):
    """The same with zlib, or an isal that has no reader for it."""

    def __init__(self, source: Reader) -> None:
        zlib = _import_zlib()
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
        self._frames = ZstdFrames(source)
        # 128 MiB: the largest window of `zstd --ultra -22`; a frame may ask for no more.
        self._reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            self._frames,  # type: ignore[arg-type] # it only ever calls read
            read_size=CHUNK,
            read_across_frames=True,
        )

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end; Corrupt for damaged data."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(buffer)])

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer, or some of it; returns how many bytes, 0 at the end; or Corrupt."""
        try:
            count = int(self._reader.readinto(buffer))
        except self._error as error:
            raise Corrupt(f"the zstd data is damaged: {error}") from error
        if not count and not self._frames.are_whole:
            raise Corrupt("the zstd data is cut off")
        return count


class ZstdFrames:
    """Gives a source's bytes, and knows whether they end where a frame does: libzstd's reader
    takes an end in the middle of one for the end of all.

    https://www.rfc-editor.org/rfc/rfc8878#section-3
    """

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._begun = b""
        """Of a frame's or a block's header, what has come."""
        self._ahead = 0
        """Bytes until the next header."""
        self._in_frame = False
        self._checksum = 0

    @property
    def are_whole(self) -> bool:
        """Whether what was given ends where a frame does."""
        return not (self._in_frame or self._begun or self._ahead)

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        data = self._source.read(size)
        known, place = self._begun + data, self._ahead
        while place < len(known) and (step := self._step(known, place)):
            place += step
        self._begun, self._ahead = known[place:], max(0, place - len(known))
        return data

    def _step(self, data: bytes, place: int) -> int:
        """Return how far behind a header the next one is, 0 if it is not all there."""
        if self._in_frame:
            head = data[place : place + ZSTD_BLOCK_HEADER]
            if len(head) < ZSTD_BLOCK_HEADER:
                return 0
            number = int.from_bytes(head, "little")
            is_last, kind, size = number & 1, number >> 1 & 3, number >> 3
            self._in_frame = not is_last
            size = 1 if kind == ZSTD_REPEATED else size
            return ZSTD_BLOCK_HEADER + size + (self._checksum if is_last else 0)
        return self._step_into_frame(data[place : place + ZSTD_MAX_HEADER])

    def _step_into_frame(self, head: bytes) -> int:
        import zstandard

        if head[1:4] == ZSTD_SKIPPABLE and head[0] >> 4 == 5:
            return 8 + int.from_bytes(head[4:8], "little") if len(head) >= 8 else 0
        try:
            length = zstandard.frame_header_size(head)
            self._checksum = 4 * zstandard.get_frame_parameters(head).has_checksum
        except zstandard.ZstdError:
            return 0
        self._in_frame = True
        return length


class Other:
    """Decompresses with a module of the standard library: xz and bzip2, streams in a row."""

    def __init__(self, source: Reader, kind: str) -> None:
        import bz2
        import lzma

        self._new: Any = bz2.BZ2Decompressor if kind == "bzip2" else self._xz
        self._errors = (OSError, ValueError, lzma.LZMAError)
        self._kind = kind
        self._source = source
        self._stream = self._new()

    @staticmethod
    def _xz() -> Any:
        import lzma

        return lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end; Corrupt for damaged data."""
        try:
            while True:
                if self._stream.eof:
                    rest = self._stream.unused_data.lstrip(b"\0") or self._source.read(CHUNK)
                    if not rest.strip(b"\0"):
                        return b""
                    self._stream = self._new()
                else:
                    rest = self._source.read(CHUNK) if self._stream.needs_input else b""
                    if not rest and self._stream.needs_input:
                        raise Corrupt(f"the {self._kind} data is cut off")
                if data := self._stream.decompress(rest, size):
                    return bytes(data)
        except self._errors as error:
            raise Corrupt(f"the {self._kind} data is damaged: {error}") from error


class Exact:
    """Gives exact numbers of a stream's bytes."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes; Corrupt when fewer are left."""
        if size <= len(self._ahead):
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        parts, count = [self._ahead], len(self._ahead)
        while count < size:
            parts.append(self._source.read(max(size - count, CHUNK)))
            count += len(parts[-1])
            if not parts[-1]:
                raise Corrupt("the archive is cut off")
        data = b"".join(parts)
        self._ahead = data[size:]
        return data[:size] if self._ahead else data

    def ended(self) -> bool:
        """Tell whether no byte is left."""
        self._ahead = self._ahead or self._source.read(CHUNK)
        return not self._ahead


class Rest(Copied):
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


def _gzip(stream: Rest) -> Layer:
    zlib = _import_zlib()
    reader = getattr(zlib, "_GzipReader", None)
    return Gzip(stream, reader, zlib.error) if reader else ZlibGzip(stream)


def open_layer(source: Reader, media_type: str) -> Layer:
    """Return the tar bytes of a layer; the content's first bytes tell the compression.

    Registries are full of layers whose media type lies, so it only serves the message.
    """
    head = source.read(4)
    stream = Rest(head, source)
    if head.startswith(GZIP_MAGIC):
        return _gzip(stream)
    if head == ZSTD_MAGIC:
        return Zstd(stream)
    if "gzip" in media_type or "zstd" in media_type:
        raise UnsupportedMedia(f"the layer says {media_type}, but begins with {head!r}")
    return stream


def open_archive(source: Reader) -> Reader:
    """Return the bytes of an archive that is plain, or compressed by gzip, zstd, xz or bzip2."""
    head = source.read(6)
    stream = Rest(head, source)
    if head.startswith(GZIP_MAGIC):
        return _gzip(stream)
    if head.startswith(ZSTD_MAGIC):
        return Zstd(stream)
    if head.startswith(XZ_MAGIC):
        return Other(stream, "xz")
    if head.startswith(BZIP2_MAGIC):
        return Other(stream, "bzip2")
    return stream
