"""Reads tar streams: ustar, PAX, GNU long names, both kinds of sparse files.

By hand, because the kernel should be what an unpack waits for, and because nothing of an
entry may be acted upon while it is read.  Names stay bytes: they need not be UTF-8.
https://www.gnu.org/software/tar/manual/html_node/Standard.html, pax(1) in POSIX.1-2001
"""

from __future__ import annotations

import zlib
from _struct import Struct

from core.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int], bytes]

BLOCK = 512
ZERO = bytes(BLOCK)
ADLER_MODULUS = 65521
MAX_HEADER = 1 << 20
"""Bytes of the largest PAX header or long name."""
MAX_SHARED = 64 << 10
"""Bytes of all PAX headers together that speak for every entry after them."""
MAX_NUMBER = (1 << 63) - 1
"""What the kernel's sizes and times can hold."""
MAX_MAJOR, MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
"""Of a device on Linux, makedev(3)."""
MAX_SPARSE = 1 << 20
"""Pieces of the largest sparse map."""
MAX_DIGITS = 20
"""Of a number that is written in decimal."""
FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
USTAR = b"ustar\0"
XATTR = b"SCHILY.xattr."
NAMES = frozenset((b"path", b"linkpath", b"GNU.sparse.name"))
PIECES = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))
OTHER_FILES = frozenset((b"\0", b"7", b"S"))
KNOWN = frozenset((FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO))
EXTENSIONS = frozenset((b"x", b"g", b"L", b"K"))
"""Headers that say something of the entry behind them."""
HEADER = Struct("100s24s12s12s8sc100s6s")
"""Name; mode, user and group; size, time, checksum, type, link, magic: what every entry has."""
MAX_SUMS = 4096
_sums: dict[bytes, int] = {}
MAX_OWNERS = 1024
_owners: dict[bytes, tuple[int, int, int]] = {}
MAX_HEADS, MAX_HEAD = 256, 64
"""How many beginnings of PAX records are remembered, and bytes of the longest."""
_heads: dict[bytes, tuple[int, bytes]] = {}


class TarEntry:
    """One entry; `stored` bytes of content follow it in the stream."""

    __slots__ = ("gid", "kind", "link", "major", "minor", "mode", "mtime_ns", "name", "size",
                 "sparse", "stored", "uid", "xattrs")  # fmt: skip

    def __init__(self) -> None:
        self.name = b""
        self.kind = FILE
        self.mode = self.uid = self.gid = self.size = self.stored = self.mtime_ns = 0
        self.link = b""
        self.major = self.minor = 0
        self.xattrs: dict[str, bytes] = {}
        self.sparse: list[tuple[int, int]] | None = None
        """Pieces (offset, length) of a sparse file; the stored bytes are theirs in turn."""


def read_entries(read: Read, ended: Callable[[], bool]) -> Iterator[TarEntry]:
    """Yield the entries; the caller must read exactly `stored` bytes before the next one.

    `read(n)` returns n bytes or raises Corrupt; `ended()` tells whether none is left.  The
    stream may end without its two empty blocks: some tools leave them out.  Raises Corrupt.
    """
    shared: dict[bytes, bytes] = {}
    told = 0
    while not ended():
        pax: dict[bytes, bytes] = {}
        long_name = long_link = b""
        header = read(BLOCK)
        while True:
            if header == ZERO:
                if not ended() and read(BLOCK) != ZERO:
                    # Readers differ in what they make of it: what one hides, another shows.
                    raise Corrupt("a lone empty block with more behind it")
                return
            fields = HEADER.unpack_from(header)
            # adler32 begins with the sum of all bytes.
            if zlib.adler32(header, 0) & 0xFFFF != (_sums.get(fields[4]) or _sum(fields[4])):
                raise Corrupt("a tar header's checksum is wrong")
            kind = fields[5]
            if kind in EXTENSIONS:
                content, header = _read_header(read, _number(fields[2]))
                if kind == b"x":
                    pax = _pax(content)
                elif kind == b"g":
                    told += len(content)
                    if told > MAX_SHARED:
                        raise Corrupt(f"global extension headers of more than {MAX_SHARED} bytes")
                    shared.update(_pax(content))
                elif kind == b"L":
                    long_name = _text(content)
                else:
                    long_link = _text(content)
                continue
            break
        if shared:
            pax = {**shared, **pax}
        if b"" in pax.values():
            # It takes back what was said before; only an attribute may be empty.
            pax = {key: value for key, value in pax.items() if value or key.startswith(XATTR)}
        entry = _entry(header, fields, pax, long_name, long_link)
        if kind == b"S":
            entry.sparse = _old_sparse(header, read)
            entry.size = _number(header[483:495])
        elif b"GNU.sparse.major" in pax:
            _new_sparse(entry, pax, read)
        elif b"GNU.sparse.map" in pax:
            _listed_sparse(entry, pax)
        if entry.sparse is not None:
            _check_sparse(entry)
        stored = entry.stored
        yield entry
        if padding := -stored % BLOCK:
            read(padding)


