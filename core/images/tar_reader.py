"""Reads tar archives: ustar, PAX, GNU long names, every kind of sparse file.

The standard library's reader costs more than everything else in unpacking a layer, and
keeps each entry in memory.  This one yields members one by one, with names as bytes, as
they are in the archive: what is safe to do with them is the extractor's business.

Formats: POSIX.1-2024 pax (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html),
GNU tar's manual, appendix "Tar Internals".
"""

from __future__ import annotations

import zlib

from core.errors import Corrupt
from core.images import pax, sparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.images.tar_stream import TarStream

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
MAX_SPECIAL = 1 << 20
"""Bytes of the largest extended header or long name, as in Go's reader."""
MAX_OFFSET = (1 << 63) - 1
MAX_ID = (1 << 32) - 2

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
_GLOBAL, _EXTENDED, _LONG_NAME, _LONG_LINK, _SPARSE, _VOLUME = b"gxLKSV"
_SPECIAL = b"gxXLK"  # X: extended, as Solaris once wrote it


class Member:
    """One entry of an archive; names are as written, nothing about them is checked."""

    __slots__ = (
        "gid", "kind", "link", "major", "minor", "mode", "mtime_ns", "name", "regions", "size",
        "stored", "uid", "xattrs",
    )  # fmt: skip

    name: bytes
    kind: int
    """One of REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO."""
    mode: int
    """The permission bits, 0 to 0o7777."""
    uid: int
    gid: int
    size: int
    """Bytes of the file once unpacked."""
    stored: int
    """Bytes in the archive: fewer than `size` for a sparse file, 0 for all but files."""
    mtime_ns: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[bytes, bytes] | None
    regions: list[tuple[int, int]] | None
    """Where a sparse file has data: (offset, length), ascending.  None: not sparse."""


def read_members(stream: TarStream) -> Iterator[Member]:
    """Yield the members in order; the caller may read up to `stored` bytes in between.

    Raises Corrupt for whatever is not a tar archive.  What follows the end marker is left
    in the stream.
    """
    global_records: dict[bytes, bytes] = {}
    records: dict[bytes, bytes] = {}
    long_name = long_link = None
    while not stream.at_end():
        header = stream.take(BLOCK)
        if header == ZERO_BLOCK:
            if not stream.at_end() and stream.take(BLOCK) != ZERO_BLOCK:
                raise Corrupt("a lone zero block, then more data")
            return
        _check_sum(header)
        flag = header[156]
        if flag in _SPECIAL:
            body = _special(header, stream)
            if flag == _LONG_NAME:
                long_name = body.partition(b"\0")[0]
            elif flag == _LONG_LINK:
                long_link = body.partition(b"\0")[0]
            elif flag == _GLOBAL:
                global_records.update(pax.parse_records(body))
            else:
                records = pax.parse_records(body)
            continue
        if flag == _VOLUME:
            continue
        member = Member()
        _read_header(member, header)
        if long_name is not None:
            member.name = long_name
        if long_link is not None:
            member.link = long_link
        if global_records or records:
            extended = {**global_records, **records} if global_records else records
            pax.apply_records(member, extended)
            if pax.SPARSE_MARKS.intersection(extended):
                sparse.read_pax_map(member, extended, stream)
        if flag == _SPARSE:
            sparse.read_old_map(member, header, stream)
        _check(member)
        data_ends = stream.tell() + member.stored
        yield member
        stream.skip_to(data_ends + (-data_ends % BLOCK))
        if records:
            records = {}
        long_name = long_link = None


def number(field: bytes) -> int:
    """Return a numeric header field: octal text, or base-256 when the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        # The marker bit is not part of the number; the next one is its sign.
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << (bits - 1))
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        pass
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise Corrupt(f"{field!r} is not a number") from None


def _check_sum(header: bytes) -> None:
    """Compare the header's sum of bytes.

    Adler-32's lower half is that sum modulo 65521, at a tenth of the time of `sum`.
    """
    field = header[148:156]
    expected = number(field)
    correction = sum(field) - 256  # the field itself counts as eight spaces
    if (expected + correction) % 65521 != zlib.adler32(header, 0) & 0xFFFF:
        signed = sum(byte - 256 if byte > 127 else byte for byte in header)
        if expected + correction != signed:  # as some old tars summed
            raise Corrupt("a header's checksum is wrong")


def _special(header: bytes, stream: TarStream) -> bytes:
    """Return the body of an extended header or long name."""
    size = number(header[124:136])
    if not 0 <= size <= MAX_SPECIAL:
        raise Corrupt(f"an extended header of {size} bytes, {MAX_SPECIAL} are the limit")
    body = stream.take(size)
    stream.take(-size % BLOCK)
    return body


def _read_header(member: Member, header: bytes) -> None:
    """Fill in what the 512 bytes of one header say."""
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    member.name = name
    member.mode = number(header[100:108]) & 0o7777
    member.uid = number(header[108:116])
    member.gid = number(header[116:124])
    member.size = member.stored = number(header[124:136])
    member.mtime_ns = number(header[136:148]) * 1_000_000_000
    member.link = header[157:257].partition(b"\0")[0]
    member.major = member.minor = 0
    member.xattrs = member.regions = None
    member.kind = kind = _kind(header[156], name)
    if kind in (CHARACTER, BLOCK_DEVICE):
        member.major = number(header[329:337])
        member.minor = number(header[337:345])


def _kind(flag: int, name: bytes) -> int:
    if flag == 0 and name.endswith(b"/"):
        return DIRECTORY  # how a directory was marked before 1988
    if flag in b"\x0007S":
        return REGULAR
    if flag in b"123456":
        return flag
    raise Corrupt(f"an entry of unknown type {chr(flag)!r}")


def _check(member: Member) -> None:
    """Refuse numbers that no file can have; only files have a body."""
    if member.kind != REGULAR:
        # The size in a link's or directory's header says nothing: no body follows.
        member.size = member.stored = 0
    if not (0 <= member.size <= MAX_OFFSET and 0 <= member.stored <= MAX_OFFSET):
        raise Corrupt(f"a size of {member.size} bytes")
    if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
        raise Corrupt(f"an owner {member.uid}:{member.gid}")
    if member.major < 0 or member.minor < 0:
        raise Corrupt(f"a device number {member.major}:{member.minor}")
