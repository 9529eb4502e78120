"""The tar reader says what the standard library says, and is never confused."""

from __future__ import annotations

import io
import tarfile
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Corrupt
from core.images.tar.reader import (
    DIRECTORY,
    FILE,
    HARDLINK,
    MAX_HEADER,
    SYMLINK,
    TarEntry,
    read_entries,
)
from tests.layers import END, archive, as_members, entry, pax_header, pax_record, raw_header


def names() -> st.SearchStrategy[str]:
    """Any bytes but NUL, as the standard library gives them; long ones, too."""
    return (
        st.binary(min_size=1, max_size=400)
        .filter(lambda name: b"\0" not in name and not name.endswith(b"/"))
        .map(lambda name: name.decode("utf-8", "surrogateescape"))
    )


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of any kind, and its content."""
    info = tarfile.TarInfo(draw(names()))
    info.type = draw(st.sampled_from((FILE, HARDLINK, SYMLINK, DIRECTORY, b"3", b"4", b"6")))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(st.integers(0, 2**32 - 2)), draw(st.integers(0, 2**32 - 2))
    info.mtime = draw(st.integers(0, 2**34))
    content = draw(st.binary(max_size=1500)) if info.type == FILE else b""
    info.size = len(content)
    if info.type in (HARDLINK, SYMLINK):
        info.linkname = draw(names())
    if info.type in (b"3", b"4"):
        info.devmajor, info.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, 2**20 - 1))
    return info, content


def read(tar: bytes) -> list[tuple[TarEntry, bytes]]:
    """Return what the reader finds, with contents."""
    stream = io.BytesIO(tar)

    def take(count: int) -> bytes:
        data = stream.read(count)
        if len(data) < count:
            raise Corrupt("the tar ends early")
        return data

    def ended() -> bool:
        return stream.tell() == len(tar)

    return [(found, take(found.stored)) for found in read_entries(take, ended)]


@given(
    st.lists(members(), max_size=5),
    st.sampled_from((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)),
)
def test_reads_what_the_standard_library_wrote(
    wanted: list[tuple[tarfile.TarInfo, bytes]], form: int
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as tar:
        for info, content in wanted:
            tar.addfile(info, io.BytesIO(content))
    found = read(buffer.getvalue())
    assert len(found) == len(wanted)
    for (info, content), (got, data) in zip(wanted, found, strict=True):
        assert got.name.rstrip(b"/") == info.name.encode("utf-8", "surrogateescape")
        assert got.kind == info.type
        assert data == content
        assert (got.mode, got.uid, got.gid) == (info.mode, info.uid, info.gid)
        assert got.mtime_ns == info.mtime * 10**9
        assert got.link == info.linkname.encode("utf-8", "surrogateescape")
        if got.kind in (b"3", b"4"):
            assert (got.major, got.minor) == (info.devmajor, info.devminor)


@given(st.binary(max_size=3000))
def test_garbage_is_corrupt_or_empty(data: bytes) -> None:
    try:
        read(data)
    except Corrupt:
        pass


@given(st.integers(0, 2047), st.integers(0, 255))
def test_a_changed_byte_confuses_nobody(place: int, value: int) -> None:
    tar = bytearray(archive(pax_header(pax_record(b"mtime", b"1.5")), entry("a", content=b"xyz")))
    tar[place] = value
    try:
        read(bytes(tar))
    except Corrupt:
        pass


@given(st.integers(0, 3000))
def test_a_cut_archive_is_corrupt_unless_cut_between_entries(length: int) -> None:
    tar = b"".join(entry(f"f{n}", content=b"x" * 100) for n in range(3))
    length = min(length, len(tar))
    if length % 1024 == 0:
        assert len(read(tar[:length])) == length // 1024
    else:
        with pytest.raises(Corrupt):
            read(tar[:length])


@given(st.binary(max_size=200))
def test_any_extended_header_body_is_read_or_refused(body: bytes) -> None:
    try:
        read(archive(pax_header(body), entry("a")))
    except Corrupt:
        pass


@given(
    st.dictionaries(
        st.text("ab. 1", min_size=1), st.binary() | st.sampled_from((b"\n", b"x\n9 a=b", b"7 a=\n"))
    )
)
def test_pax_values_are_any_bytes(values: dict[str, bytes]) -> None:
    records = [pax_record(b"SCHILY.xattr." + key.encode(), value) for key, value in values.items()]
    [(got, _)] = read(archive(pax_header(b"".join(records)), entry("a")))
    assert got.xattrs == values


@pytest.mark.parametrize(
    "body",
    [b"0 a=b\n", b"2 a=b\n", b"6 a=b\n0 a=b\n", b"7 a=b\n", b"6 a=bc\n", b"5 ab\n", b"-6 a=b\n"],
)
def test_pax_records_with_a_wrong_length_are_refused(body: bytes) -> None:
    with pytest.raises(Corrupt, match="PAX record"):
        read(archive(pax_header(body), entry("a")))


def test_times_are_exact_to_the_nanosecond() -> None:
    for text, wanted in ((b"1700000000.123456789", 1700000000123456789), (b"-1.5", -1500000000),
                         (b"0.000000001", 1), (b"5", 5 * 10**9)):  # fmt: skip
        [(got, _)] = read(archive(pax_header(pax_record(b"mtime", text)), entry("a")))
        assert got.mtime_ns == wanted


def test_attributes_are_kept_as_bytes() -> None:
    record = pax_record(b"SCHILY.xattr.user.odd", b"\x00=\n\xff")
    [(got, _)] = read(archive(pax_header(record), entry("a")))
    assert got.xattrs == {"user.odd": b"\x00=\n\xff"}


def test_an_extended_header_counts_for_one_entry_only() -> None:
    found = read(archive(pax_header(pax_record(b"path", b"long")), entry("a"), entry("b")))
    assert [got.name for got, _ in found] == [b"long", b"b"]


def test_a_global_header_counts_for_all_that_follow() -> None:
    shared = pax_header(pax_record(b"uid", b"77"), b"g")
    found = read(archive(shared, entry("a"), entry("b", uid=3)))
    assert [got.uid for got, _ in found] == [77, 77]


def test_a_long_name_ends_at_its_first_nul() -> None:
    """As names of C do; an index of files keeps them apart by that byte."""
    body = b"n" * 120 + b"\0hidden"
    long = [raw_header(b"long", kind, size=b"%011o" % len(body)) + body.ljust(512, b"\0")
            for kind in (b"L", b"K")]  # fmt: skip
    [(got, _)] = read(archive(*long, raw_header(b"l", b"2")))
    assert (got.name, got.link) == (b"n" * 120, b"n" * 120)


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"GNU.sparse.name"])
def test_a_nul_in_a_pax_name_is_refused(key: bytes) -> None:
    sparse = b"".join(pax_record(b"GNU.sparse." + name, value)
                      for name, value in ((b"size", b"0"), (b"map", b"0,0")))  # fmt: skip
    with pytest.raises(Corrupt, match="NUL"):
        read(archive(pax_header(sparse + pax_record(key, b"a\0b")), entry("a")))


def test_a_nul_in_an_attribute_s_name_is_refused() -> None:
    with pytest.raises(Corrupt, match="NUL"):
        read(archive(pax_header(pax_record(b"SCHILY.xattr.user.a\0b", b"v")), entry("a")))


def test_global_headers_do_not_pile_up() -> None:
    heap = [
        pax_header(b"".join(pax_record(b"%d" % (n * 900 + i), b"") for i in range(900)), b"g")
        for n in range(12)
    ]
    with pytest.raises(Corrupt, match="global extension headers"):
        read(archive(*heap, entry("a")))


def test_a_header_of_many_records_takes_no_longer_by_the_byte() -> None:
    header = pax_header(b"6 a=b\n" * (MAX_HEADER // 6))
    start = time.process_time()
    read(archive(header, entry("a")))
    assert time.process_time() - start < 1


def test_a_sparse_file_of_negative_size_is_refused() -> None:
    header = bytearray(raw_header(b"hole", b"S", magic=b"ustar  \0"))
    header[483:495] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(Corrupt, match="negative size"):
        read(archive(bytes(header)))


def test_a_sparse_map_without_an_end_of_line_is_not_kept() -> None:
    """A header may promise gigabytes of it, and a compressed layer bring them."""
    given = 0

    def give(count: int) -> bytes:
        nonlocal given
        given += count
        return header[given - count : given] if given <= len(header) else b"1" * count

    header = pax_header(
        pax_record(b"GNU.sparse.major", b"1") + pax_record(b"GNU.sparse.minor", b"0")
    ) + raw_header(b"a", size=b"77777777777")  # fmt: skip
    with pytest.raises(Corrupt, match="in its sparse map"):
        next(read_entries(give, lambda: given > 10_000_000))
    assert given < 10_000


def test_numbers_in_base_256() -> None:
    header = raw_header(b"a", size=b"\x80" + (5).to_bytes(11, "big"),
                        mtime=b"\xff" * 11 + b"\xfe")  # fmt: skip
    [(got, data)] = read(archive(header, b"hello".ljust(512, b"\0")))
    assert (data, got.mtime_ns) == (b"hello", -2 * 10**9)


@pytest.mark.parametrize(
    "fields",
    [
        {"mtime": b"\x80" + b"\xff" * 11},
        {"mtime": b"\xff" + bytes(11)},
        {"size": b"\x80" + b"\xff" * 11},
        {"kind": b"3", "major": b"\x80" + b"\xff" * 7},
        {"kind": b"4", "minor": b"\xff" * 8},
    ],
)
def test_numbers_that_no_kernel_has_are_refused(fields: dict[str, bytes]) -> None:
    with pytest.raises(Corrupt, match=r"63 bits|device"):
        read(archive(raw_header(b"a", **fields)))


def test_old_directories_have_a_slash_and_no_type() -> None:
    [(got, _)] = read(archive(raw_header(b"old/", b"\0", magic=b"\0" * 8)))
    assert got.kind == DIRECTORY


def test_a_size_of_something_that_is_no_file_is_not_believed() -> None:
    found = read(archive(raw_header(b"l", b"2", link=b"t", size=b"00000001000"), entry("b")))
    assert [got.name for got, _ in found] == [b"l", b"b"]


def test_the_end_mark_ends_it() -> None:
    assert [got.name for got, _ in read(entry("a") + END + entry("b"))] == [b"a"]


def test_the_standard_library_agrees_about_the_layers_of_these_tests() -> None:
    tar = archive(entry("a", content=b"x"), entry("b" * 150))
    assert [got.name.decode() for got, _ in read(tar)] == [info.name for info in as_members(tar)]


def test_long_pax_keys_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        for number in range(50):
            record = pax_record(b"SCHILY.xattr.user.%d" % number + b"x" * 100_000, b"v")
            [(got, _)] = read(archive(pax_header(record), entry("a")))
            assert list(got.xattrs.values()) == [b"v"]
        del got, record
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
