"""The maps of sparse files in tar archives: GNU's own, and PAX formats 0.0, 0.1 and 1.0.

https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
"""

from __future__ import annotations

from core.errors import Corrupt
from core.images.pax import LENGTHS, OFFSETS, decimal
from core.images.tar_header import BLOCK, REGULAR, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.tar_header import Member
    from core.images.tar_stream import TarStream

MAX_REGIONS = 100_000
_PAIR = 24
_IN_HEADER, _IN_BLOCK = 4, 21


def read_old_map(member: Member, header: bytes, stream: TarStream) -> None:
    """Read the map of a GNU sparse file (type S): in its header, then in further blocks."""
    numbers = _pairs(header[386:], _IN_HEADER)
    more = header[482]
    while more:
        block = stream.take(BLOCK)
        numbers += _pairs(block, _IN_BLOCK)
        more = block[504]
        _limit(len(numbers) // 2)
    member.size = number(header[483:495])
    _set_regions(member, numbers)


def read_pax_map(member: Member, records: dict[bytes, bytes], stream: TarStream) -> None:
    """Read the map of a file that PAX records call sparse."""
    if member.kind != REGULAR:
        return
    member.name = records.get(b"GNU.sparse.name") or member.name
    size = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
    if b"GNU.sparse.major" in records:
        version = records[b"GNU.sparse.major"], records.get(b"GNU.sparse.minor")
        if version != (b"1", b"0"):
            raise Corrupt(f"a sparse file of unknown format {version[0][:10]!r}")
        numbers = _leading_map(member, stream)
    elif b"GNU.sparse.map" in records:
        numbers = _decimals(records[b"GNU.sparse.map"])
    else:
        offsets = _decimals(records.get(OFFSETS, b""))
        lengths = _decimals(records.get(LENGTHS, b""))
        if len(offsets) != len(lengths):
            raise Corrupt("a sparse file whose map is not made of pairs")
        numbers = [value for pair in zip(offsets, lengths, strict=True) for value in pair]
    if size is None:
        raise Corrupt("a sparse file without its size")
    member.size = decimal(size)
    _set_regions(member, numbers)


def _pairs(block: bytes, count: int) -> list[int]:
    numbers = []
    for start in range(0, count * _PAIR, _PAIR):
        if not block[start]:  # an unused slot
            break
        numbers.append(number(block[start : start + 12]))
        numbers.append(number(block[start + 12 : start + 24]))
    return numbers


def _decimals(text: bytes) -> list[int]:
    return [decimal(value) for value in text.split(b",")] if text else []


def _leading_map(member: Member, stream: TarStream) -> list[int]:
    """Read format 1.0: lines of decimals before the data, the first one counts the pairs."""
    numbers: list[int] = []
    wanted = 1
    text = b""
    while len(numbers) < wanted:
        if member.stored < BLOCK:
            raise Corrupt("a sparse file whose map is cut off")
        *lines, text = (text + stream.take(BLOCK)).split(b"\n")
        member.stored -= BLOCK
        if len(text) > BLOCK:
            raise Corrupt("a sparse file whose map is not made of lines")
        for line in lines[: wanted - len(numbers)] if numbers else lines:
            if len(numbers) < wanted:
                numbers.append(decimal(line))
            if len(numbers) == 1:
                _limit(numbers[0])
                wanted = 1 + 2 * numbers[0]
    return numbers[1:]


def _limit(regions: int) -> None:
    if regions > MAX_REGIONS:
        raise Corrupt(f"a sparse file of more than {MAX_REGIONS} regions")


def _set_regions(member: Member, numbers: list[int]) -> None:
    """Check that the regions ascend, lie in the file and add up to what is stored."""
    if len(numbers) % 2:
        raise Corrupt("a sparse file whose map is not made of pairs")
    _limit(len(numbers) // 2)
    regions = list(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in regions:
        if offset < end or length < 0:
            raise Corrupt("a sparse file whose regions overlap")
        end = offset + length
    if end > member.size or sum(numbers[1::2]) != member.stored:
        raise Corrupt("a sparse file whose map does not fit its size")
    member.regions = regions
