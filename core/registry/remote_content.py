"""Contents of an image that is only in a registry, read from its layers as they stream by."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import ExitStack

from core.errors import Corrupt, ImageError, NotFound, UnsupportedMedia
from core.images.files.contents import MOST_LINKS, Content
from core.images.remaining import MARKERS
from core.images.tar.compression import Exact, open_layer
from core.images.tar.reader import FILE, TarEntry, read_entries
from core.images.unpacking.extract import split_path
from core.registry.client import RegistryClient
from core.registry.pull import Layer, find, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from io import RawIOBase

    from core.config import Config
    from core.images.files.compare import FileOf, Tree
    from core.images.files.contents import Place
    from core.images.reference import Reference
    from core.images.tar.compression import Reader
    from core.jobs import Job

CHUNK = 256 << 10


def read_contents(
    config: Config,
    reference: Reference,
    wanted: Iterable[Place],
    job: Job,
    *,
    tree: Tree,
    platform: str = "",
    missing_ok: bool = False,
) -> Iterator[Content]:
    """Yield contents as their layers have them, which are read one after the other.

    `tree` is the image's.  Of each layer no more is read than up to the last file that is wanted
    of it, so its digest is not checked, but each content's is, behind its last piece; progress
    is told per layer.  Raises NotFound for a file that is not there, unless that is
    `missing_ok`, Corrupt for another content than the tree was made of, and what a pull raises.
    """
    by_layer: dict[str, dict[FileOf, Place]] = {}
    for wanted_place in wanted:
        diff_id, path = wanted_place
        file = tree.repeated.get(wanted_place, (path, 0))
        by_layer.setdefault(diff_id, {})[file] = wanted_place
    place = places(config, reference)[-1]
    with RegistryClient(place.host, config, check=job.check) as client:
        layers = {layer.diff_id: layer for layer in find(client, place, platform, job.say).layers}
        for diff_id, files in by_layer.items():
            if diff_id not in layers:
                raise NotFound(f"{reference.familiar} no longer has this layer", hint="look again")
            layer = layers[diff_id]
            blob = client.blob(place.path, layer.descriptor.digest)
            try:
                source = _Told(blob, layer, job)
                stream = Exact(open_layer(source, layer.descriptor.media_type))
                digests = _digests(tree, diff_id, files)
                yield from _contents(stream, files, digests, config["image", "max_layer_bytes"])
            finally:
                blob.close()
            source.finish()
            if files and not missing_ok:
                raise NotFound(f"the layer has no /{min(files.values())[1]}")


def _digests(tree: Tree, diff_id: str, files: Mapping[FileOf, Place]) -> dict[Place, str]:
    """Return the digest of each of a layer's files, as it was when the tree was read."""
    table = dict(tree.layers)[diff_id]
    wanted = {path for _, path in files.values()}
    rows = [row for row, path in enumerate(table.paths) if path in wanted]
    return {(diff_id, table.paths[row]): table.entry(row).digest for row in rows}


def _contents(
    stream: Exact, files: dict[FileOf, Place], digests: Mapping[Place, str], most_bytes: int
) -> Iterator[Content]:
    """Yield what of `files` comes by, and take it out of them."""
    names = {name for name, _ in files}
    passed: dict[str, int] = {}
    for entry in read_entries(stream.read, stream.ended):
        place = None
        name = os.fsdecode(b"/".join(split_path(entry.name)))
        if entry.kind == FILE and name in names:
            before = passed.get(name, 0)
            passed[name] = before + 1
            place = files.pop((name, before), None)
        if place is None:
            _skip(stream, entry)
        else:
            if entry.size > most_bytes:
                raise ImageError(f"/{name} has more than {most_bytes} bytes")
            pieces = _checked(content_of(stream, entry), name, digests.get(place, ""))
            yield Content(place, entry.size, pieces)
            for _ in pieces:
                pass  # nobody wanted the rest
        if not files:
            return


def _checked(pieces: Iterable[bytes], name: str, digest: str) -> Iterator[bytes]:
    """Yield a file's content; Corrupt in the end when it is another than the digest's, if any."""
    summer = hashlib.sha256(usedforsecurity=False)
    for piece in pieces:
        summer.update(piece)
        yield piece
    _compare(summer.hexdigest(), name, digest)


def _compare(found: str, name: str, digest: str) -> None:
    if digest and found != digest:
        raise Corrupt(
            f"/{name} is not what it was when the layer was read",
            hint="the registry gave two contents for one digest: open the image again, trust none",
            subject=name,
        )


def _skip(stream: Exact, entry: TarEntry) -> None:
    left = entry.stored
    while left > 0:
        left -= len(stream.read(min(left, CHUNK)))


