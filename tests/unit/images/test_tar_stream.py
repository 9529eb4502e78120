"""A layer's bytes in exact numbers, inflated as they are wanted or ahead."""

from __future__ import annotations

import hashlib
import io
from random import Random

import pytest

from core.errors import Corrupt, ImageError
from core.images.tar.compression import Hashed, open_layer
from core.images.tar.stream import CHUNK, Chunks, TarStream

CONTENT = Random(1).randbytes(3 * CHUNK + 1000)


class Opened:
    """A stream of `content`, and what is known of it on the way."""

    def __init__(self, content: bytes, *, ahead: bool, ceiling: int = 1 << 30) -> None:
        self.blob, self.tar = hashlib.sha256(), hashlib.sha256()
        self.told: list[int] = []
        source = Hashed(io.BytesIO(content), self.blob)
        layer = open_layer(source, "tar")
        chunks = Chunks(layer, source, self.tar, ceiling, self.told.append)
        self.stream = TarStream(chunks, ahead=ahead)


@pytest.mark.parametrize("ahead", [False, True])
def test_all_bytes_come_and_are_summed_up(ahead: bool) -> None:
    opened = Opened(CONTENT, ahead=ahead)
    stream, choice = opened.stream, Random(2)
    got = b""
    while not stream.ended():
        left = len(CONTENT) - len(got)
        wanted = min(left, choice.choice((1, 511, CHUNK, CHUNK + 7)))
        got += stream.read(wanted) if choice.random() < 0.5 else bytes(stream.some(wanted))
    assert got == CONTENT
    assert opened.tar.digest() == opened.blob.digest() == hashlib.sha256(CONTENT).digest()
    assert opened.told == sorted(opened.told)
    with pytest.raises(Corrupt, match="in the middle"):
        stream.read(1)


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_not_read_is_summed_up_all_the_same(ahead: bool) -> None:
    opened = Opened(CONTENT, ahead=ahead)
    opened.stream.read(5)
    opened.stream.finish()
    assert opened.tar.digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize("ahead", [False, True])
def test_more_bytes_than_allowed(ahead: bool) -> None:
    stream = Opened(CONTENT, ahead=ahead, ceiling=2 * CHUNK).stream
    with pytest.raises(ImageError, match="more than"):
        stream.read(len(CONTENT))
    assert stream.ended()


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("ceiling", [2 * CHUNK, 1 << 30])
def test_what_is_abandoned_is_summed_up_as_a_blob(ahead: bool, ceiling: int) -> None:
    opened = Opened(CONTENT, ahead=ahead, ceiling=ceiling)
    opened.stream.read(5)
    if ceiling < len(CONTENT):
        with pytest.raises(ImageError):
            opened.stream.finish()
    opened.stream.abandon()
    assert opened.stream.ended()
    assert opened.blob.digest() == hashlib.sha256(CONTENT).digest()