def _entry(
    header: bytes,
    fields: tuple[bytes, ...],
    pax: dict[bytes, bytes],
    long_name: bytes,
    long_link: bytes,
) -> TarEntry:
    name, owner, size, mtime, _, kind, link, magic = fields
    entry = TarEntry()
    entry.name = pax.get(b"path") or long_name or _ustar_name(header, name, magic)
    entry.link = pax.get(b"linkpath") or long_link or link.partition(b"\0")[0]
    entry.mode, entry.uid, entry.gid = _owners.get(owner) or _owner(owner)
    if pax:
        _extend(entry, pax)
    entry.size = entry.stored = _pax_number(pax, b"size") if b"size" in pax else _number(size)
    entry.mtime_ns = _time(pax[b"mtime"]) if b"mtime" in pax else _number(mtime) * 10**9
    if kind in OTHER_FILES:
        # Old tars mark a directory only by its name.
        kind = DIRECTORY if kind == b"\0" and entry.name.endswith(b"/") else FILE
    if kind not in KNOWN:
        raise Corrupt(f"{shown(entry.name)}: entry of unknown type {kind!r}")
    entry.kind = kind
    if kind != FILE:
        # Some writers give links a size; no content follows any entry that is not a file.
        entry.size = entry.stored = 0
        if kind in (CHAR, BLOCKDEV):
            entry.major, entry.minor = _number(header[329:337]), _number(header[337:345])
            if not (0 <= entry.major <= MAX_MAJOR and 0 <= entry.minor <= MAX_MINOR):
                raise Corrupt(f"{shown(entry.name)}: a device {entry.major}:{entry.minor}")
    if entry.stored < 0 or entry.uid < 0 or entry.gid < 0:
        raise Corrupt(f"{shown(entry.name)}: a negative number in its header")
    if entry.uid > 0xFFFFFFFE or entry.gid > 0xFFFFFFFE:
        raise Corrupt(f"{shown(entry.name)}: its owner is out of range")
    return entry


def _extend(entry: TarEntry, pax: dict[bytes, bytes]) -> None:
    """Give what only PAX records have, or have in their own way."""
    if b"uid" in pax:
        entry.uid = _pax_number(pax, b"uid")
    if b"gid" in pax:
        entry.gid = _pax_number(pax, b"gid")
    for key, value in pax.items():
        if key.startswith(XATTR):
            entry.xattrs[key[len(XATTR) :].decode("utf-8", "surrogateescape")] = value


def shown(name: bytes) -> str:
    """Return a name for a message."""
    return repr(name[:200].decode("utf-8", "backslashreplace"))


def _ustar_name(header: bytes, name: bytes, magic: bytes) -> bytes:
    name = name.partition(b"\0")[0]
    if magic == USTAR and header[345]:
        return _text(header[345:500]) + b"/" + name
    return name


def _owner(fields: bytes) -> tuple[int, int, int]:
    """Return mode, user and group, and remember them: most entries share them with others."""
    if len(_owners) >= MAX_OWNERS:
        _owners.clear()
    mode, uid, gid = (_number(fields[at : at + 8]) for at in (0, 8, 16))
    known = _owners[fields] = mode & 0o7777, uid, gid
    return known


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Read octal digits, or GNU's base-256 for what does not fit."""
    try:
        return int(field.rstrip(b"\0 "), 8)
    except ValueError:
        return _odd_number(field)


