"""Writes tar headers: ustar where that holds everything, PAX records for the rest.

Names stay bytes, UTF-8 or not.  Sparse files are written in PAX format 1.0.
https://www.gnu.org/software/tar/manual/html_node/PAX-1.html, pax(1) in POSIX.1-2001
"""

from __future__ import annotations

from core.images.tar.reader import BLOCK, CHAR, DIRECTORY, FILE, TarEntry

END = bytes(2 * BLOCK)
"""Two empty blocks close an archive."""
MAX_OCTAL_7, MAX_OCTAL_11 = 0o7777777, 0o77777777777
SECOND = 10**9


def header(entry: TarEntry) -> bytes:
    """Return what stands before an entry's content: its headers and, if sparse, its map.

    `stored` bytes of content and `padding` of them follow.
    """
    name = entry.name + b"/" if entry.kind == DIRECTORY else entry.name
    pax: list[tuple[bytes, bytes]] = []
    for key, value in sorted(entry.xattrs.items()):
        pax.append((b"SCHILY.xattr." + key.encode("utf-8", "surrogateescape"), value))
    sparse = b""
    if entry.sparse is not None:
        sparse = _map(entry.sparse)
        pax += [
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % entry.size),
        ]
        folder, _, last = name.rpartition(b"/")
        name = folder + b"/GNUSparseFile.0/" + last if folder else b"GNUSparseFile.0/" + last
    elif not _fits(name):
        pax.append((b"path", name))
    if not _fits(entry.link):
        pax.append((b"linkpath", entry.link))
    numbers = [
        _number(pax, b"uid", entry.uid, MAX_OCTAL_7),
        _number(pax, b"gid", entry.gid, MAX_OCTAL_7),
        _number(pax, b"size", len(sparse) + entry.stored, MAX_OCTAL_11),
    ]
    seconds, fraction = divmod(entry.mtime_ns, SECOND)
    if fraction or not 0 <= seconds <= MAX_OCTAL_11:
        pax.append((b"mtime", _time(entry.mtime_ns)))
        seconds = max(0, min(seconds, MAX_OCTAL_11))
    block = _block(entry, entry.kind, name, numbers, seconds)
    if not pax:
        return block + sparse
    records = b"".join(_record(key, value) for key, value in sorted(pax))
    extended = TarEntry()
    extended.mode = 0o644
    head = _block(extended, b"x", b"PaxHeaders.0/" + name[-80:], [0, 0, len(records)], 0)
    return head + records + bytes(padding(len(records))) + block + sparse


def padding(size: int) -> int:
    """Return how many bytes fill the last block of `size` bytes of content."""
    return -size % BLOCK


def _fits(name: bytes) -> bool:
    return len(name) <= 100 and name.isascii()


def _number(pax: list[tuple[bytes, bytes]], key: bytes, value: int, largest: int) -> int:
    if value <= largest:
        return value
    pax.append((key, b"%d" % value))
    return 0


def _time(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), SECOND)
    return (sign + b"%d.%09d" % (seconds, fraction)).rstrip(b"0").rstrip(b".")


def _block(entry: TarEntry, kind: bytes, name: bytes, numbers: list[int], seconds: int) -> bytes:
    uid, gid, size = numbers
    # Others read the device numbers of no other kind.
    is_device = kind in (CHAR, b"4")
    block = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0        %s%sustar\x0000%s%07o\0%07o\0" % (
        name[:100].ljust(100, b"\0"), entry.mode, uid, gid, size, seconds, kind,
        entry.link[:100].ljust(100, b"\0"), bytes(64),
        entry.major if is_device else 0, entry.minor if is_device else 0,
    )  # fmt: skip
    return b"%s%06o\0 %s%s" % (block[:148], sum(block), block[156:], bytes(BLOCK - len(block)))


def _record(key: bytes, value: bytes) -> bytes:
    """Return `LENGTH KEY=VALUE\\n`; the length counts itself."""
    bare = len(key) + len(value) + 3
    length = bare + len(b"%d" % bare)
    length = bare + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


def _map(pieces: list[tuple[int, int]]) -> bytes:
    lines = [b"%d\n" % len(pieces), *(b"%d\n%d\n" % piece for piece in pieces)]
    text = b"".join(lines)
    return text + bytes(padding(len(text)))


def file_entry(name: bytes) -> TarEntry:
    """Return an empty file's entry, of root and of the epoch's start: a whiteout, a marker."""
    entry = TarEntry()
    entry.name, entry.kind = name, FILE
    return entry
