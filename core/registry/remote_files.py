"""The files of an image that is only in a registry: read from its layers as they stream by.

Nothing is unpacked and nothing is kept.  Contents are summed up on the way, so that such an
image is compared with another one as a local image is.
"""

from __future__ import annotations

import hashlib
import os
import threading

from core.errors import Corrupt, ImageError
from core.images.digest import hasher, split_digest
from core.images.file_table import FileEntry, FileTable
from core.images.files.compare import Tree
from core.images.manifest import parse_config
from core.images.remaining import remaining
from core.images.tar.compression import Exact, Hashed, open_layer
from core.images.tar.reader import FILE, HARDLINK, TarEntry, read_entries, shown
from core.images.unpacking.extract import IMPLIED_MODE, KIND_NAMES, OPAQUE, WHITEOUT, split_path
from core.registry.client import RegistryClient
from core.registry.pull import Layer, find, places
from core.registry.remote_content import content_of
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from core.config import Config
    from core.images.files.compare import FileOf
    from core.images.files.contents import Place
    from core.images.reference import Reference
    from core.jobs import Job

    Check = Callable[[], None]

CHUNK = 256 << 10
MOST_BYTES = 256 << 20
"""Memory for the list of an image's files: some 500,000 of them, fewer with long names."""
ENTRY_BYTES = 400
"""Of a FileEntry without its path and its link."""
READERS = 2
"""Layers read at once: what one processor inflates the other can."""


def remote_tree(config: Config, reference: Reference, platform: str, job: Job) -> Tree:
    """Return files and config of an image in a registry, for a platform (empty: this host's).

    Progress is told per layer.  Raises what a pull raises: RegistryError, NotFound, ImageError
    for what no layer can hold, more than the configured limits, or more files than fit into
    the memory that there is for them.
    """
    place = places(config, reference)[-1]
    with RegistryClient(place.host, config, check=job.check) as client:
        found = find(client, place, platform, job.say)
        files: dict[str, list[FileEntry]] = {}
        repeated: dict[Place, FileOf] = {}
        room = _Room(reference.familiar)

        def reading(layer: Layer) -> Callable[[Check], None]:
            def run(check: Check) -> None:
                reader = _Reader(config, layer, room, job, check)
                blob = client.blob(place.path, layer.descriptor.digest)
                try:
                    entries = reader.read(blob)  # type: ignore[arg-type] # it has read
                finally:
                    blob.close()
                files[layer.diff_id], moved = remaining(entries)
                for path, file in _repeated(entries, files[layer.diff_id], moved):
                    repeated[layer.diff_id, path] = file

            return run

        wanted = {layer.diff_id: layer for layer in found.layers}
        ordered = sorted(wanted.values(), key=lambda layer: -layer.descriptor.size)
        side_by_side([reading(layer) for layer in ordered], READERS, job.check)
    tables = {diff_id: FileTable.of(entries) for diff_id, entries in files.items()}
    layers = tuple((layer.diff_id, tables[layer.diff_id]) for layer in found.layers)
    return Tree(reference.familiar, layers, parse_config(found.config), repeated)


def _repeated(
    entries: list[FileEntry], left: list[FileEntry], moved: dict[str, FileEntry]
) -> Iterator[tuple[str, FileOf]]:
    """Yield the files whose name does not lead to their content alone, and what does."""
    if left is entries:
        return
    counts: dict[str, int] = {}
    before: dict[int, int] = {}
    for entry in entries:
        if entry.kind == "file":
            before[id(entry)] = counts.get(entry.path, 0)
            counts[entry.path] = before[id(entry)] + 1
    for entry in left:
        if entry.kind == "file" and (entry.path in moved or counts[entry.path] > 1):
            source = moved.get(entry.path, entry)
            yield entry.path, (source.path, before[id(source)])


