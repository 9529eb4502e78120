"""Checks that what lies in the store is what its digests say."""

from __future__ import annotations

import os

from core.images.digest import hasher, split_digest
from core.images.tar.compression import CHUNK, Hashed, open_layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.blobs import BlobStore


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
