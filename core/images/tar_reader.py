"""Reads tar archives: ustar, PAX, GNU long names, every kind of sparse file.

The standard library's reader costs more than everything else in unpacking a layer, and
keeps each entry in memory.  This one yields members one by one, with names as bytes, as
they are in the archive: what is safe to do with them is the extractor's business.
"""

from __future__ import annotations

from core.errors import Corrupt
from core.images import pax, sparse
from core.images.tar_header import (
    BLOCK,
    EXTENDED,
    GLOBAL,
    LONG_LINK,
    LONG_NAME,
    SPARSE,
    VOLUME,
    Member,
    check_sum,
    number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.images.tar_stream import TarStream

MAX_SPECIAL = 1 << 20
"""Bytes of the largest extended header or long name, as in Go's reader."""

_ZERO_BLOCK = bytes(BLOCK)
_SOLARIS_EXTENDED = b"X"[0]
_SPECIAL = bytes((GLOBAL, EXTENDED, _SOLARIS_EXTENDED, LONG_NAME, LONG_LINK))


def read_members(stream: TarStream) -> Iterator[Member]:
    """Yield the members in order; the caller may read up to `stored` bytes in between.

    Raises Corrupt for whatever is not a tar archive.  What follows the end marker is left
    in the stream.
    """
    shared: dict[bytes, bytes] = {}
    own: dict[bytes, bytes] = {}
    long_name = long_link = None
    while not stream.at_end():
        header = stream.take(BLOCK)
        if header == _ZERO_BLOCK:
            if not stream.at_end() and stream.take(BLOCK) != _ZERO_BLOCK:
                raise Corrupt("a lone block of zeros, then more data")
            return
        check_sum(header)
        flag = header[156]
        if flag in _SPECIAL:
            body = _special(header, stream)
            if flag == LONG_NAME:
                long_name = body.partition(b"\0")[0]
            elif flag == LONG_LINK:
                long_link = body.partition(b"\0")[0]
            elif flag == GLOBAL:
                shared.update(pax.parse_records(body))
            else:
                own = pax.parse_records(body)
            continue
        if flag == VOLUME:
            continue
        member = Member()
        member.read_header(header)
        if long_name is not None:
            member.name = long_name
        if long_link is not None:
            member.link = long_link
        if shared or own:
            _apply(member, {**shared, **own}, stream)
        if flag == SPARSE:
            sparse.read_old_map(member, header, stream)
        member.check()
        data_ends = stream.tell() + member.stored
        yield member
        stream.skip_to(data_ends + (-data_ends % BLOCK))
        own = {}
        long_name = long_link = None
    if own or long_name is not None or long_link is not None:
        raise Corrupt("an extended header, then the end of the archive")


def _special(header: bytes, stream: TarStream) -> bytes:
    """Return the body of an extended header or of a long name."""
    size = number(header[124:136])
    if not 0 <= size <= MAX_SPECIAL:
        raise Corrupt(f"an extended header of {size} bytes, {MAX_SPECIAL} are the limit")
    body = stream.take(size)
    stream.take(-size % BLOCK)
    return body


def _apply(member: Member, records: dict[bytes, bytes], stream: TarStream) -> None:
    pax.apply_records(member, records)
    member.check()
    if pax.SPARSE_MARKS.intersection(records):
        sparse.read_pax_map(member, records, stream)
