"""What the log writer writes, the reader reads back, through rotations and damage."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.log import reader
from core.containers.log.reader import Follower, parse_entry, read_log, show
from core.containers.log.writer import MAX_LINE, LogWriter, entry, log_names, timestamp

OUTPUT = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=200)), max_size=30)


def read(path: Path, **how: float) -> list[tuple[int, bytes]]:
    return [(found.stream, found.text) for found in read_log(str(path), **how)]  # type: ignore[arg-type]


@given(OUTPUT, st.integers(0, 2000))
def test_every_byte_comes_back_in_order(output: list[tuple[int, bytes]], limit: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log"
        writer = LogWriter(str(path), limit, 100)
        for stream, data in output:
            writer.write(stream, data)
        writer.close()
        found = read(path)
        for stream in (1, 2):
            written = b"".join(data for number, data in output if number == stream)
            assert b"".join(text for number, text in found if number == stream) == written
        for name in log_names(str(path), 100):
            if os.path.exists(name) and limit:
                lines = Path(name).read_bytes().splitlines()
                assert Path(name).stat().st_size <= limit or len(lines) == 1


@given(st.text(max_size=300))
def test_text_is_plain_json_that_docker_would_have_written(text: str) -> None:
    line = entry(2, text.encode("utf-8", "surrogatepass"), timestamp(0))
    if "\ud800" <= max(text, default="") <= "\udfff":
        return
    assert json.loads(line) == {
        "log": text,
        "stream": "stderr",
        "time": "1970-01-01T00:00:00.000000000Z",
    }


@given(st.binary(max_size=300), st.sampled_from([1, 2]))
def test_an_entry_is_parsed_as_it_was_written(text: bytes, stream: int) -> None:
    found = parse_entry(entry(stream, text, timestamp(1_700_000_000_123_456_789)))
    assert found is not None
    assert (found.stream, found.text, found.time) == (
        stream, text, b"2023-11-14T22:13:20.123456789Z"
    )  # fmt: skip


@given(st.integers(1, 200), st.integers(0, 210), st.integers(1000, 6000))
def test_tail_gives_the_last_entries_across_files(count: int, tail: int, limit: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log"
        writer = LogWriter(str(path), limit, 100)
        lines = [b"%d\n" % number for number in range(count)]
        writer.write(1, b"".join(lines))
        writer.close()
        assert [text for _, text in read(path, tail=tail)] == lines[len(lines) - min(tail, count) :]


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"), 300, 3)
    for number in range(100):
        writer.write(1, b"line %d\n" % number)
    writer.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    assert read(tmp_path / "log")[-1] == (1, b"line 99\n")


def test_one_file_is_started_anew(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"), 300, 1)
    for number in range(100):
        writer.write(1, b"line %d\n" % number)
    writer.close()
    assert os.listdir(tmp_path) == ["log"]
    assert (tmp_path / "log").stat().st_size <= 300


def test_a_long_line_is_cut_in_entries(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"), 0, 1)
    line = b"x" * (2 * MAX_LINE + 5) + b"\n"
    for start in range(0, len(line), 1000):
        writer.write(1, line[start : start + 1000])
    writer.close()
    found = read(tmp_path / "log")
    assert [len(text) for _, text in found] == [MAX_LINE, MAX_LINE, 6]
    shown = b"".join(text for _, text in show(read_log(str(tmp_path / "log")), timestamps=True))
    assert shown.count(b"Z ") == 1


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    good = entry(1, b"good\n", timestamp(0))
    (tmp_path / "log").write_bytes(b"\0\0\0\n" + good + good[:20] + b"\n" + good + good[:30])
    assert read(tmp_path / "log") == [(1, b"good\n")] * 2


def test_since_and_until(tmp_path: Path) -> None:
    lines = [entry(1, b"%d\n" % second, timestamp(second * 10**9)) for second in range(10)]
    (tmp_path / "log").write_bytes(b"".join(lines))
    assert [text for _, text in read(tmp_path / "log", since=3, until=5)] == [
        b"3\n", b"4\n", b"5\n",
    ]  # fmt: skip


@given(st.lists(st.binary(min_size=1, max_size=120), min_size=1, max_size=40))
def test_a_follower_loses_nothing_when_files_rotate_under_it(chunks: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        writer = LogWriter(path, 250, 200)
        seen = []
        with Follower(path) as follower:
            for chunk in chunks:
                writer.write(1, chunk + b"\n")
                if chunk[0] % 3:
                    seen += [found.text for found in follower.read()]
            writer.close()
            seen += [found.text for found in follower.read()]
        assert b"".join(seen) == b"".join(chunk + b"\n" for chunk in chunks)


def test_a_full_disk_loses_whole_lines_only() -> None:
    writer = LogWriter("/dev/full", 0, 1)
    writer.write(1, b"one\ntwo\n")
    writer.close()
    assert writer.lost == 2


def test_a_file_that_cannot_be_begun_leaves_the_log_where_it_is(tmp_path: Path) -> None:
    """The directory is gone, or the disk has no inodes left: the container goes on."""
    (tmp_path / "home").mkdir()
    writer = LogWriter(str(tmp_path / "home/log"), 200, 3)
    writer.write(1, b"one\n")
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    writer.write(1, b"two\n" * 5)
    (tmp_path / "elsewhere").rename(tmp_path / "home")
    writer.write(1, b"three\n")
    writer.close()
    texts = [text for _, text in read(tmp_path / "home/log")]
    assert texts == [b"one\n", *[b"two\n"] * 5, b"three\n"]
    assert sorted(os.listdir(tmp_path / "home")) == ["log", "log.1"]


@pytest.mark.parametrize("missing", [True, False])
def test_an_empty_log(tmp_path: Path, missing: bool) -> None:
    if not missing:
        (tmp_path / "log").touch()
    assert read(tmp_path / "log") == []
    assert read(tmp_path / "log", tail=5) == []


@pytest.mark.parametrize("begin", [True, False])
def test_a_file_that_is_renamed_while_files_are_opened_is_read_once(
    begin: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), 1 << 20, 5)
    writer.write(1, b"one\n")
    follower = Follower(str(path))
    if not begin:
        assert [found.text for found in follower.read()] == [b"one\n"]
        writer._rotate()
        writer.write(1, b"two\n")
    opened = []
    real = reader._File.open

    def rotating(name: str) -> object:
        found = real(name)
        opened.append(name)
        if len(opened) == 1:
            writer._rotate()  # what was just opened is called log.1 from now on
            writer.write(1, b"three\n")
        return found

    monkeypatch.setattr(reader._File, "open", rotating)
    if begin:
        follower = Follower(str(path))
    texts = [found.text for found in follower.read()]
    monkeypatch.undo()
    texts += [found.text for found in follower.read()]
    assert texts == ([b"one\n", b"three\n"] if begin else [b"two\n", b"three\n"])
    writer.close()


def test_files_that_rotate_while_they_are_opened_stay_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "log")
    writer = LogWriter(path, 100, 100)  # a line a file
    real, opened, written = reader._File.open, 0, 0

    def write(count: int) -> None:
        nonlocal written
        for _ in range(count):
            writer.write(1, b"%d\n" % written)
            written += 1

    def open_and_rotate(name: str) -> reader._File | None:
        nonlocal opened
        found, opened = real(name), opened + 1
        write(2 if opened in (1, 4, 20) else 0)
        return found

    write(5)
    monkeypatch.setattr(reader._File, "open", open_and_rotate)
    with Follower(path) as follower:
        numbers = [int(found.text) for found in follower.read()]
        write(3)
        numbers += [int(found.text) for found in follower.read()]
    assert written > 10
    assert numbers == list(range(written))
    writer.close()


def test_a_rotation_that_was_killed_hides_no_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), 100, 100)
    for number in range(4):
        writer.write(1, b"%d\n" % number)
    writer.close()
    for number in (3, 2, 1):
        (tmp_path / f"log.{number}").rename(tmp_path / f"log.{number + 1}")
    assert [text for _, text in read(path)] == [b"0\n", b"1\n", b"2\n", b"3\n"]


def test_a_log_that_is_rotated_away_while_it_is_read_has_no_hole(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"), 300, 3)
    numbers = iter(range(100))

    def write(count: int) -> None:
        for _ in range(count):
            writer.write(1, b"%d\n" % next(numbers))

    write(10)
    entries = read_log(str(tmp_path / "log"))
    found = [int(next(entries).text)]
    write(50)
    found += [int(one.text) for one in entries]
    assert len(found) > 3
    assert found == list(range(found[0], found[0] + len(found)))
    writer.close()
