"""Pushing: from an image in the store to a name in a registry.

Blobs go as they were pulled or built, byte for byte.  What the registry has already is not
sent, and what it has in another repository it takes over from there.
"""

from __future__ import annotations

import os

from core.errors import NotFound, RegistryError, UsageError
from core.images.digest import digest_of
from core.images.manifest import OCI_INDEX, platform_fields
from core.images.reference import parse_reference
from core.record import Record
from core.registry import upload_notes
from core.registry.client import RegistryClient
from core.registry.status import note_use
from core.registry.upload import Upload, has_blob, mount_blob, put_manifest
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.config import Config
    from core.images.image_index import KeptIndex
    from core.images.manifest import Descriptor
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo

SHORT_DIGEST = 12
MOUNT_TRIES = 2
"""Repositories asked to lend a blob: each costs a round trip."""


class Pushed(Record):
    """What a registry has now: `digest` is that of the manifest or index behind the name."""

    name: str
    digest: str
    size: int
    """Bytes of the manifest or index."""


def push(
    store: ImageStore,
    config: Config,
    images: Sequence[ImageInfo],
    target: Reference,
    job: Job,
    index: KeptIndex | None = None,
) -> Pushed:
    """Push an image under a name; several become one index, an entry a platform.

    An `index` goes as it is, with all that it names, instead of `images`.
    Progress is told per blob, with the notes exists, mounted, waiting, uploading and done.
    Raises NotFound for a blob that is not here, RegistryError, and Cancelled.
    """
    if target.digest:
        raise UsageError(
            f"{target.familiar} names a digest, and the content alone decides that",
            hint=f"push to {target.replace(digest='', tag='TAG').familiar}",
            subject=target.familiar,
        )
    upload_notes.sweep(store.paths)
    with RegistryClient(target.host, config, check=job.check) as client:
        try:
            pusher = _Push(store, config, client, target.path, job)
            result = pusher.run_index(index, target) if index else pusher.run(images, target)
        except RegistryError as error:
            note_use(store.database, client, error)
            raise
    note_use(store.database, client)
    return result


class _Push:
    def __init__(
        self, store: ImageStore, config: Config, client: RegistryClient, path: str, job: Job
    ) -> None:
        self._store = store
        self._workers: int = max(1, config["registry", "parallel_layers"])
        self._client = client
        self._path = path
        self._job = job

    def run(self, images: Sequence[ImageInfo], target: Reference) -> Pushed:
        contents = {image.digest: self._store.blobs.read(image.digest) for image in images}
        for image in images:
            manifest = self._store.manifest(image.digest)
            blobs = (manifest.config, *manifest.layers)
            self._bring(image.digest, contents[image.digest], manifest.media_type, blobs)
        if len(images) == 1:
            content, media_type = contents[images[0].digest], self._kind(images[0].digest)
        else:
            content, media_type = self._index(images), OCI_INDEX
        put_manifest(self._client, self._path, target.tag, content, media_type)
        return Pushed(target.familiar, digest_of(content), len(content))

    def run_index(self, index: KeptIndex, target: Reference) -> Pushed:
        for part in index.parts:
            self._bring(part.digest, part.content, part.media_type, part.blobs)
        put_manifest(self._client, self._path, target.tag, index.content, index.media_type)
        return Pushed(target.familiar, index.digest, len(index.content))

    def _kind(self, digest: str) -> str:
        return self._store.manifest(digest).media_type

    def _bring(
        self, digest: str, content: bytes, media_type: str, needed: Sequence[Descriptor]
    ) -> None:
        """Bring a manifest, all its blobs before; the largest begin first."""
        if self._client.digest_of_manifest(self._path, digest):
            return
        blobs = {blob.digest: blob for blob in needed}
        for blob in blobs.values():
            self._note(blob, 0, "waiting")
        ordered = sorted(blobs.values(), key=lambda blob: blob.size, reverse=True)
        side_by_side(
            [self._work(blob) for blob in ordered],
            self._workers,
            self._job.check,
            self._store.database.close,
        )
        put_manifest(self._client, self._path, digest, content, media_type)

    def _work(self, blob: Descriptor) -> Callable[[Callable[[], None]], None]:
        return lambda check: self._bring_blob(blob, check)

    def _bring_blob(self, blob: Descriptor, check: Callable[[], None]) -> None:
        check()
        place = f"{self._client.host}/{self._path}"
        note = upload_notes.note_of(self._store.paths, place, blob.digest)
        if has_blob(self._client, self._path, blob.digest):
            upload_notes.forget(note)
            self._note(blob, blob.size, "exists")
            return
        for source in self._elsewhere(blob.digest):
            if mount_blob(self._client, self._path, blob.digest, source):
                self._note(blob, blob.size, "mounted")
                return
        if blob.urls and not self._store.blobs.has(blob.digest):
            self._note(blob, blob.size, "foreign")  # its registry is told where else it is
            return
        Upload(
            self._client, self._path, blob, self._file(blob),
            lambda done, word: self._note(blob, done, word), check, note,
        ).run()  # fmt: skip
        self._note(blob, blob.size, "done")

    def _file(self, blob: Descriptor) -> str:
        file = self._store.blobs.path(blob.digest)
        if not os.path.exists(file):
            raise NotFound(
                f"blob {blob.digest} is not in the local store, and {self._client.host} lacks it",
                hint="pull the image again, then push",
                subject=blob.digest,
            )
        return file

    def _elsewhere(self, digest: str) -> list[str]:
        """Return this registry's other repositories that should have a blob."""
        rows = self._store.database.query(
            "SELECT t.name FROM image_layers l JOIN tags t ON t.digest = l.image "
            "WHERE l.blob_digest = ?1 AND instr(t.name, ?2) = 1 "
            "UNION SELECT t.name FROM images i JOIN tags t USING (digest) "
            "WHERE i.config_digest = ?1 AND instr(t.name, ?2) = 1",
            (digest, f"{self._client.host}/"),
        )
        paths = {parse_reference(name).path for (name,) in rows}
        return sorted(paths - {self._path})[:MOUNT_TRIES]

    def _index(self, images: Sequence[ImageInfo]) -> bytes:
        import json

        entries = [
            {
                "mediaType": self._kind(image.digest),
                "digest": image.digest,
                "size": self._store.blobs.size(image.digest),
                "platform": dict(sorted(platform_fields(image.platform).items())),
            }
            for image in images
        ]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        return json.dumps(document, separators=(",", ":")).encode()

    def _note(self, blob: Descriptor, done: int, note: str) -> None:
        name = blob.digest.partition(":")[2][:SHORT_DIGEST]
        self._job.progress(name, done, blob.size, note)