def content_of(stream: Exact, entry: TarEntry) -> Iterator[bytes]:
    """Yield an entry's content in pieces, holes as zeros; the stream is behind it then."""
    place = 0
    for offset, length in entry.sparse if entry.sparse is not None else [(0, entry.stored)]:
        yield from _zeros(offset - place)
        left = length
        while left > 0:
            data = stream.read(min(left, CHUNK))
            left -= len(data)
            yield data
        place = offset + length
    yield from _zeros(entry.size - place)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, CHUNK))
        count -= CHUNK


class _Told:
    """A blob's bytes, with what has come of them told to a job, which may end the reading."""

    def __init__(self, blob: Reader, layer: Layer, job: Job) -> None:
        self._blob = blob
        self._layer = layer
        self._job = job
        self._done = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        self._job.check()
        data = self._blob.read(size)
        self._done += len(data)
        self._tell(self._done, "reading")
        return data

    def finish(self) -> None:
        """Say that no more of the layer is needed."""
        self._tell(self._layer.descriptor.size, "done")

    def _tell(self, done: int, note: str) -> None:
        self._job.progress(self._layer.name, done, self._layer.descriptor.size, note)


def fetch_file(
    config: Config,
    reference: Reference,
    tree: Tree,
    diff_id: str,
    path: str,
    check: Callable[[], None],
) -> int:
    """Return a descriptor of a regular file's content as a layer of the image has it.

    `tree` is the image's.  The content is a file without a name, gone with the descriptor.
    The layer is read up to the file and no further, so its digest is not checked, but the
    content's is.  `check` raises to end it.  Raises NotFound, UnsupportedMedia for what is no
    regular file, Corrupt for another content than the tree was made of, and what a pull raises.
    """
    file, digest = _file_of(tree, diff_id, path)
    place = places(config, reference)[-1]
    with RegistryClient(place.host, config, check=check) as client:
        found = find(client, place, "", lambda _: None)
        layer = next((layer for layer in found.layers if layer.diff_id == diff_id), None)
        if layer is None:
            raise NotFound(f"{reference.familiar} no longer has this layer", hint="look again")
        blob = client.blob(place.path, layer.descriptor.digest)
        try:
            stream = Exact(open_layer(blob, layer.descriptor.media_type))
            fd = _fetch(stream, file, config["image", "max_layer_bytes"], check)
        finally:
            blob.close()
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        with open(fd, "rb", closefd=False) as content:
            _compare(hashlib.file_digest(content, "sha256").hexdigest(), path, digest)
        os.lseek(fd, 0, os.SEEK_SET)
        stack.pop_all()
    return fd


def _file_of(tree: Tree, diff_id: str, path: str) -> tuple[FileOf, str]:
    """Return where a layer has the content for a path, hard links followed, and its digest."""
    layer = dict(tree.layers).get(diff_id, ())
    files = {entry.path: entry for entry in layer if entry.kind not in MARKERS}
    name = path
    for _ in range(MOST_LINKS):
        entry = files.get(name)
        if entry is None:
            raise NotFound(f"the layer has no /{name}")
        if entry.kind == "file":
            return tree.repeated.get((diff_id, name), (name, 0)), entry.digest
        if entry.kind != "hardlink":
            raise UnsupportedMedia(f"/{name} is no regular file")
        name = entry.link
    raise Corrupt(f"/{path} is a hard link to a hard link, and so on")


def _fetch(stream: Exact, file: FileOf, most_bytes: int, check: Callable[[], None]) -> int:
    """Return a descriptor of the content."""
    name, before = file
    for entry in read_entries(stream.read, stream.ended):
        if entry.kind == FILE and b"/".join(split_path(entry.name)) == os.fsencode(name):
            if before == 0:
                if entry.size > most_bytes:
                    raise ImageError(f"/{name} has more than {most_bytes} bytes")
                return _keep(stream, entry, check)
            before -= 1
        check()
        _skip(stream, entry)
    raise NotFound(f"the layer has no /{name}")


def _keep(stream: Exact, entry: TarEntry, check: Callable[[], None]) -> int:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.truncate(entry.size)
        for offset, length in entry.sparse if entry.sparse is not None else [(0, entry.stored)]:
            file.seek(offset)
            _copy(stream, file, length, check)
        file.seek(0)
        os.fchmod(file.fileno(), entry.mode & 0o777)
        return os.dup(file.fileno())


def _copy(stream: Exact, file: RawIOBase, length: int, check: Callable[[], None]) -> None:
    while length > 0:
        check()
        data = memoryview(stream.read(min(length, CHUNK)))
        length -= len(data)
        while data:
            data = data[os.write(file.fileno(), data) :]
