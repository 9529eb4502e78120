"""Pulls what a name stands for on every platform, not only on this host's.

This host's image gets the name.  The others are named by their digests, and by the digest of
the index they came from: that is how a platform of a name is found again.  The index itself is
kept, with the attestations it names: it can be pushed and saved as it came.
"""

from __future__ import annotations

from core.errors import NotFound
from core.images.image_index import keep_index
from core.images.index_tree import manifests_below
from core.images.manifest import Index, choose, contents, parse
from core.registry.client import RegistryClient
from core.registry.fetch import fetch_blob
from core.registry.pull import pull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config
    from core.images.manifest import Descriptor, Entry
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo


def pull_platforms(
    store: ImageStore, config: Config, reference: Reference, job: Job
) -> list[ImageInfo]:
    """Fetch an image for all platforms that its index names; this host's is the first returned.

    Raises what `pull` raises; what is there by then stays.
    """
    with RegistryClient(reference.host, config, check=job.check) as client:
        content, media_type, index_digest = client.manifest(
            reference.path, reference.digest or reference.tag
        )
        document = parse(content, media_type, reference.familiar)
        besides = []
        if isinstance(document, Index):
            for entry in document.entries:
                if not _is_image(entry):
                    besides += _fetch(store, client, reference.path, entry.descriptor, job)
    if not isinstance(document, Index):
        return [pull(store, config, reference, "", job)]
    own = _own(document)
    images: list[ImageInfo] = []
    for entry in document.entries:
        if not _is_image(entry):
            continue
        job.say(f"{reference.familiar} for {entry.platform}")
        by_digest = reference.replace(tag="", digest=entry.descriptor.digest)
        info = pull(store, config, by_digest, entry.platform, job)
        names = [by_digest.canonical]
        if entry is own:
            store.untag(by_digest.canonical)
            names = [reference.replace(tag="").canonical if reference.digest
                     else reference.canonical]  # fmt: skip
        for name in names:
            store.tag(info.digest, name, index_digest)
        found = store.resolve(info.digest)
        images.insert(0, found) if entry is own else images.append(found)
    keep_index(store, index_digest, content, besides)
    return images


def _is_image(entry: Entry) -> bool:
    """Tell an image from the attestations that lie beside it."""
    return bool(entry.platform) and not entry.platform.startswith("unknown")


def _fetch(
    store: ImageStore, client: RegistryClient, path: str, found: Descriptor, job: Job
) -> list[str]:
    """Bring a manifest and all that it names, as it is; returns the digests."""
    own = client.manifest(path, found.digest)
    below = manifests_below(own[0], lambda entry: client.manifest(path, entry.digest))
    digests = []
    for content, _, digest in (*below, own):
        blobs, _ = contents(content, f"manifest {digest}")
        store.blobs.write(digest, [content])
        for blob in blobs:
            fetch_blob(store.blobs, client, path, blob, lambda _done, _note: None, job.check)
        digests += [digest, *(blob.digest for blob in blobs)]
    return digests


def _own(index: Index) -> Entry:
    """Return the entry that gets the name: this host's, or else the first."""
    named = [entry for entry in index.entries if entry.platform]
    try:
        wanted = choose(index).digest
    except NotFound:
        wanted = named[0].descriptor.digest if named else ""
    for entry in index.entries:
        if entry.descriptor.digest == wanted:
            return entry
    raise NotFound("the index names no image", hint="registry inspect shows what it holds")
