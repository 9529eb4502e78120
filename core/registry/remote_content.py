"""One file of an image that is only in a registry, read from its layer as that streams by."""

from __future__ import annotations

import os
import tempfile

from core.errors import Corrupt, ImageError, NotFound, UnsupportedMedia
from core.images.compression import Exact, open_layer
from core.images.extract import split_path
from core.images.tar import FILE, HARDLINK, TarEntry, read_entries
from core.registry.client import RegistryClient
from core.registry.pull import find, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import RawIOBase

    from core.config import Config
    from core.images.reference import Reference

CHUNK = 256 << 10
MOST_LINKS = 8
"""Hard links from one to the next; the layer is read for each."""


def fetch_file(
    config: Config, reference: Reference, diff_id: str, path: str, check: Callable[[], None]
) -> int:
    """Return a descriptor of a regular file's content as a layer of the image has it.

    The content is a file without a name, gone with the descriptor.  The layer is read up to
    the file and no further, so its digest is not checked.  `check` raises to end it.  Raises
    NotFound, UnsupportedMedia for what is no regular file, and what a pull raises.
    """
    place = places(config, reference)[-1]
    wanted = os.fsencode(path)
    with RegistryClient(place.host, config, check=check) as client:
        found = find(client, place, "", lambda _: None)
        layer = next((layer for layer in found.layers if layer.diff_id == diff_id), None)
        if layer is None:
            raise NotFound(f"{reference.familiar} no longer has this layer", hint="look again")
        for _ in range(MOST_LINKS):
            blob = client.blob(place.path, layer.descriptor.digest)
            try:
                source = open_layer(blob, layer.descriptor.media_type)
                target = _fetch(Exact(source), wanted, config["image", "max_layer_bytes"], check)
            finally:
                blob.close()
            if isinstance(target, int):
                return target
            wanted = target
    raise Corrupt(f"/{path} is a hard link to a hard link, and so on")


def _fetch(stream: Exact, wanted: bytes, most_bytes: int, check: Callable[[], None]) -> int | bytes:
    """Return a descriptor of the content, or of which other file it is a hard link."""
    for entry in read_entries(stream.read, stream.ended):
        if b"/".join(split_path(entry.name)) == wanted:
            if entry.kind == HARDLINK:
                return b"/".join(split_path(entry.link))
            if entry.kind != FILE:
                raise UnsupportedMedia(f"/{os.fsdecode(wanted)} is no regular file")
            if entry.size > most_bytes:
                raise ImageError(f"/{os.fsdecode(wanted)} has more than {most_bytes} bytes")
            return _keep(stream, entry, check)
        left = entry.stored
        while left > 0:
            check()
            left -= len(stream.read(min(left, CHUNK)))
    raise NotFound(f"the layer has no /{os.fsdecode(wanted)}")


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
        data = stream.read(min(length, CHUNK))
        file.write(data)
        length -= len(data)
