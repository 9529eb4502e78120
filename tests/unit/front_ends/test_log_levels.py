"""What a log line says about itself: its level, JSON in words, the order of merged logs."""

from __future__ import annotations

import threading
import time

import pytest

from core.containers.log.blocks import Block, FileBlock
from core.containers.log.writer import entry
from tui.theme import plain
from tui.widgets.log.levels import (
    DEBUG,
    ERROR,
    INFO,
    WARN,
    find_level,
    pretty_json,
    read_json,
    short_json,
)
from tui.widgets.log.merged import MergedLog, colourless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-24 12:00:00 ERROR it broke", ERROR),
        ("[warn] slow", WARN),
        ("time=x level=info msg=y", INFO),
        ('{"level":"debug"}', DEBUG),
        ("W1124 12:00:00.1 1 x.go:5] slow", WARN),
        ("postgres: LOG: done, FATAL: no", ERROR),
        ("error: cannot open", ERROR),
        ("there was no error at all", 0),
        ("no-error-here ERRORS", 0),
        ("", 0),
    ],
)
def test_a_level_is_found_where_it_stands_out(line: str, level: int) -> None:
    found, start, end = find_level(line)
    assert found == level
    assert (start < end) is bool(level)


def test_json_lines_are_told_in_words() -> None:
    document = read_json(' {"level":40,"msg":"b\\u001b[2J","time":1,"n":[1,2],"ok":true} ')
    assert document is not None
    assert plain(short_json(document)) == "ERROR b\\x1b[2J  n=[1, 2]  ok=true"
    hostile = read_json('{"level":"\\u001b[2J","\\u001b]0;x\\u0007":1}')
    assert hostile is not None
    assert plain(short_json(hostile)) == "\\X1B[2J  \\x1b]0;x\\x07=1"
    assert pretty_json({"a": {"b": "ü"}}) == ["{", '  "a": {', '    "b": "ü"', "  }", "}"]


@pytest.mark.parametrize("line", ["[1]", "{", "{'a': 1}", "{" * 10_000 + "}" * 10_000, "x {} y"])
def test_other_lines_are_no_json(line: str) -> None:
    assert read_json(line) is None


def _line(seconds: int, text: str) -> tuple[int, bytes]:
    return 1, f"2026-11-24T19:47:{seconds:02}.123456789Z {text}".encode()


def test_merged_logs_are_in_the_order_of_their_times() -> None:
    def source(*seconds: int) -> Callable[[Callable[[], bool]], Iterator[list[tuple[int, bytes]]]]:
        def read(_: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
            for second in seconds:
                yield [_line(second, f"at {second}\n")]

        return read

    merged = MergedLog([("web", source(1, 4, 5)), ("worker", source(2, 3))])
    lines = [bytes(text).decode() for lot in merged(lambda: False) for _, text in lot]
    assert [line.rpartition(" ")[2].strip() for line in lines] == ["1", "2", "3", "4", "5"]
    assert "Z \x1b[36mweb   \x1b[0m at 1\n" in lines[0]
    assert b"Z web    at 1\n" in colourless(lines[0].encode())
    assert colourless(_line(1, "\x1b[31mweb")[1]) == _line(1, "\x1b[31mweb")[1]
    assert merged.named == len("worker ")


def test_blocks_of_merged_logs_are_sorted_when_somebody_looks() -> None:
    def source(name: str, *seconds: int) -> Callable[[Callable[[], bool]], Iterator[Block]]:
        stamps = [f"2026-11-24T19:47:{second:02}.123456789Z".encode() for second in seconds]
        data = b"".join(entry(1, name.encode() + b"\n", stamp) for stamp in stamps)
        return lambda _: iter([FileBlock(data, len(seconds))])

    merged = MergedLog([("web", source("w", *range(0, 60, 2))), ("db", source("d", 1, 3, 59))])
    (lot,) = merged(lambda: False)
    assert isinstance(lot, Block)
    assert len(lot) == 33
    lines = [colourless(text).decode() for _, text in lot]
    assert lines == sorted(lines)
    assert lines[1] == "2026-11-24T19:47:01.123456789Z db  d\n"


def test_merged_logs_go_on_join_pieces_and_outlive_a_failure() -> None:
    go, stop = threading.Event(), threading.Event()

    def slow(_: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
        yield [_line(1, "be")]
        yield [(1, b"gun\n")]
        go.wait(5)
        yield [_line(2, "later\n")]
        stop.wait(60)

    def broken(_: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
        yield [_line(0, "first\n")]
        raise OSError("gone")

    source = MergedLog([("a", slow), ("b", broken)])(stop.is_set)
    seen: list[str] = []
    while len(seen) < 3:
        seen += [bytes(text).decode() for _, text in next(source)]
    assert any("begun\n" in line for line in seen)
    assert any("gone\n" in line for line in seen)
    go.set()
    assert [b"later" in text for _, text in next(source)] == [True]
    stop.set()
    started = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - started < 20
