"""Loads images from archives: docker's, OCI's, an OCI layout in a directory.

An archive is read once, from start to end, so it may come through a pipe; what it holds goes
into the blob store as it passes by, under the digest that it turns out to have.
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import errno
import io
import os
import stat
from itertools import chain

from core.errors import (
    FREE_SPACE,
    Corrupt,
    HostError,
    ImageError,
    NotFound,
    UnsupportedMedia,
)
from core.images.archive.unpack import Feeds
from core.images.digest import check_digest, is_digest
from core.images.files.layer_files import open_beneath
from core.images.manifest import MAX_SIZE
from core.images.packing.layer_sink import LayerSink
from core.images.tar.compression import GZIP_MAGIC, ZSTD_MAGIC, Exact, open_archive
from core.images.tar.reader import (
    BLOCK,
    FILE,
    HARDLINK,
    SYMLINK,
    TarEntry,
    read_entries,
    shown,
)
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Self

    from core.images.archive.unpack import Feed
    from core.images.store import ImageStore
    from core.images.tar.compression import Reader
    from core.jobs import Job

CHUNK = 1 << 20
MAX_SMALL = 64 << 20
"""Bytes of all that is kept in memory of an archive: documents, and the names of all members."""
MAX_BLOBS = MAX_SMALL // 2
"""Of them those of documents that are named by their digest: the others go to the store at once."""
MAX_FOLDERS = 8
"""How deep a layout's directories are looked into; it has two."""


class Stored(Record):
    """A member that is in the blob store now."""

    digest: str
    size: int
    diff_id: str = ""
    """Known where it was compressed or unpacked on the way."""


class Contents:
    """What an archive holds, by name: documents in memory, everything else as blobs."""

    def __init__(self, store: ImageStore, max_bytes: int, job: Job) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._check = job.check
        self._feeds = Feeds(store, job)
        self._fed: dict[str, Feed] = {}
        self._small: dict[str, bytes] = {}
        self._small_bytes = 0
        self._stored: dict[str, Stored] = {}
        self._links: dict[str, str] = {}

    def document(self, name: str) -> bytes:
        """Return a small file; NotFound if there is none of that name."""
        content = self._small.get(self._aim(name))
        if content is None:
            raise NotFound(f"the archive has no {name}", subject=name)
        return content

    def has(self, name: str) -> bool:
        """Return whether there is a small file of that name."""
        return self._aim(name) in self._small

    def blob(self, digest: str) -> bytes:
        """Return a document by its digest; it is what the digest says.  Raises NotFound."""
        algorithm, _, value = digest.partition(":")
        content = self._small.get(f"blobs/{algorithm}/{value}")
        if content is None:
            return self._store.blobs.read(digest)
        check_digest(content, digest, "the archive's blob")
        return content

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob is in the archive or was here before."""
        algorithm, _, value = digest.partition(":")
        return f"blobs/{algorithm}/{value}" in self._small or self._store.blobs.has(digest)

    def keep(self, digest: str) -> None:
        """Bring a blob into the store if it is still only in memory."""
        if not self._store.blobs.has(digest):
            self._store.blobs.write(digest, [self.blob(digest)])

    def layer(self, name: str) -> Stored:
        """Return a layer of docker's by its name in the archive; Corrupt if it is not there."""
        name = self._aim(name)
        digest = _digest_in(name)
        if digest and self.has_blob(digest):
            self.keep(digest)
            return Stored(digest, self._store.blobs.size(digest))
        if name not in self._stored:
            content = self._small.get(name)
            if content is None:
                raise Corrupt(f"the archive has no layer {name}", subject=name)
            self._stored[name] = self._pack(name, Exact(io.BytesIO(content)), len(content))
        if (feed := self._fed.pop(name, None)) and feed.end():
            found = self._stored[name]
            self._stored[name] = found.replace(diff_id=_diff_id_in(name))
        return self._stored[name]

    def close(self) -> None:
        """End what is still at work."""
        self._feeds.close()

    def add(self, entry: TarEntry, source: Exact) -> None:
        """Take one member; its content is read from `source`."""
        name = os.path.normpath(os.fsdecode(entry.name))
        self._keep_in_memory(BLOCK + len(entry.name) + len(entry.link))
        if entry.kind in (SYMLINK, HARDLINK):
            folder = os.path.dirname(name) if entry.kind == SYMLINK else ""
            self._links[name] = os.path.normpath(os.path.join(folder, os.fsdecode(entry.link)))
            return
        if entry.kind != FILE:
            return
        if entry.sparse is not None:
            raise UnsupportedMedia(f"{shown(entry.name)}: a sparse file in an image archive")
        if entry.size > self._max_bytes:
            raise ImageError(
                f"{shown(entry.name)}: more than {self._max_bytes} bytes",
                hint="raise image.max_layer_bytes in config.toml if you trust it",
            )
        digest = _digest_in(name)
        is_full = digest and self._small_bytes + entry.size > MAX_BLOBS
        if entry.size <= MAX_SIZE and not name.endswith(".tar") and not is_full:
            self._keep_in_memory(entry.size)
            self._small[name] = source.read(entry.size)
        elif digest:
            self._store_blob(digest, source, entry.size)
        else:
            self._stored[name] = self._pack(name, source, entry.size)

    def add_file(self, directory: str, name: str) -> None:
        """Take a file of a layout in a directory; nobody can put a link in its place meanwhile."""
        with open(open_beneath(directory, name), "rb") as file:
            entry = TarEntry()
            entry.name = os.fsencode(name)
            entry.size = entry.stored = os.fstat(file.fileno()).st_size
            self.add(entry, Exact(file))

    def _keep_in_memory(self, count: int) -> None:
        self._small_bytes += count
        if self._small_bytes > MAX_SMALL:
            raise Corrupt("the archive's documents are too large, or too many")

    def _store_blob(self, digest: str, source: Exact, size: int) -> None:
        if self._store.blobs.has(digest):
            for _ in self._pieces(source, size):
                pass
            return
        self._store.blobs.write(digest, self._pieces(source, size))

    def _pack(self, name: str, source: Exact, size: int) -> Stored:
        """Store a layer that is named otherwise than by its digest, compressed if it is not."""
        pieces = self._pieces(source, size)
        first = next(pieces, b"")
        is_packed = first.startswith((GZIP_MAGIC, ZSTD_MAGIC))
        diff_id = _diff_id_in(name)
        feed = None
        if first and diff_id and not is_packed and (feed := self._feeds.begin(diff_id, size)):
            self._fed[name] = feed
        summed = feed is None and not is_packed
        with self._store.blobs.new() as blob:
            sink = LayerSink(blob.fd, "none" if is_packed else "gzip", summed=summed)
            try:
                for piece in chain((first,), pieces):
                    sink.write(piece)
                    if feed:
                        feed.write(piece)
                sink.finish()
            finally:
                sink.abandon()
            blob.publish(sink.digest)
        return Stored(sink.digest, sink.blob_size, sink.diff_id if summed else "")

    def _pieces(self, source: Exact, size: int) -> Iterator[bytes]:
        while size:
            self._check()
            piece = source.read(min(size, CHUNK))
            size -= len(piece)
            yield piece

    def _aim(self, name: str) -> str:
        name = os.path.normpath(name)
        for _ in range(40):
            if name not in self._links:
                return name
            name = self._links[name]
        raise Corrupt(f"{name}: its links go round in a circle")


