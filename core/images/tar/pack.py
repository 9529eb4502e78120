"""Writes tar streams that are the same on every machine: sorted, nothing of the host in them."""

from __future__ import annotations

import io
import tarfile

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Member(Record):
    """One entry to pack; owner is root, time is the epoch's start."""

    path: str
    kind: str
    """file, dir, symlink or hardlink."""
    mode: int = 0o755
    source: str = ""
    """A file of the host to take the content from."""
    content: bytes = b""
    link: str = ""


KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE,
         "hardlink": tarfile.LNKTYPE}  # fmt: skip


def pack(members: Iterable[Member]) -> bytes:
    """Return a PAX tar of the members, directories before what is in them.

    Hard links come after what they link to.  Raises OSError for a source that cannot be read.
    """
    buffer = io.BytesIO()
    ordered = sorted(members, key=lambda member: (member.kind == "hardlink", member.path))
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in ordered:
            info = tarfile.TarInfo(member.path)
            info.type, info.mode, info.linkname = KINDS[member.kind], member.mode, member.link
            content = member.content
            if member.source:
                with open(member.source, "rb") as file:
                    content = file.read()
            info.size = len(content) if member.kind == "file" else 0
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def compress(data: bytes) -> bytes:
    """Return data as gzip, the same bytes everywhere: no name, no time."""
    from isal import isal_zlib

    packer = isal_zlib.compressobj(2, wbits=31)
    return bytes(packer.compress(data) + packer.flush())
