"""PAX extended headers: records of `LENGTH KEY=VALUE\\n` that overrule a tar header.

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html, "pax Extended Header".
"""

from __future__ import annotations

from core.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.tar_header import Member

XATTR_PREFIX = b"SCHILY.xattr."
SPARSE_MARKS = frozenset((b"GNU.sparse.major", b"GNU.sparse.map", b"GNU.sparse.numblocks"))
"""Keys of which at least one is there when a file is sparse."""
OFFSETS, LENGTHS = b"GNU.sparse.offset", b"GNU.sparse.numbytes"
MAX_DIGITS = 20
MAX_LENGTH_DIGITS = 8


def parse_records(content: bytes) -> dict[bytes, bytes]:
    """Return the records by key, the last of each; Corrupt for what is not well formed.

    The values of the two keys that sparse format 0.0 repeats are joined by commas.
    """
    records: dict[bytes, bytes] = {}
    repeated: dict[bytes, list[bytes]] = {}
    position = 0
    while position < len(content):
        blank = content.find(b" ", position, position + MAX_LENGTH_DIGITS)
        digits = content[position:blank]
        if blank < 0 or not digits.isdigit():
            raise Corrupt("an extended header whose record has no length")
        end = position + int(digits)
        if end > len(content) or end <= blank + 1 or content[end - 1] != 0x0A:
            raise Corrupt("an extended header whose record does not end where it says")
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise Corrupt("an extended header whose record has no key")
        if key in (OFFSETS, LENGTHS):
            repeated.setdefault(key, []).append(value)
        else:
            records[key] = value
        position = end
    for key, values in repeated.items():
        records[key] = b",".join(values)
    return records


def apply_records(member: Member, records: dict[bytes, bytes]) -> None:
    """Let the records overrule a member's header; an empty value overrules nothing."""
    for key, value in records.items():
        if not value:
            continue
        if key == b"path":
            member.name = _name(value)
        elif key == b"linkpath":
            member.link = _name(value)
        elif key == b"size":
            member.size = member.stored = decimal(value)
        elif key == b"mtime":
            member.mtime_ns = nanoseconds(value)
        elif key == b"uid":
            member.uid = decimal(value)
        elif key == b"gid":
            member.gid = decimal(value)
        elif key.startswith(XATTR_PREFIX):
            if member.xattrs is None:
                member.xattrs = {}
            member.xattrs[key[len(XATTR_PREFIX) :]] = value


def decimal(value: bytes) -> int:
    """Return a number of 0 or more, written in decimal; Corrupt for anything else."""
    if not value.isdigit() or len(value) > MAX_DIGITS:
        raise Corrupt(f"an extended header with {value[:40]!r} where a number belongs")
    return int(value)


def nanoseconds(value: bytes) -> int:
    """Return a time such as 1700000000.123456789 in nanoseconds, exactly."""
    seconds, _, fraction = value.partition(b".")
    negative = seconds.startswith(b"-")
    if fraction and not fraction.isdigit():
        raise Corrupt(f"an extended header with {value[:40]!r} where a time belongs")
    total = decimal(seconds[1:] if negative else seconds) * 1_000_000_000
    total += int(fraction[:9].ljust(9, b"0")) if fraction else 0
    return -total if negative else total


def _name(value: bytes) -> bytes:
    if b"\0" in value:
        raise Corrupt("an extended header with a NUL byte in a name")
    return value
