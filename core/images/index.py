"""What a layer holds, kept beside it: the index that browsing and searching stand on.

One compressed file a layer, by columns: names compress well beside names, numbers beside
numbers.  It is written in the same pass that unpacks the layer.
"""

from __future__ import annotations

import zlib

from core.errors import Corrupt
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.paths import Paths

MAGIC = b"limpet-index-1\n"
DIGEST_BYTES = 32


class FileEntry(Record):
    """One file of a layer."""

    path: str
    """Relative to the root, without a leading slash; odd bytes as surrogates."""
    kind: str
    """file, dir, symlink, hardlink, char, block, fifo, whiteout or opaque."""
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    digest: str
    """sha256 of a file's content in hex; empty for everything else."""
    link: str
    """Where a symlink points, or the path that a hardlink shares."""


def index_path(paths: Paths, layer: int) -> str:
    """Return where a layer's index lies."""
    return f"{paths.layers}/{layer}.index"


def write_index(file: str | int, entries: Sequence[tuple[object, ...]]) -> None:
    """Write entries given as tuples in FileEntry's order, to a path or a descriptor."""
    columns = list(zip(*entries, strict=True)) if entries else [()] * len(FileEntry.fields)
    parts = []
    for name, column in zip(FileEntry.fields, columns, strict=True):
        if name == "digest":
            data = b"".join(bytes.fromhex(str(value)) for value in column if value)
        else:
            data = "\0".join(map(str, column)).encode("utf-8", "surrogateescape")
        parts.append(len(data).to_bytes(8, "little") + data)
    content = len(entries).to_bytes(8, "little") + b"".join(parts)
    with open(file, "wb") as out:
        out.write(MAGIC + zlib.compress(content, 3))


def read_index(path: str) -> list[FileEntry]:
    """Return a layer's entries in the order of its tar; Corrupt if the index is damaged."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        if not content.startswith(MAGIC):
            raise ValueError("not an index")
        return _parse(zlib.decompress(content[len(MAGIC) :]))
    except (OSError, ValueError, zlib.error) as error:
        raise Corrupt(f"{path}: {error}", hint="remove the image and pull it again") from error


def _parse(content: bytes) -> list[FileEntry]:
    count, place = int.from_bytes(content[:8], "little"), 8
    if count == 0:
        return []
    columns: dict[str, list[str]] = {}
    digests = b""
    for name in FileEntry.fields:
        length = int.from_bytes(content[place : place + 8], "little")
        data = content[place + 8 : place + 8 + length]
        place += 8 + length
        if name == "digest":
            digests = data
        else:
            columns[name] = data.decode("utf-8", "surrogateescape").split("\0")
    hexes = (digests[at : at + DIGEST_BYTES].hex() for at in range(0, len(digests), DIGEST_BYTES))
    return [
        FileEntry(path, kind, int(mode), int(uid), int(gid), int(size), int(mtime),
                  next(hexes) if kind == "file" else "", link)
        for path, kind, mode, uid, gid, size, mtime, link in zip(
            columns["path"], columns["kind"], columns["mode"], columns["uid"], columns["gid"],
            columns["size"], columns["mtime_ns"], columns["link"], strict=True)
    ]  # fmt: skip
