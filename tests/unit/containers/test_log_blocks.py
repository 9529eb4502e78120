"""Blocks of a log tell how many lines they are, and are the lines that the log shows."""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.log import reader
from core.containers.log.blocks import Block, FileBlock, in_blocks, whole_lines
from core.containers.log.reader import Follower, follow, read_log, show
from core.containers.log.writer import MAX_LINE, LogWriter, entry, timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = timestamp(1_700_000_000_123_456_789)
NASTY = st.lists(
    st.sampled_from(
        (b"\\", b"n", b'"', b"\n", b"\xff", "短".encode(), b"\x1b", b'{"log":"', b'Z"}', b"x")
    )
).map(b"".join)
OUTPUT = st.lists(st.tuples(st.sampled_from((1, 2)), NASTY | st.binary(max_size=60)), max_size=30)


@given(OUTPUT)
def test_blocks_are_what_the_log_shows(output: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        writer = LogWriter(path, 2000, 100)
        pieces = []
        with Follower(path) as follower:
            for stream, data in output:
                writer.write(stream, data)
                if len(data) % 3 == 0:
                    pieces += list(follower.blocks())
            writer.close()
            pieces += list(follower.blocks())
        found = []
        for lot in in_blocks(pieces):
            assert len(list(lot)) == len(lot)
            if isinstance(lot, Block):
                assert all(text.endswith(b"\n") for _, text in lot)
            found += list(lot)
        assert found == list(show(read_log(path), timestamps=True))


@pytest.mark.parametrize(
    "text",
    [
        b"GET /\n",
        b'{"msg":"a \\"b\\" c"}\n',
        b"tab\there\n",
        b"\xff\n",
        b"C:\\new\n",
        "短\n".encode(),
    ],
)
def test_usual_lines_are_kept_as_they_stand(text: bytes) -> None:
    data = b"".join(entry(1 + number % 2, text, STAMP) for number in range(5))
    (block,) = in_blocks([data])
    assert isinstance(block, FileBlock)
    assert list(block) == [(1 + number % 2, STAMP + b" " + text) for number in range(5)]


@pytest.mark.parametrize("text", [b"x" * MAX_LINE, b"no end", b"ends in a backslash and an n: \\n"])
def test_a_line_in_parts_is_no_line_of_a_block(text: bytes) -> None:
    lines = entry(1, b"one\n", STAMP), entry(1, text, STAMP), entry(1, b"its end\n", STAMP)
    found = list(in_blocks([lines[0] + lines[1], lines[2], lines[0]]))
    assert [isinstance(lot, Block) for lot in found] == [False, False, True]
    assert [bytes(piece) for lot in found for _, piece in lot] == [
        STAMP + b" one\n", STAMP + b" " + text, b"its end\n", STAMP + b" one\n",
    ]  # fmt: skip


def test_damaged_lines_are_passed_over() -> None:
    good = entry(1, b"good\n", STAMP)
    for damaged in (b"\0\0\0\n", good[:20] + b"\n", good[:30]):
        found = [bytes(text) for lot in in_blocks([good + damaged + good]) for _, text in lot]
        assert found[0] == found[-1] == STAMP + b" good\n"


PARTS = (b'{"log":"', b"\\n", b'","stream":"stdout"', b',"time":"', STAMP, b'Z"}\n', b"\\", b'"',
         b"\n", b"\xff", entry(1, b"good\n", STAMP), entry(2, b'"\n', STAMP))  # fmt: skip


@given(st.lists(st.sampled_from(PARTS)).map(b"".join))
def test_whatever_stands_in_the_file_a_block_has_as_many_lines_as_it_says(data: bytes) -> None:
    if count := whole_lines(data):
        assert len(FileBlock(data, count).lines()) == count
    assert sum(len(lot) for lot in in_blocks([data])) >= count


def test_a_log_that_grows_all_the_time_is_not_looked_at_for_every_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(str(tmp_path / "log"), 0, 1)
    monkeypatch.setattr(reader, "LOOK_S", 0.02)
    looks: list[float] = []
    follower = Follower(str(tmp_path / "log"))

    def look() -> Iterator[bytes]:
        looks.append(time.monotonic())
        for number in range(10):
            writer.write(1, b"%d %d\n" % (len(looks), number))
        return follower.blocks()

    lots = list(follow(str(tmp_path), follower, lambda: len(looks) < 5, look))
    writer.close()
    assert b"".join(lots).count(b"\n") == len(looks) * 10
    assert all(after - before > 0.015 for before, after in pairwise(looks))
