"""What is cut off is told as such, wherever it is cut: half an archive is none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random

import pytest
import zstandard

from core.errors import Corrupt
from core.images.tar.compression import CHUNK, open_archive

NOISE = random.Random(4).randbytes(3000)
LARGE = NOISE + bytes(400_000) + NOISE
"""Several blocks, one of them of one byte many times."""
SKIPPED = b"\x5a\x2a\x4d\x18" + (300).to_bytes(4, "little") + bytes(300)
PACKED = {
    "gzip": gzip.compress(NOISE),
    "xz": lzma.compress(NOISE),
    "bzip2": bz2.compress(NOISE),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(NOISE),
    "zstd without a checksum": zstandard.ZstdCompressor(write_checksum=False).compress(NOISE),
    "zstd of unknown size": zstandard.ZstdCompressor(write_content_size=False).compress(NOISE),
    "zstd blocks": zstandard.ZstdCompressor().compress(LARGE),
}


class Slow(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, CHUNK if size is None or size < 0 else size))


def unpacked(source: io.BytesIO) -> bytes:
    stream = open_archive(source)
    return b"".join(iter(lambda: stream.read(CHUNK), b""))


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_cut_off_is_never_taken_for_the_whole(kind: str) -> None:
    data = PACKED[kind]
    assert unpacked(io.BytesIO(data)) in (NOISE, LARGE)
    for end in {*range(7, len(data), 97), *range(len(data) - 12, len(data))}:
        with pytest.raises(Corrupt, match="cut off"):
            unpacked(io.BytesIO(data[:end]))


@pytest.mark.parametrize("source", [io.BytesIO, Slow])
def test_zstd_frames_in_a_row(source: type[io.BytesIO]) -> None:
    frames = PACKED["zstd"] + SKIPPED + PACKED["zstd blocks"] + SKIPPED
    assert unpacked(source(frames)) == NOISE + LARGE
    for end in (len(frames) - 1, len(frames) - len(SKIPPED) + 3, len(PACKED["zstd"]) + 2):
        with pytest.raises(Corrupt, match="cut off"):
            unpacked(source(frames[:end]))


def test_garbage_behind_zstd_is_told() -> None:
    with pytest.raises(Corrupt, match="damaged"):
        unpacked(io.BytesIO(PACKED["zstd"] + NOISE))
