"""One blob from one end to the other, by the shortest way for the pair.

From a registry into a registry it passes through this host without touching its disk; a cut
connection goes on where the target says it got to.
"""

from __future__ import annotations

from core.errors import NotFound, Unreachable
from core.images.manifest import is_elsewhere
from core.registry.fetch import fetch_blob
from core.registry.transport.wire import FilePart, StreamPart
from core.registry.upload import Upload, has_blob, mount_blob
from core.registry.upload_notes import forget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from core.images.manifest import Descriptor
    from core.registry.sync.disk_ends import DiskEnd
    from core.registry.sync.ends import End
    from core.registry.sync.registry_end import RegistryEnd
    from core.registry.transport.wire import Body

    Report = Callable[[int], None]
    Check = Callable[[], None]

CHUNK = 256 << 10


class Carried:
    """How a blob came: exists, mounted, foreign or sent, and the bytes that took."""

    def __init__(self, way: str, size: int = 0) -> None:
        self.way = way
        self.size = size


def carry(
    source: End,
    target: End,
    places: tuple[str, str],
    blob: Descriptor,
    lenders: Iterable[str],
    note: str,
    report: Report,
    check: Check,
) -> Carried:
    """Bring a blob from the repository `places[0]` of the source to `places[1]` of the target.

    `lenders` are paths in the target's registry that may have it; `note` is a file that keeps
    where a cut upload goes on.  Raises NotFound for a blob that the source lacks, and what
    registries raise.
    """
    check()
    if target.client is None:
        return _to_disk(source, target, places[0], blob, report, check)
    path = target.path(places[1])
    if has_blob(target.client, path, blob.digest):
        forget(note)
        return Carried("exists")
    for lender in lenders:
        if lender != path and mount_blob(target.client, path, blob.digest, lender):
            return Carried("mounted")
    if is_elsewhere(blob) and not source.has_blob(places[0], blob.digest):
        return Carried("foreign")
    content = _content(source, places[0], blob, check)
    Upload(
        target.client, path, blob, content, lambda done, _: report(done), check, note
    ).run()  # fmt: skip
    return Carried("sent", blob.size)


def _to_disk(
    source: End, target: DiskEnd, repository: str, blob: Descriptor, report: Report, check: Check
) -> Carried:
    if target.blobs.has(blob.digest):
        return Carried("exists")
    if is_elsewhere(blob) and not source.has_blob(repository, blob.digest):
        return Carried("foreign")
    if source.client is None:
        with source.blobs.open(blob.digest) as file:
            target.blobs.write(blob.digest, iter(lambda: file.read(CHUNK), b""))
    else:
        path = source.path(repository)
        fetch_blob(
            target.blobs, source.client, path, blob, lambda done, _: report(done), check
        )  # fmt: skip
    return Carried("sent", blob.size)


def _content(
    source: End, repository: str, blob: Descriptor, check: Check
) -> Callable[[int, int], Body]:
    if source.client is None:
        if not source.blobs.has(blob.digest):
            raise NotFound(f"blob {blob.digest} is not in {source.name}", subject=blob.digest)
        file = source.blobs.path(blob.digest)
        return lambda start, length: FilePart(file, start, length)
    registry = source

    def part(start: int, length: int) -> Body:
        return StreamPart(lambda: _stream(registry, repository, blob, start, length, check), length)

    return part


def _stream(
    source: RegistryEnd, repository: str, blob: Descriptor, start: int, length: int, check: Check
) -> Iterator[bytes]:
    """Yield bytes of a remote blob; Unreachable when they end too early."""
    remote = source.client.blob(source.path(repository), blob.digest, start)
    try:
        skip = start - remote.start
        while length:
            check()
            chunk = remote.read(CHUNK)
            if not chunk:
                raise Unreachable(
                    f"{source.client.host} sent less of {blob.digest} than its manifest tells",
                    subject=blob.digest,
                )
            chunk, skip = chunk[skip:], max(0, skip - len(chunk))
            chunk = chunk[:length]
            length -= len(chunk)
            if chunk:
                yield chunk
    finally:
        remote.close()
