"""What an image index was, kept beside the images that were pulled with it.

So that a name of several platforms can be pushed or saved as it came, under the same digest:
with attestations, which are no images of this store.
"""

from __future__ import annotations

from core.errors import NotFound
from core.images.index_tree import manifests_below
from core.images.manifest import Index, contents, parse
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.images.manifest import Descriptor
    from core.images.store import ImageStore


class Part(Record):
    """A manifest, of an image or of something else, and the blobs that it names."""

    digest: str
    media_type: str
    content: bytes
    blobs: tuple[Descriptor, ...]


class KeptIndex(Record):
    """An index whose document is in the store, and all the manifests that it names."""

    digest: str
    media_type: str
    content: bytes
    parts: tuple[Part, ...]


def keep_index(store: ImageStore, digest: str, content: bytes, besides: Sequence[str]) -> None:
    """Store an index's document; `besides` are digests of what it names that is no image."""
    store.blobs.write(digest, [content])
    with store.database.write() as sql:
        sql.executemany(
            "INSERT OR IGNORE INTO index_blobs VALUES (?,?)", [(digest, blob) for blob in besides]
        )


def kept_index(store: ImageStore, text: str) -> KeptIndex:
    """Return the index that a name was pulled with; NotFound if it or a part is not here."""
    hint = f"pull --all-platforms {text} brings all of it"
    rows = store.database.query(
        "SELECT source_digest FROM tags WHERE name=? AND source_digest <> digest",
        (store.canonical(text),),
    )
    if not rows or not store.blobs.has(rows[0][0]):
        raise NotFound(f"{text} is here for one platform only", hint=hint, subject=text)
    digest = str(rows[0][0])
    content = store.blobs.read(digest)
    index = parse(content, "", f"index {digest}")
    assert isinstance(index, Index)
    for entry in index.entries:
        if not store.blobs.has(entry.descriptor.digest):
            raise NotFound(
                f"{text} for {entry.platform or entry.descriptor.digest} is not here any more",
                hint=hint, subject=text,
            )  # fmt: skip
    parts = tuple(part for entry in index.entries for part in _parts(store, entry.descriptor))
    return KeptIndex(digest, index.media_type, content, parts)


def _parts(store: ImageStore, found: Descriptor) -> list[Part]:
    """Return a manifest and those that it names in turn, which come before it."""

    def get(entry: Descriptor) -> tuple[bytes, str, str]:
        return store.blobs.read(entry.digest), entry.media_type, entry.digest

    own = get(found)
    return [
        Part(digest, media_type, content, contents(content, f"manifest {digest}")[0])
        for content, media_type, digest in (*manifests_below(own[0], get), own)
    ]
