"""What is written about a layer's files is read back, and damage is noticed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Corrupt
from core.images.file_table import FileEntry
from core.images.index import read_index
from tests.layers import write_index

TEXT = (
    st.binary(max_size=60)
    .filter(lambda name: b"\0" not in name)
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
NUMBER = st.integers(0, 2**32 - 2)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(st.sampled_from(("file", "dir", "symlink", "hardlink", "whiteout", "opaque")))
    return (draw(TEXT), kind, draw(st.integers(0, 0o7777)), draw(NUMBER), draw(NUMBER),
            draw(st.integers(0, 2**63 - 1)), draw(st.integers(-(2**62), 2**62)),
            draw(HEX) if kind == "file" else "", draw(TEXT))  # fmt: skip


@given(st.lists(rows(), max_size=30, unique_by=lambda row: row[0]))
def test_round_trip(wanted: list[tuple[Any, ...]]) -> None:
    fd = os.memfd_create("index")
    path = f"/proc/self/fd/{fd}"
    try:
        write_index(path, wanted)
        entries = [FileEntry(*row) for row in wanted]
        assert list(read_index(path)) == entries
        found = read_index(path)  # one by one, in any order
        assert [found.entry(row) for row in reversed(range(len(found)))] == entries[::-1]
    finally:
        os.close(fd)


def row_of(path: str, kind: str) -> tuple[Any, ...]:
    return (path, kind, 0, 0, 0, 0, 0, "ab" * 32 if kind == "file" else "", "")


def test_a_file_in_a_directorys_place_takes_what_was_below_it(tmp_path: Path) -> None:
    index = str(tmp_path / "index")
    write_index(index, [
        row_of("a", "dir"), row_of("a/b", "dir"), row_of("a/b/c", "file"), row_of("ab", "file"),
        row_of("a", "file"), row_of("a", "dir"), row_of("a/b", "file"),
    ])  # fmt: skip
    assert [(entry.path, entry.kind) for entry in read_index(index)] == [
        ("ab", "file"), ("a", "dir"), ("a/b", "file"),
    ]  # fmt: skip


def test_many_files_in_directories_places_take_a_step_each(tmp_path: Path) -> None:
    """A hostile layer may have so many; each with each would take hours."""
    index = str(tmp_path / "index")
    rows_ = [row_of(f"d/{number}", kind) for number in range(20_000) for kind in ("dir", "file")]
    write_index(index, rows_)
    before = time.process_time()
    assert len(read_index(index)) == 20_000
    assert time.process_time() - before < 5


def test_small_and_quick_to_read(tmp_path: Path) -> None:
    import time

    path = str(tmp_path / "index")
    count = 30_000
    write_index(path, [
        (f"usr/lib/python3/package{n % 300}/module_{n}.py", "file", 0o644, 0, 0, n,
         1_700_000_000_000_000_000 + n, os.urandom(32).hex(), "") for n in range(count)
    ])  # fmt: skip
    assert os.stat(path).st_size < 150 * count
    started = time.process_time()
    assert len(read_index(path)) == count
    assert time.process_time() - started < 1


@pytest.mark.parametrize("damage", [b"", b"limpet", b"garbage" * 9])
def test_damage(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(damage)
    with pytest.raises(Corrupt, match="index"):
        read_index(str(tmp_path / "index"))


def test_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "index"
    write_index(str(path), [("f", "file", 0, 0, 0, 0, 0, "00" * 32, "")])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(Corrupt):
        read_index(str(path))