def _odd_number(field: bytes) -> int:
    if field[0] & 0x80:
        return _binary_number(field)
    digits = _text(field).strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise Corrupt(f"{field[:12]!r} in a tar header is no octal number") from None


def _binary_number(field: bytes) -> int:
    """Read GNU's base-256: two's complement, its topmost bit set as a mark."""
    value = int.from_bytes(field[1:], "big")
    bits = 8 * (len(field) - 1)
    value = value - (1 << bits) if field[0] == 0xFF else value | (field[0] & 0x7F) << bits
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise Corrupt(f"a number of more than 63 bits in a tar header ({field.hex()})")
    return value


def _pax_number(pax: dict[bytes, bytes], name: bytes) -> int:
    if not pax[name].isdigit() or len(pax[name]) > MAX_DIGITS:
        raise Corrupt(f"PAX {name.decode()} is {pax[name][:40]!r}, not a number")
    return int(pax[name])


def _time(value: bytes) -> int:
    """Return nanoseconds of a PAX time such as 1700000000.123456789."""
    whole, _, fraction = value.partition(b".")
    if fraction.isdigit() and whole.isdigit() and len(whole) <= 12:
        return int(whole + fraction[:9].ljust(9, b"0"))
    negative = whole.startswith(b"-")
    digits = whole.lstrip(b"-")
    if not digits.isdigit() or len(digits) > 12 or (fraction and not fraction.isdigit()):
        raise Corrupt(f"PAX time {value[:40]!r} is not a number")
    nanoseconds = int(digits) * 10**9 + int((fraction[:9] or b"0").ljust(9, b"0"))
    return -nanoseconds if negative else nanoseconds


def _sum(field: bytes) -> int:
    """Return what a header with this checksum adds up to, and remember it: few are different."""
    if len(_sums) >= MAX_SUMS:
        _sums.clear()
    # The checksum takes its own field as blanks.
    known = _sums[field] = (_number(field) - 8 * 32 + sum(field)) % ADLER_MODULUS
    return known


def _read_header(read: Read, size: int) -> tuple[bytes, bytes]:
    """Return what an extension header holds, and the header that follows it."""
    if not 0 <= size <= MAX_HEADER:
        raise Corrupt(f"a tar extension header of {size} bytes")
    content = read(size + -size % BLOCK + BLOCK)
    return content[:size], content[-BLOCK:]


def _pax(content: bytes) -> dict[bytes, bytes]:
    """Parse records `LENGTH KEY=VALUE\\n`; the length counts itself."""
    *lines, rest = content.split(b"\n")
    if rest or b"\0" in content or b"GNU." in content:
        return _any_pax(content)
    found: dict[bytes, bytes] = {}
    for line in lines:
        head, equals, value = line.partition(b"=")
        length, key = _heads.get(head) or _head(head)
        if length != len(line) + 1 or not equals:
            return _any_pax(content)
        found[key] = value
    return found


def _head(head: bytes) -> tuple[int, bytes]:
    """Split `LENGTH KEY`, and remember a short one: times are all of one length.  -1 is wrong."""
    digits, _, key = head.partition(b" ")
    if not digits.isdigit() or len(digits) > 8:
        return -1, b""
    known = int(digits), key
    if len(head) <= MAX_HEAD:
        if len(_heads) >= MAX_HEADS:
            _heads.clear()
        _heads[head] = known
    return known


