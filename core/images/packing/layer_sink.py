"""Takes a layer's tar bytes once, and makes of them a compressed blob and both digests.

One thread sums up, one compresses: both run without the interpreter's lock while the caller
reads the next files.  What waits between them is bounded.

isal makes the same bytes on every x86-64 processor since SSE4.2, older ones differ (tried
under emulation: Core 2, Nehalem, Haswell, AVX-512); zstd does everywhere.  A layer's diff ID is
that of the tar, whatever compressed it.
"""

from __future__ import annotations

import os
from queue import Queue
from threading import Thread

from core.errors import UsageError
from core.images.digest import hasher
from core.linux.filesystem import start_writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK = 1 << 20
"""Compressors are fed exactly so much at once: what they make of it may depend on that."""
AHEAD = 4
SUFFIXES = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}
"""Of a layer's media type, by compression."""
GZIP_LEVEL, ZSTD_LEVEL = 2, 3
BEGIN_EVERY = 8 << 20
"""Bytes of a blob after which the disk gets them: there is less to wait for at the end."""


class LayerSink:
    """Writes to `fd`; after `finish` the digests, `blob_size` and `size` are known.

    Without `summed` there is no `diff_id`.  Raises what writing raises (OSError: no space), from
    `write` or `finish`.
    """

    def __init__(self, fd: int, compression: str = "gzip", *, summed: bool = True) -> None:
        self._fd = fd
        self._compress, self._flush = compressor(compression)
        self._plain, self._packed = hasher(), hasher()
        self._parts: list[bytes] = []
        self._waiting = 0
        self._failure: BaseException | None = None
        works = (self._plain.update, self._pack) if summed else (self._pack,)
        self._workers = [Worker(work, self._fail) for work in works]
        self.size = self.blob_size = self._begun = 0

    @property
    def diff_id(self) -> str:
        """Digest of the tar."""
        return f"sha256:{self._plain.hexdigest()}"

    @property
    def digest(self) -> str:
        """Digest of what was written."""
        return f"sha256:{self._packed.hexdigest()}"

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._parts.append(data)
        self._waiting += len(data)
        self.size += len(data)
        if self._waiting >= CHUNK:
            self._hand_on()

    def finish(self) -> None:
        """Bring everything to the file, and its bytes to the disk's cache."""
        self._hand_on()
        rest = b"".join(self._parts)
        for worker in self._workers:
            if rest:
                worker.put(rest)
            worker.end()
        self._raise()
        self._store(self._flush())

    def abandon(self) -> None:
        """Let the threads end; nothing is to be relied on."""
        for worker in self._workers:
            worker.end()

    def _hand_on(self) -> None:
        if self._waiting < CHUNK:
            return
        self._raise()
        data = memoryview(b"".join(self._parts))
        end = len(data) - len(data) % CHUNK
        for start in range(0, end, CHUNK):
            for worker in self._workers:
                worker.put(data[start : start + CHUNK])
        self._parts = [bytes(data[end:])]
        self._waiting = len(data) - end

    def _pack(self, data: bytes | memoryview) -> None:
        self._store(self._compress(data))

    def _store(self, packed: bytes) -> None:
        self._packed.update(packed)
        self.blob_size += len(packed)
        view = memoryview(packed)
        while view:
            view = view[os.write(self._fd, view) :]
        if self.blob_size - self._begun >= BEGIN_EVERY:
            start_writing(self._fd, self._begun, self.blob_size - self._begun)
            self._begun = self.blob_size

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


class Worker:
    """A thread that does one thing with each chunk, in order; after a failure, nothing."""

    def __init__(self, work: Callable[[Any], None], fail: Callable[[BaseException], None]) -> None:
        self._work = work
        self._fail = fail
        self._chunks: Queue[Any] = Queue(AHEAD)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, chunk: Any) -> None:
        """Hand on something that is not empty."""
        self._chunks.put(chunk)

    def end(self) -> None:
        """Return when all is done, or has failed."""
        if self._thread.is_alive():
            self._chunks.put(b"")
            self._thread.join()

    def _run(self) -> None:
        failed = False
        while chunk := self._chunks.get():
            if failed:
                continue
            try:
                self._work(chunk)
            except Exception as error:  # noqa: BLE001 - raised where the bytes come from
                failed = True
                self._fail(error)


def compressor(compression: str) -> tuple[Callable[[Any], bytes], Callable[[], bytes]]:
    """Return what compresses a chunk and what ends the stream; UsageError for no known name."""
    packer: Any
    if compression == "gzip":
        from isal import isal_zlib

        packer = isal_zlib.compressobj(GZIP_LEVEL, wbits=31)
    elif compression == "zstd":
        import zstandard

        packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
    elif compression == "none":
        return (lambda data: data), (lambda: b"")
    else:
        raise UsageError(
            f"compression {compression!r} is not known", hint=f"one of: {', '.join(SUFFIXES)}"
        )
    return packer.compress, packer.flush
