"""The ring of a log view: bounded, in order, pieces put together; and what reaches a terminal."""

from __future__ import annotations

import re
import time
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from rich.style import Style

from core.containers.log.blocks import Block, in_blocks
from core.containers.log.writer import entry
from tui.widgets.ansi import breaks, cut, over, pieces, plain_text, spans
from tui.widgets.log.ring import COST, FEW, MANY, MOST_LOOKED_INTO, NEWEST, Kept, LogRing, Matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.log.blocks import Line

BODIES = st.binary(max_size=40).map(lambda body: body.replace(b"\n", b" "))
PIECES = st.lists(
    st.tuples(st.sampled_from((1, 2)), st.builds(lambda b, end: b + end, BODIES,
                                                 st.sampled_from((b"\n", b"\n", b""))))
)  # fmt: skip


def joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Put pieces together the slow way."""
    lines: list[tuple[int, bytes]] = []
    begun: dict[int, int] = {}
    for stream, text in pieces:
        if stream in begun:
            lines[begun[stream]] = (stream, lines[begun[stream]][1] + text)
        else:
            lines.append((stream, text))
            begun[stream] = len(lines) - 1
        if text.endswith(b"\n"):
            del begun[stream]
    return lines


def content(ring: LogRing) -> list[tuple[int, bytes]]:
    return [(stream, bytes(text)) for stream, text in ring.lines(ring.first, ring.end)]


class Counted(Block):
    """Lines that tell whether somebody has looked at them."""

    def __init__(self, lines: list[Line]) -> None:
        self.size = sum(len(text) for _, text in lines)
        self.looks = 0
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> list[Line]:
        self.looks += 1
        return self._lines


def numbered(start: int, count: int) -> list[Line]:
    return [(1 + n % 2, b"line %d\n" % n) for n in range(start, start + count)]


@given(PIECES)
def test_lines_keep_their_order_and_pieces_their_line(pieces: list[tuple[int, bytes]]) -> None:
    ring = LogRing(1 << 20)
    for piece in pieces:
        ring.extend([piece])
    assert content(ring) == joined(pieces)
    assert ring.size_bytes == sum(len(text) + COST for _, text in content(ring))


@given(PIECES, st.integers(COST, 1000), st.integers(1, 10))
def test_bounds_hold_whatever_comes(
    pieces: list[tuple[int, bytes]], most_bytes: int, most_lines: int
) -> None:
    ring = LogRing(most_bytes, most_lines)
    for piece in pieces:
        ring.extend([piece])
        assert len(ring) <= most_lines
        assert ring.size_bytes <= most_bytes or len(ring) == 1
        assert ring.size_bytes == sum(len(text) + COST for _, text in content(ring))
    if all(text.endswith(b"\n") for _, text in pieces):
        assert ring.end == len(pieces)
        assert content(ring) == pieces[ring.first :]


LOTS = st.lists(st.tuples(st.booleans(), st.sampled_from((1, 2, FEW - 1, FEW, 3 * MANY))))


@given(LOTS, st.integers(1, 100_000), st.integers(1, 2000))
def test_blocks_and_single_lines_are_one_log(
    lots: list[tuple[bool, int]], most_bytes: int, most_lines: int
) -> None:
    ring = LogRing(most_bytes, most_lines)
    count = newest = 0
    for is_block, size in lots:
        lines = numbered(count, size)
        ring.extend(Counted(lines) if is_block else lines)
        count += size
        newest = size if is_block and size >= FEW else 1
        within = ring.size_bytes <= most_bytes and len(ring) <= most_lines
        assert within or len(ring) == newest
        assert ring.size_bytes > 0
    assert (ring.end, ring.first + len(ring)) == (count, count)
    kept = numbered(ring.first, len(ring))
    assert content(ring) == kept
    assert [ring[n] for n in range(ring.first, ring.end)] == kept
    middle = ring.first + len(ring) // 2
    assert list(ring.lines(middle, middle + 5)) == kept[len(ring) // 2 :][:5]


def test_what_nobody_looks_at_is_not_taken_apart() -> None:
    ring = LogRing(100_000)
    blocks = [Counted(numbered(n * 1000, 1000)) for n in range(100)]
    for block in blocks:
        ring.extend(block)
    assert ring.first > 80_000
    for number in range(ring.end - 50, ring.end):
        assert ring[number][1] == b"line %d\n" % number
    assert [block.looks for block in blocks] == [0] * 99 + [1]


def test_of_what_was_looked_at_little_is_remembered() -> None:
    ring = LogRing(1 << 30)
    blocks = [Counted(numbered(n * 1000, 1000)) for n in range(50)]
    for block in blocks:
        ring.extend(block)
    assert len(list(ring.lines(0, ring.end))) == 50_000
    assert sum(map(len, ring._looked_into.values())) <= MOST_LOOKED_INTO
    assert [block.looks for block in blocks] == [1] * 50


def test_a_copy_stays_as_it_was() -> None:
    ring = LogRing(1 << 20)
    ring.extend(Counted(numbered(0, 100)))
    ring.extend([(1, b"ended\n"), (2, b"be")])
    ring.extend([(2, b"gun")])
    copied = ring.copy()
    ring.extend([(2, b" and ended\n"), (1, b"new\n")])
    ring.extend(Counted(numbered(0, 100)))
    assert content(copied) == [*numbered(0, 100), (1, b"ended\n"), (2, b"begun")]
    assert ring[101] == (2, b"begun and ended\n")


def test_one_line_longer_than_the_ring_stays_alone() -> None:
    ring = LogRing(1000)
    ring.extend([(1, b"a\n"), (1, b"x" * 5000 + b"\n")])
    assert (ring.first, len(ring)) == (1, 1)


@given(st.lists(st.sampled_from((b"error one\n", b"fine\n", b"\x1b[31mERR\x1b[mOR\n"))))
def test_a_filter_finds_what_the_slow_way_finds(bodies: list[bytes]) -> None:
    ring = LogRing(600)
    kept = Kept(ring, Matches("error"))
    for body in bodies:
        ring.extend([(1, body)])
        kept.scan()
    expected = [n for n in range(ring.first, ring.end) if "error" in plain_text(ring[n][1]).lower()]
    assert list(kept.numbers) == expected


TEXTS = st.lists(
    st.sampled_from(
        (b"error", b"ERR", b"OR", b"\x1b[31m", b"\x1b", b" ", b'"', b"\\", b"\xff", b"u00", b"k",
         "\u212a".encode(), "\u017f".encode(), b"\xc2\x9bm", b"stdout")
    ), max_size=5,
).map(b"".join)  # fmt: skip


@given(
    st.lists(TEXTS, min_size=FEW, max_size=2 * FEW),
    st.sampled_from(
        ("error", "Error", "err", "ERR", "k", "s", "std", "r OR", "e.r", "!error", "[")
    ),
)
@example([b"ERR\x1b[31mOR"] + [b"fine"] * FEW, "error")
@example([b"error", b"ERR\x1b[31mOR"] + [b"fine"] * FEW, "error")
@example(["\u212a".encode()] * FEW, "k")
def test_what_rules_a_block_out_is_right(texts: list[bytes], wanted: str) -> None:
    ring = LogRing(1 << 20)
    matches = Matches(wanted)
    stamp = b"2026-11-24T19:47:17.123456789Z"
    data = b"".join(entry(1, text + b"\n", stamp) for text in texts)
    (block,) = in_blocks([data])
    ring.extend(block)
    kept = Kept(ring, matches, len(stamp) + 1, matches.rules_out)
    kept.scan(60)
    lines = [plain_text(stamp + b" " + text)[len(stamp) + 1 :] for text in texts]
    assert list(kept.numbers) == [number for number, text in enumerate(lines) if matches(text)]


def test_a_filter_that_lines_overtake_goes_on_with_the_newest() -> None:
    ring = LogRing(1 << 30, 4 * NEWEST)
    kept = Kept(ring, Matches("[0-9]"))
    kept.scan(60)
    ring.extend(numbered(0, 4 * NEWEST))
    assert kept.pending == 4 * NEWEST
    kept.scan(60)
    assert (kept.missed, kept.pending) == (0, 0)
    ring.extend(numbered(ring.end, 5 * NEWEST))
    kept.scan(60)
    assert kept.missed == 4 * NEWEST
    assert list(kept.numbers) == list(range(8 * NEWEST, 9 * NEWEST))


def test_a_block_without_the_word_is_not_taken_apart() -> None:
    matches = Matches("needle")
    ring = LogRing(1 << 20)

    class Data(Counted):
        def lacks(self, rules_out: Callable[[bytes], bool]) -> bool:
            return rules_out(b"".join(bytes(text) for _, text in self._lines))

    blocks = [Data(numbered(n * 100, 100)) for n in range(10)]
    blocks[4]._lines[50] = (1, b"a Needle\n")
    for block in blocks:
        ring.extend(block)
    kept = Kept(ring, matches, 0, matches.rules_out)
    kept.scan(60)
    assert list(kept.numbers) == [450]
    assert kept.pending == 0
    looks = [block.looks for block in blocks]
    assert looks == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_capitals_count_and_broken_expressions_are_words() -> None:
    assert Matches("error")("ERROR")
    assert not Matches("Error")("error")
    assert Matches("[oops")("an [oops")
    assert Matches("a.c|x+").ranges("abc xx") == [(0, 3), (4, 6)]


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.binary(max_size=200))
def test_no_byte_of_a_container_steers_the_terminal(line: bytes) -> None:
    shown = "".join(text for text, _ in spans(line.decode("utf-8", "replace")))
    assert not CONTROL.search(shown)


def test_a_private_sequence_is_no_colour() -> None:
    assert spans("\x1b[?mtext\x1b[>4;1mend") == [("text", Style.null()), ("end", Style.null())]


@given(st.text(alphabet="\x1b[]P\\;?0123456789mHJ\x07ab\x9b\x9d\r\t\x08\u202e", max_size=60))
def test_no_sequence_is_left_of_hostile_text(text: str) -> None:
    assert not CONTROL.search("".join(part for part, _ in spans(text)))


def test_colours_are_kept_and_the_rest_is_not() -> None:
    parts = spans("\x1b[1;38;5;202mhot\x1b[0m \x1b]52;c;aGk=\x07\x1b[2Jend\x07")
    assert [text for text, _ in parts] == ["hot", " ", "end", "\\x07"]
    assert parts[0][1].bold
    assert parts[0][1].color is not None
    assert parts[0][1].color.number == 202
    hidden = spans("\x1b[8;5msecret")[0][1]
    assert not hidden.conceal
    assert not hidden.blink


def test_tabs_stop_at_eight() -> None:
    assert "".join(text for text, _ in spans("a\tb日\tc")) == "a       b日     c"


@given(st.text(alphabet="ab日é", max_size=60), st.integers(2, 9))
def test_wrapping_loses_nothing_and_fits(text: str, width: int) -> None:
    from rich.cells import cell_len

    places = breaks(text, width)
    rows = [text[start:end] for start, end in pairwise(places)]
    assert "".join(rows) == text
    assert all(cell_len(row) <= width for row in rows)


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_cutting_and_overlaying_keep_the_text(text: str, start: int, length: int) -> None:
    parts = spans(text)
    whole = "".join(part for part, _ in parts)
    end = min(len(whole), start + length)
    if start < end:
        assert "".join(part for part, _ in cut(parts, start, end)) == whole[start:end]
        style = parts[0][1]
        assert "".join(part for part, _ in over(parts, [(start, end)], style)) == whole


@given(st.lists(st.text(alphabet="ab日", max_size=9), max_size=9), st.integers(2, 9))
def test_pieces_are_what_is_cut_out(texts: list[str], width: int) -> None:
    parts = [(text, Style(bold=bool(place % 2))) for place, text in enumerate(texts)]
    places = breaks("".join(texts), width)
    expected = [cut(parts, start, end) for start, end in pairwise(places)]
    found = pieces(parts, places[1:])
    assert [[part for part in row if part[0]] for row in found] == [
        [part for part in row if part[0]] for row in expected
    ]


def test_a_hostile_line_of_a_megabyte_is_shown_soon() -> None:
    began = time.process_time()
    start = spans("a\t" + "b" * (1 << 20), 80)
    assert 80 <= sum(len(text) for text, _ in start) < 10_000
    parts = spans("\x07b" * 40_000)  # a span a sign
    rows = pieces(parts, breaks("".join(text for text, _ in parts), 80)[1:])
    assert len(rows) == 40_000 * 5 / 80
    assert time.process_time() - began < 2
