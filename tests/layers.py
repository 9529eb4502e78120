"""Layers made by hand for tests of unpacking, and how they are unpacked there."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

from core.images.index import IndexWriter
from core.images.unpacking.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
END = bytes(1024)
MTIME = 1_700_000_000


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **fields: int | str
) -> bytes:
    """Return one entry, with the PAX header it needs, without an end mark."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(content), MTIME
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % 512)


def directory(name: str, **fields: int) -> bytes:
    """Return a directory's entry."""
    return entry(name, tarfile.DIRTYPE, b"", **fields)


def symlink(name: str, target: str) -> bytes:
    """Return a symbolic link's entry."""
    return entry(name, tarfile.SYMTYPE, linkname=target)


def hardlink(name: str, target: str) -> bytes:
    """Return a hard link's entry."""
    return entry(name, tarfile.LNKTYPE, linkname=target)


def raw_header(name: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """Return a header whose numeric fields are written as given, its checksum correct.

    Fields: mode, uid, gid, size, mtime, link, magic, major, minor.
    """
    places = {
        "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12),
        "mtime": (136, 12), "link": (157, 100), "magic": (257, 8), "major": (329, 8),
        "minor": (337, 8),
    }  # fmt: skip
    values = {
        "mode": b"0000644", "uid": b"0000000", "gid": b"0000000", "size": b"00000000000",
        "mtime": b"00000000000", "magic": b"ustar\x0000", "major": b"0000000",
        "minor": b"0000000", **fields,
    }  # fmt: skip
    header = bytearray(512)
    header[: len(name)] = name
    header[156:157] = kind
    for field, value in values.items():
        start, width = places[field]
        header[start : start + len(value)] = value[:width]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_header(content: bytes, kind: bytes = b"x") -> bytes:
    """Return a PAX extended (or, `g`, global) header with that very body, well formed or not."""
    size = b"%011o" % len(content)
    return raw_header(b"pax", kind, size=size) + content + bytes(-len(content) % 512)


def pax_record(key: bytes, value: bytes) -> bytes:
    """Return one well-formed record."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def digest(data: bytes) -> str:
    """Return a sha256 digest in its usual form."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def unpack(
    place: Path,
    tar: bytes,
    blob: bytes | None = None,
    *,
    max_bytes: int = 1 << 30,
    max_files: int = 100_000,
    diff_id: str = "",
    blob_digest: str = "",
    media_type: str = MEDIA_TYPE,
    check: Callable[[], None] = lambda: None,
) -> Path:
    """Unpack a tar (as `blob`, empty: compressed with gzip) into `place/target`; return that."""
    content = gzip.compress(tar, 1, mtime=0) if blob is None else blob
    (place / "blob").write_bytes(content)
    target = place / "target"
    target.mkdir()
    with Unpacker() as unpacker:
        unpacker.unpack(
            str(place / "blob"),
            str(target),
            str(place / "index"),
            media_type=media_type,
            digest=blob_digest or digest(content),
            diff_id=diff_id or digest(tar),
            max_bytes=max_bytes,
            max_files=max_files,
            progress=lambda _: None,
            check=check,
        )
    return target


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """Return what is under a directory: type, mode, owner, links, size, time, content, xattrs."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, directories, files in os.walk(os.fsencode(root)):
        for name in [b".", *directories, *files]:
            path = os.path.join(folder, name)
            if name == b"." and folder != os.fsencode(root):
                continue
            facts = os.lstat(path)
            kind = facts.st_mode & 0o170000
            content: object = ""
            if kind == 0o100000:
                content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
            elif kind == 0o120000:
                content = os.readlink(path)
            attributes = [
                (key, os.getxattr(path, key, follow_symlinks=False))
                for key in sorted(os.listxattr(path, follow_symlinks=False))
            ]
            found[os.fsdecode(os.path.relpath(path, os.fsencode(root)))] = (
                facts.st_mode, facts.st_uid, facts.st_gid, facts.st_rdev,
                facts.st_nlink if kind == 0o100000 else 0,
                facts.st_size if kind != 0o040000 else 0,
                facts.st_mtime_ns, content, attributes,
            )  # fmt: skip
    return found


def archive(*entries: bytes) -> bytes:
    """Return entries as an archive with its end mark."""
    return b"".join(entries) + END


def as_members(tar: bytes) -> list[tarfile.TarInfo]:
    """Return what the standard library reads in an archive."""
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as file:
        return file.getmembers()


def write_index(file: str | int, entries: Sequence[tuple[object, ...]]) -> None:
    """Write entries given as tuples in FileEntry's order, to a path or a descriptor."""
    writer = IndexWriter()
    for entry in entries:
        writer.add(*entry)
    writer.write(file)
