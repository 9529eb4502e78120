"""Brings one blob back that the store has lost, from wherever an image's name leads."""

from __future__ import annotations

from core.errors import ImageError, NotFound, RegistryError
from core.images.manifest import CONFIG_TYPES, MANIFEST_TYPES, MAX_SIZE
from core.images.reference import parse_reference
from core.registry.client import RegistryClient
from core.registry.fetch import fetch_blob
from core.registry.pull import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.config import Config
    from core.images.manifest import Descriptor
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.jobs import Job


def refetch(
    store: ImageStore, config: Config, blob: Descriptor, names: Sequence[str], job: Job
) -> bool:
    """Fetch a layer, a config or a manifest by its digest; return whether it is here now.

    `names` are canonical names of images that have it, asked in turn, mirrors first; why one
    could not give it is said in the job.
    """
    for name in names:
        for place in places(config, parse_reference(name)):
            try:
                _fetch(store, config, blob, place, job)
            except (RegistryError, NotFound, ImageError) as error:
                job.say(f"{place.repository}: {error.message}")
            else:
                return True
    return False


def _fetch(store: ImageStore, config: Config, blob: Descriptor, place: Reference, job: Job) -> None:
    with RegistryClient(place.host, config, check=job.check) as client:
        if blob.media_type in MANIFEST_TYPES:
            content, _, _ = client.manifest(place.path, blob.digest)
            store.blobs.write(blob.digest, [content])
        elif blob.media_type in CONFIG_TYPES:
            store.blobs.write(blob.digest, [client.small_blob(place.path, blob.digest, MAX_SIZE)])
        else:
            short = blob.digest[7:19]
            fetch_blob(
                store.blobs, client, place.path, blob,
                lambda done, note: job.progress(short, done, blob.size, note), job.check,
            )  # fmt: skip
