"""What is written as tar headers reads back the same, here and in Python's own reader."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.tar.header import END, header, padding
from core.images.tar.reader import DIRECTORY, FILE, HARDLINK, SYMLINK, TarEntry, read_entries

PART = st.binary(min_size=1, max_size=120).filter(
    lambda part: b"\0" not in part and b"/" not in part and part not in (b".", b"..")
)
PATH = st.lists(PART, min_size=1, max_size=4).map(b"/".join)
XATTRS = st.dictionaries(
    st.sampled_from(("security.capability", "user.note", "user.a=b".replace("=", "-"))),
    st.binary(max_size=40), max_size=3,
)  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> TarEntry:
    entry = TarEntry()
    entry.name = draw(PATH)
    entry.kind = draw(st.sampled_from((FILE, DIRECTORY, SYMLINK, HARDLINK, b"3", b"4", b"6")))
    entry.mode = draw(st.integers(0, 0o7777))
    entry.uid, entry.gid = draw(st.integers(0, 2**32 - 2)), draw(st.integers(0, 2**32 - 2))
    entry.mtime_ns = draw(st.integers(-(10**18), 10**20))
    if entry.kind in (SYMLINK, HARDLINK):
        entry.link = draw(PATH)
    if entry.kind in (b"3", b"4"):
        entry.major, entry.minor = draw(st.integers(0, 4095)), draw(st.integers(0, 1048575))
    if entry.kind in (FILE, DIRECTORY):
        entry.xattrs = draw(XATTRS)
    if entry.kind == FILE:
        entry.size = entry.stored = draw(st.integers(0, 3000))
        if entry.size > 100 and draw(st.booleans()):
            middle = draw(st.integers(1, entry.size - 1))
            entry.sparse = [(0, 1), (middle, entry.size - middle)] if middle > 1 else [(0, 1)]
            entry.stored = sum(length for _, length in entry.sparse)
    return entry


def facts(entry: TarEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in TarEntry.__slots__}


def packed(made: list[TarEntry]) -> bytes:
    parts = []
    for entry in made:
        parts += [header(entry), b"c" * entry.stored, bytes(padding(entry.stored))]
    return b"".join([*parts, END])


@given(st.lists(entries(), max_size=6))
def test_it_reads_back(made: list[TarEntry]) -> None:
    tar = io.BytesIO(packed(made))
    size = len(tar.getvalue())
    found = []
    for entry in read_entries(tar.read, lambda: tar.tell() >= size):
        if entry.kind == DIRECTORY:
            entry.name = entry.name.rstrip(b"/")
        found.append(facts(entry))
        assert tar.read(entry.stored) == b"c" * entry.stored
    wanted = [facts(entry) for entry in made]
    assert found == wanted


@given(entries())
def test_python_reads_the_same(made: TarEntry) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed([made])), errors="surrogateescape") as tar:
        (found,) = tar.getmembers()
    assert found.name.encode("utf-8", "surrogateescape") == made.name
    assert found.linkname.encode("utf-8", "surrogateescape") == made.link
    assert (found.mode, found.uid, found.gid, found.size) == (
        made.mode, made.uid, made.gid, made.size,
    )  # fmt: skip
    assert (found.devmajor, found.devminor) == (made.major, made.minor)
    assert abs(found.mtime - made.mtime_ns / 1e9) < 1e-3 + abs(made.mtime_ns) / 1e24


@pytest.mark.parametrize("size", [8 << 30, 1 << 40])
def test_files_larger_than_octal_digits_say(size: int) -> None:
    entry = TarEntry()
    entry.name, entry.size, entry.stored = b"large", size, size
    content = io.BytesIO(header(entry))
    found = next(read_entries(content.read, lambda: False))
    assert found.size == found.stored == size
