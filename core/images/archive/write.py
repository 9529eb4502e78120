"""Saves images into one archive that is docker's and an OCI layout at once, or into a layout.

Blobs go as they are in the store, so whoever reads the layout gets the same digests; older
docker and podman read manifest.json.  The same images give the same archive.
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import errno
import os

from core.errors import Conflict, NotFound
from core.images.assemble import encode
from core.images.digest import split_digest
from core.images.manifest import platform_fields
from core.images.tar.header import END, header, padding
from core.images.tar.reader import DIRECTORY, TarEntry
from core.record import Record
from core.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.images.image_index import KeptIndex
    from core.images.store import ImageStore
    from core.model import ImageInfo

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
PIECE = 8 << 20


class Named(Record):
    """An image to save and the canonical names it shall have in the archive."""

    image: ImageInfo
    names: tuple[str, ...]
    index: KeptIndex | None = None
    """What it was pulled with: the archive's entry is this then, and has all that it names."""


def save(
    store: ImageStore,
    images: Sequence[Named],
    fd: int,
    form: str = "docker-archive",
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    without: frozenset[str] = frozenset(),
) -> None:
    """Write an archive to a descriptor.  `progress` is told bytes done and in all.

    Layers that its reader has already, `without`, are left out.  Raises NotFound for a blob that
    is not here, before anything is written; OSError.
    """
    contents = _Contents(store, images, without)
    files = contents.files(docker=form == "docker-archive")
    total = contents.size + sum(map(len, files.values()))
    out = _TarOut(fd, check, lambda done: progress(done, total))
    for name in sorted({"blobs", *(os.path.dirname(_place(digest)) for digest in contents.blobs)}):
        out.directory(name)
    for name, content in files.items():
        out.content(name, content)
    for digest, size in contents.blobs.items():
        with store.blobs.open(digest) as blob:
            out.file(_place(digest), blob.fileno(), size)
    out.end()


def save_layout(
    store: ImageStore,
    images: Sequence[Named],
    directory: str,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write an OCI layout into a directory that is not there yet, or empty.

    Raises Conflict for one that holds something, else as `save`; it is empty again then.
    """
    contents = _Contents(store, images)
    os.makedirs(directory, exist_ok=True)
    if os.listdir(directory):
        raise Conflict(f"{directory} is not empty", hint="name a new directory", subject=directory)
    try:
        _fill_layout(store, contents, directory, check, progress)
    except BaseException:
        remove_tree(f"{directory}/blobs")
        for name in os.listdir(directory):
            os.unlink(f"{directory}/{name}")
        raise


def _fill_layout(
    store: ImageStore,
    contents: _Contents,
    directory: str,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> None:
    """Write a layout's files, each to the disk; what names the others comes last."""
    done = 0
    for digest in contents.blobs:
        check()
        place = f"{directory}/{_place(digest)}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with store.blobs.open(digest) as blob, open(place, "wb") as out:
            place_in = 0
            while copied := _copy_piece(blob.fileno(), out.fileno(), place_in):
                check()
                place_in, done = place_in + copied, done + copied
                progress(done, contents.size)
            os.fsync(out.fileno())
    for name, content in contents.files(docker=False).items():
        with open(f"{directory}/{name}", "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())


def _copy_piece(source: int, out: int, place: int) -> int:
    """Append a part of a file to another; returns its bytes, 0 at the end."""
    try:
        return os.copy_file_range(source, out, PIECE, place)  # may share the blocks
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return os.sendfile(out, source, place, PIECE)  # from one file system to another


class _Contents:
    """What an archive of some images holds."""

    def __init__(
        self, store: ImageStore, images: Sequence[Named], without: frozenset[str] = frozenset()
    ) -> None:
        self._images = images
        self._manifests = {named.image.digest: store.manifest(named.image.digest)
                           for named in images}  # fmt: skip
        small: list[str] = []
        layers: list[str] = []
        for index in (named.index for named in images if named.index):
            small += [index.digest, *(part.digest for part in index.parts)]
            layers += [blob.digest for part in index.parts for blob in part.blobs]
        for digest, manifest in self._manifests.items():
            small += [digest, manifest.config.digest]
            layers += [layer.digest for layer in manifest.layers if layer.digest not in without]
        # What a reader needs first stands first.
        self.blobs = {digest: _size(store, digest) for digest in (*small, *layers)}
        self.size = sum(self.blobs.values())

    def files(self, *, docker: bool) -> dict[str, bytes]:
        """Return the small files by name."""
        found = {"oci-layout": LAYOUT, "index.json": encode(self._index())}
        if docker:
            found["manifest.json"] = encode(self._docker())
        return found

    def _index(self) -> dict[str, Any]:
        entries = []
        for named in self._images:
            entry = self._entry(named)
            for name in named.names:
                # Both are in use: containerd and docker read the first, skopeo the second.
                notes = {"io.containerd.image.name": name}
                if "@" not in name:
                    notes["org.opencontainers.image.ref.name"] = name.rpartition(":")[2]
                entries.append({**entry, "annotations": notes})
            if not named.names:
                entries.append(entry)
        return {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        }

    def _entry(self, named: Named) -> dict[str, Any]:
        if named.index:
            size = len(named.index.content)
            return {"mediaType": named.index.media_type, "digest": named.index.digest, "size": size}
        return {
            "mediaType": self._manifests[named.image.digest].media_type,
            "digest": named.image.digest,
            "size": self.blobs[named.image.digest],
            "platform": platform_fields(named.image.platform),
        }

    def _docker(self) -> list[dict[str, Any]]:
        return [
            {
                "Config": _place(self._manifests[named.image.digest].config.digest),
                # docker refuses an archive with a digest in the place of a tag.
                "RepoTags": [name for name in named.names if "@" not in name] or None,
                "Layers": [
                    _place(layer.digest) for layer in self._manifests[named.image.digest].layers
                ],
            }
            for named in self._images
        ]


def _size(store: ImageStore, digest: str) -> int:
    try:
        return store.blobs.size(digest)
    except NotFound as error:
        error.hint = "limpet image fsck --repair fetches what is missing"
        raise


def _place(digest: str) -> str:
    return "blobs/" + "/".join(split_digest(digest))


class _TarOut:
    """Writes entries of an archive to a descriptor."""

    def __init__(self, fd: int, check: Callable[[], None], progress: Callable[[int], None]) -> None:
        self._fd = fd
        self._check = check
        self._progress = progress
        self._done = 0

    def directory(self, name: str) -> None:
        entry = TarEntry()
        entry.name, entry.kind, entry.mode = name.encode(), DIRECTORY, 0o755
        self._write(header(entry))

    def content(self, name: str, content: bytes) -> None:
        self._write(_file_header(name, len(content)) + content + bytes(padding(len(content))))
        self._done += len(content)

    def file(self, name: str, source: int, size: int) -> None:
        self._write(_file_header(name, size))
        place = 0
        while place < size:
            self._check()
            copied = self._copy(source, place, min(PIECE, size - place))
            if not copied:
                raise NotFound(f"{name} is shorter than it was", hint="limpet image fsck")
            place += copied
            self._done += copied
            self._progress(self._done)
        self._write(bytes(padding(size)))

    def end(self) -> None:
        self._write(END)

    def _copy(self, source: int, place: int, count: int) -> int:
        try:
            return os.sendfile(self._fd, source, place, count)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file opened for appending
                raise
        data = os.pread(source, count, place)
        self._write(data)
        return len(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _file_header(name: str, size: int) -> bytes:
    entry = TarEntry()
    entry.name, entry.mode, entry.size, entry.stored = name.encode(), 0o644, size, size
    return header(entry)
