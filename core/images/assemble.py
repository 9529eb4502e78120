"""Makes images of layers that are here and a config: what build, commit and import end with."""

from __future__ import annotations

import json

from core.errors import UsageError
from core.images.digest import digest_of
from core.images.manifest import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    host_platform,
    platform_fields,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.images.store import ImageStore
    from core.model import ImageInfo

OCI_NAMES = {
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER + "+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER + "+zstd",
}
"""docker's layer types by what the same bytes are called in an OCI manifest."""


def make_image(
    store: ImageStore,
    config: dict[str, Any],
    layers: Sequence[tuple[Descriptor, str]],
    tags: Sequence[str] = (),
) -> ImageInfo:
    """Store an image of (blob, diff ID) pairs, lowest first, and return it.

    `config` is an OCI image config; its rootfs is written here, and its platform is the
    host's if it names none.  The same arguments give the same digest everywhere.  `tags` are
    canonical names.  Raises what `ImageStore.add_image` raises.
    """
    document = {**platform(), **config}
    document["rootfs"] = {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}
    content = encode(document)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _pointer(Descriptor(OCI_CONFIG, digest_of(content), len(content))),
        "layers": [_pointer(blob) for blob, _ in layers],
    }
    return store.add_image(encode(manifest), OCI_MANIFEST, content, tags)


def layers_of(store: ImageStore, digest: str) -> list[tuple[Descriptor, str]]:
    """Return an image's layers as `make_image` takes them."""
    from core.images.manifest import diff_ids

    manifest = store.manifest(digest)
    return list(zip(manifest.layers, diff_ids(store.config(digest)), strict=True))


def encode(document: object) -> bytes:
    """Return JSON that is the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def platform(text: str = "") -> dict[str, str]:
    """Return a platform (empty: this host's) as an image config names it."""
    from core.images.manifest import parse_platform

    return platform_fields(parse_platform(text) if text else host_platform())


def time_text(seconds: float) -> str:
    """Return a time as image configs hold it (RFC 3339, UTC)."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise UsageError(f"{seconds} is no time that a config can hold: {error}") from error
    return when.isoformat().replace("+00:00", "Z")


def _pointer(blob: Descriptor) -> dict[str, Any]:
    kind = OCI_NAMES.get(blob.media_type, blob.media_type)
    found: dict[str, Any] = {"mediaType": kind, "digest": blob.digest, "size": blob.size}
    if blob.annotations:
        found["annotations"] = dict(blob.annotations)
    if blob.urls:
        found["urls"] = list(blob.urls)
    return found