def read_archive(contents: Contents, source: Reader) -> None:
    """Take all members of an archive, compressed or not.  Raises Corrupt."""
    stream = Exact(open_archive(source))
    for entry in read_entries(stream.read, stream.ended):
        contents.add(entry, stream)


def read_layout(contents: Contents, directory: str) -> None:
    """Take the files of an OCI layout, or of an unpacked archive; links are not followed."""
    for folder, below, names in os.walk(directory):
        inside = os.path.relpath(folder, directory)
        if inside.count("/") >= MAX_FOLDERS:
            below.clear()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                contents.add_file(directory, os.path.normpath(f"{inside}/{name}"))


def _digest_in(name: str) -> str:
    """Return the digest that a member of a layout is named by, "" for another one."""
    digest = name.removeprefix("blobs/").replace("/", ":")
    return digest if name.startswith("blobs/") and is_digest(digest) else ""


def _diff_id_in(name: str) -> str:
    """Return the digest that a layer is named by as podman does it, "" for another name."""
    digest = f"sha256:{name.removesuffix('.tar')}"
    return digest if is_digest(digest) and name.endswith(".tar") else ""


class Source:
    """A file's bytes, with what was read of it told to a job."""

    def __init__(self, file: BinaryIO, name: str, job: Job) -> None:
        self._file = file
        self._name = name
        self._job = job
        facts = os.fstat(file.fileno())
        self._total = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
        self._done = self._told = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        self._job.check()
        data = self._file.read(size)
        self._done += len(data)
        if self._done - self._told > CHUNK or not data:
            self._told = self._done
            self._job.progress(self._name, self._done, self._total, "reading")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._file.close()
        if isinstance(error, ImageError):
            error.message = f"{self._name}: {error.message}"


def opened(source: str | int, job: Job) -> Source:
    """Return a file's or a descriptor's bytes; a context.  HostError if it cannot be read."""
    if isinstance(source, int):
        return Source(open(source, "rb", buffering=0, closefd=False), "stdin", job)
    try:
        return Source(open(source, "rb", buffering=0), os.path.basename(source), job)
    except OSError as error:
        raise HostError(
            f"{source} cannot be read: {error.strerror}", subject=source, errno=error.errno or 0
        ) from error


def not_stored(what: str, error: OSError) -> HostError:
    """Return the error for bytes that could not be read or kept."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HostError(
        f"{what} cannot be stored: {error.strerror}",
        hint=FREE_SPACE if full else "",
        errno=error.errno or 0,
    )