def _any_pax(content: bytes) -> dict[bytes, bytes]:
    """Parse records whose values may hold anything; tells what is wrong with them."""
    found: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    start = 0
    while start < len(content):
        blank = content.find(b" ", start, start + 9)
        digits = content[start:blank]
        if blank < 0 or not digits.isdigit():
            raise Corrupt("a PAX record without a length")
        end = start + int(digits)
        record = content[blank + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(content) or not record.endswith(b"\n") or not equals:
            raise Corrupt("a PAX record that does not end where it says")
        if b"\0" in (value if key in NAMES else key):
            raise Corrupt("a NUL byte in a PAX name")
        if key in PIECES:
            pieces.append(value)
        else:
            found[key] = value
        start = end
    if pieces:
        # Format 0.0 repeats two keys in turn; 0.1 has the same numbers in one list.
        found[b"GNU.sparse.map"] = b",".join(pieces)
    return found


def _old_sparse(header: bytes, read: Read) -> list[tuple[int, int]]:
    """Read GNU's sparse map: four pieces in the header, 21 in each further block."""
    pieces = _pieces(header, 386, 4)
    extended = header[482]
    while extended:
        block = read(BLOCK)
        pieces += _pieces(block, 0, 21)
        extended = block[504]
        if len(pieces) > MAX_SPARSE:
            raise Corrupt("a sparse map without end")
    return pieces


def _pieces(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    return [
        (_number(block[place : place + 12]), _number(block[place + 12 : place + 24]))
        for place in range(start, start + 24 * count, 24)
        if block[place] and _text(block[place : place + 12]).strip()
    ]


def _new_sparse(entry: TarEntry, pax: dict[bytes, bytes], read: Read) -> None:
    """Read PAX sparse format 1.0: the map is decimal lines at the start of the content."""
    if pax[b"GNU.sparse.major"] != b"1":
        raise Corrupt(f"{shown(entry.name)}: sparse format {pax[b'GNU.sparse.major']!r}")
    entry.name = pax.get(b"GNU.sparse.name", entry.name)
    entry.size = _pax_number(pax, b"GNU.sparse.realsize") if b"GNU.sparse.realsize" in pax else 0
    numbers: list[int] = []
    text, wanted = b"", 1
    while len(numbers) < wanted:
        if entry.stored < BLOCK:
            raise Corrupt(f"{shown(entry.name)}: its sparse map is cut off")
        text += read(BLOCK)
        entry.stored -= BLOCK
        *lines, text = text.split(b"\n")
        for line in lines[: wanted - len(numbers) + 2 * MAX_SPARSE]:
            if len(numbers) < wanted:
                if not line.isdigit() or len(line) > MAX_DIGITS:
                    raise Corrupt(f"{shown(entry.name)}: {line[:20]!r} in its sparse map")
                numbers.append(int(line))
            if len(numbers) == 1:
                wanted = 1 + 2 * numbers[0]
                if numbers[0] > MAX_SPARSE:
                    raise Corrupt(f"{shown(entry.name)}: a sparse map of {numbers[0]} pieces")
        if len(numbers) < wanted and len(text) > MAX_DIGITS:
            raise Corrupt(f"{shown(entry.name)}: {text[:20]!r} in its sparse map")
    entry.sparse = list(zip(numbers[1::2], numbers[2::2], strict=True))


def _listed_sparse(entry: TarEntry, pax: dict[bytes, bytes]) -> None:
    """Read PAX sparse formats 0.0 and 0.1: the map stands in the header."""
    entry.name = pax.get(b"GNU.sparse.name", entry.name)
    entry.size = _pax_number(pax, b"GNU.sparse.size") if b"GNU.sparse.size" in pax else 0
    words = pax[b"GNU.sparse.map"].strip(b",").split(b",")
    if len(words) % 2 or not all(word.isdigit() and len(word) <= MAX_DIGITS for word in words):
        raise Corrupt(f"{shown(entry.name)}: its sparse map is no list of pairs")
    numbers = [int(word) for word in words]
    entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))


def _check_sparse(entry: TarEntry) -> None:
    if entry.size < 0:
        raise Corrupt(f"{shown(entry.name)}: a negative size")
    end = 0
    for offset, length in entry.sparse or ():
        if offset < end or length < 0 or offset + length > entry.size:
            raise Corrupt(f"{shown(entry.name)}: its sparse map is out of order")
        end = offset + length
    if sum(length for _, length in entry.sparse or ()) != entry.stored:
        raise Corrupt(f"{shown(entry.name)}: its sparse map does not add up")
