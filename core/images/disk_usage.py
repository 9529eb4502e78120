"""What images take on disk: each on its own, and together with those that share its layers."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.store import ImageStore


class ImageUsage(Record):
    """Bytes of one image's layers, unpacked and packed."""

    digest: str
    shared: int
    """Of layers and blobs that other images have, too."""
    unique: int
    """What would come back if this image alone were removed."""


def image_usage(store: ImageStore) -> tuple[list[ImageUsage], int]:
    """Return each image's usage, and the bytes of all together, each layer and blob once."""
    rows = store.database.query(
        "SELECT il.image, il.diff_id, l.size, il.blob_digest, il.blob_size "
        "FROM image_layers il LEFT JOIN layers l USING (diff_id)"
    )
    sizes: dict[str, int] = {}
    parts: dict[str, set[str]] = {row[0]: set() for row in store.database.query(
        "SELECT digest FROM images ORDER BY created DESC, added DESC"
    )}  # fmt: skip
    for image, diff_id, size, blob, blob_size in rows:
        # A layer and its blob may have one digest, where the blob is not compressed.
        for key, bytes_ in ((f"layer {diff_id}", size or 0), (f"blob {blob}", blob_size)):
            sizes[key] = bytes_
            parts[image].add(key)
    holders: dict[str, int] = {}
    for keys in parts.values():
        for key in keys:
            holders[key] = holders.get(key, 0) + 1
    found = []
    for image, keys in parts.items():
        shared = sum(sizes[key] for key in keys if holders[key] > 1)
        unique = sum(sizes[key] for key in keys if holders[key] == 1)
        found.append(ImageUsage(image, shared, unique))
    return found, sum(sizes.values())
