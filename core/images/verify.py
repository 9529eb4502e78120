"""Checks that what lies in the store is what its digests say."""

from __future__ import annotations

import os

from core.errors import Corrupt
from core.images.digest import hasher, split_digest
from core.images.tar.compression import CHUNK, Hashed, open_layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.blobs import BlobStore
    from core.images.manifest import Descriptor
    from core.images.store import ImageStore


def blob_is_whole(blobs: BlobStore, digest: str, check: Callable[[], None]) -> bool:
    """Return whether a blob that is here has the digest it is named by."""
    algorithm, value = split_digest(digest)
    summer = hasher(algorithm)
    with blobs.open(digest) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while data := file.read(1 << 20):
            check()
            summer.update(data)
    return summer.hexdigest() == value


def content_digest(
    blobs: BlobStore, digest: str, media_type: str, check: Callable[[], None]
) -> str:
    """Return the digest of a layer blob's uncompressed content.  Raises ImageError."""
    summer = hasher()
    with blobs.open(digest) as file:
        source = open_layer(Hashed(file, hasher()), media_type)
        while data := source.read(CHUNK):
            check()
            summer.update(data)
    return f"sha256:{summer.hexdigest()}"


def is_known_content(store: ImageStore, blob: Descriptor, diff_id: str) -> bool:
    """Return whether an image that is here has that layer in that blob."""
    return bool(
        store.database.query(
            "SELECT 1 FROM image_layers WHERE diff_id=? AND blob_digest=?", (diff_id, blob.digest)
        )
    )


def compare_content(
    store: ImageStore, blob: Descriptor, diff_id: str, check: Callable[[], None]
) -> None:
    """Refuse another blob for a layer that is here: it is not unpacked, and so not seen.

    Raises Corrupt, and what `check` raises.
    """
    if is_known_content(store, blob, diff_id):
        return
    actual = content_digest(store.blobs, blob.digest, blob.media_type, check)
    if actual != diff_id:
        raise Corrupt(f"layer {diff_id}: the content of {blob.digest} has digest {actual}")
