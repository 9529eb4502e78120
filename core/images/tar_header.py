"""The 512-byte headers of tar archives, as values.

POSIX.1-2024 pax, "ustar Interchange Format"
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html), and GNU tar's
manual, "Tar Internals", for base-256 numbers.
"""

from __future__ import annotations

import zlib

from core.errors import Corrupt

BLOCK = 512
MAX_OFFSET = (1 << 63) - 1
MAX_ID = (1 << 32) - 2

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
GLOBAL, EXTENDED, LONG_NAME, LONG_LINK, SPARSE, VOLUME = b"gxLKSV"


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

    def read_header(self, header: bytes) -> None:
        """Take over what a header says; Corrupt for a type or number that makes no sense."""
        name = header[:100].partition(b"\0")[0]
        if header[345] and header[257:263] == b"ustar\0":
            name = header[345:500].partition(b"\0")[0] + b"/" + name
        self.name = name
        self.link = header[157:257].partition(b"\0")[0]
        self.kind = _kind(header[156], name)
        self.mode = number(header[100:108]) & 0o7777
        self.uid = number(header[108:116])
        self.gid = number(header[116:124])
        self.size = self.stored = number(header[124:136])
        self.mtime_ns = number(header[136:148]) * 1_000_000_000
        self.major = self.minor = 0
        self.xattrs = self.regions = None
        if self.kind in (CHARACTER, BLOCK_DEVICE):
            self.major = number(header[329:337])
            self.minor = number(header[337:345])

    def check(self) -> None:
        """Raise Corrupt for numbers that no file can have."""
        if self.kind != REGULAR:
            # The size in a link's or directory's header says nothing: no body follows.
            self.size = self.stored = 0
        if not (0 <= self.size <= MAX_OFFSET and 0 <= self.stored <= MAX_OFFSET):
            raise Corrupt(f"a size of {self.size} bytes")
        if not (0 <= self.uid <= MAX_ID and 0 <= self.gid <= MAX_ID):
            raise Corrupt(f"an owner {self.uid}:{self.gid}")
        if self.major < 0 or self.minor < 0:
            raise Corrupt(f"a device number {self.major}:{self.minor}")


def number(field: bytes) -> int:
    """Return a numeric header field: octal text, or base-256 when the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        # The first bit is the marker, the second one the sign of what follows.
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << (bits - 1))
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        pass
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise Corrupt(f"a header with {field!r} where a number belongs") from None


def check_sum(header: bytes) -> None:
    """Raise Corrupt unless the header's bytes add up to what it says.

    Adler-32's lower half is that sum modulo 65521, at a tenth of the time of `sum`.
    """
    field = header[148:156]
    expected = number(field) + sum(field) - 8 * 0x20  # the field itself counts as spaces
    if expected % 65521 != zlib.adler32(header, 0) & 0xFFFF:
        # Some old tars summed signed characters.
        signed = sum(byte - 256 if byte > 127 else byte for byte in header)
        if expected != signed:
            raise Corrupt("a header whose checksum is wrong")


def _kind(flag: int, name: bytes) -> int:
    if flag == 0 and name.endswith(b"/"):
        return DIRECTORY  # how a directory was marked before 1988
    if flag in b"\x0007S":
        return REGULAR
    if flag in b"123456":
        return flag
    raise Corrupt(f"an entry of unknown type {chr(flag)!r}")