class _Room:
    """The memory that the list of an image's files may take, by estimate."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._left = MOST_BYTES
        self._lock = threading.Lock()

    def take(self, entry: FileEntry) -> None:
        """Take what an entry needs; ImageError when there is no more."""
        with self._lock:
            self._left -= ENTRY_BYTES + len(entry.path) + len(entry.link)
        if self._left < 0:
            raise ImageError(
                f"{self._image}: the list of its files takes more than {MOST_BYTES >> 20} MB",
                hint=f"limpet pull {self._image}, then look into it here",
                subject=self._image,
            )


class _Reader:
    """Reads one layer."""

    def __init__(self, config: Config, layer: Layer, room: _Room, job: Job, check: Check) -> None:
        self._max_files: int = config["image", "max_layer_files"]
        self._max_bytes: int = config["image", "max_layer_bytes"]
        self._layer = layer
        self._room = room
        self._job = job
        self._check = check
        self._told = 0
        self._folders = {""}

    def read(self, blob: BinaryIO) -> list[FileEntry]:
        descriptor = self._layer.descriptor
        summer = hasher(split_digest(descriptor.digest)[0])
        source = Hashed(blob, summer)
        stream = Exact(open_layer(source, descriptor.media_type))
        entries: list[FileEntry] = []
        size = 0
        for entry in read_entries(stream.read, stream.ended):
            self._check()
            size += entry.size
            if len(entries) >= self._max_files or size > self._max_bytes:
                raise ImageError(
                    f"layer {descriptor.digest}: more than {self._max_files} entries or "
                    f"{self._max_bytes} bytes",
                    hint="raise image.max_layer_files or image.max_layer_bytes in config.toml",
                )
            digest = self._pass_by(stream, entry)
            if made := _file_entry(entry, digest):
                for new in (*self._implied(made), made):
                    self._room.take(new)
                    entries.append(new)
            self._tell(source.position)
        while source.read():
            self._check()
        if summer.hexdigest() != descriptor.digest.partition(":")[2]:
            raise Corrupt(f"layer {descriptor.digest}: its content is something else")
        self._tell(descriptor.size, "done")
        return entries

    def _implied(self, entry: FileEntry) -> list[FileEntry]:
        """Return the directories an entry lies in that have none of their own, as unpacked."""
        missing = []
        folder = entry.path if entry.kind == "opaque" else entry.path.rpartition("/")[0]
        while folder not in self._folders:
            self._folders.add(folder)
            missing.append(FileEntry(folder, "dir", IMPLIED_MODE, 0, 0, 0, 0, "", ""))
            folder = folder.rpartition("/")[0]
        if entry.kind == "dir":
            self._folders.add(entry.path)
        return missing[::-1]

    def _tell(self, done: int, note: str = "reading") -> None:
        if done - self._told > CHUNK or note == "done":
            self._told = done
            self._job.progress(self._layer.name, done, self._layer.descriptor.size, note)

    def _pass_by(self, stream: Exact, entry: TarEntry) -> str:
        """Let an entry's content pass; returns its digest, holes read as zeros."""
        summer = hashlib.sha256(usedforsecurity=False)
        for piece in content_of(stream, entry):
            summer.update(piece)
            self._check()
        return summer.hexdigest() if entry.kind == FILE else ""


def _file_entry(entry: TarEntry, digest: str) -> FileEntry | None:
    """Return an entry as an index has it; None for what unpacking makes nothing of."""
    *folders, name = split_path(entry.name) or [b""]
    if not name:
        return None
    folder = b"/".join(folders)
    path = os.fsdecode(folder + b"/" + name if folder else name)
    if name == OPAQUE:
        return FileEntry(os.fsdecode(folder), "opaque", 0, 0, 0, 0, 0, "", "")
    if name.startswith(WHITEOUT):
        hidden = name[len(WHITEOUT) :]
        if hidden.startswith(WHITEOUT):
            return None
        if hidden in (b"", b".", b".."):
            raise Corrupt(f"{shown(name)}: a whiteout of nothing")
        path = os.fsdecode(folder + b"/" + hidden if folder else hidden)
        return FileEntry(path, "whiteout", 0, 0, 0, 0, 0, "", "")
    link = os.fsdecode(b"/".join(split_path(entry.link)) if entry.kind == HARDLINK else entry.link)
    if entry.kind == HARDLINK and link == path:
        return None
    return FileEntry(
        path, KIND_NAMES[entry.kind], entry.mode, entry.uid, entry.gid, entry.size,
        entry.mtime_ns, digest, link,
    )  # fmt: skip
