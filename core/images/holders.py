"""What holds layers and blobs: whatever nothing here holds may go.

Images hold theirs, the registry that is served from the store holds what was pushed to it,
the trash holds what can still be brought back, and the build cache what a step came to.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Iterable

STAYS = "NOT IN (SELECT value FROM json_each(?2))"
LAYER_HOLDERS = (
    f"SELECT 1 FROM image_layers WHERE diff_id=?1 AND image {STAYS}",  # noqa: S608 - constants
    "SELECT 1 FROM trash_holds WHERE digest=?1",
    "SELECT 1 FROM build_cache WHERE diff_id=?1",
)
BLOB_HOLDERS = (
    f"SELECT 1 FROM image_layers WHERE blob_digest=?1 AND image {STAYS}",  # noqa: S608
    f"SELECT 1 FROM images WHERE digest=?1 AND digest {STAYS}",  # noqa: S608
    f"SELECT 1 FROM images WHERE config_digest=?1 AND digest {STAYS}",  # noqa: S608
    f"SELECT 1 FROM tags WHERE source_digest=?1 AND digest {STAYS}",  # noqa: S608
    "SELECT 1 FROM index_blobs b JOIN tags t ON t.source_digest=b.index_digest "  # noqa: S608
    f"WHERE b.digest=?1 AND t.digest {STAYS}",
    "SELECT 1 FROM repository_blobs WHERE digest=?1",
    "SELECT 1 FROM repository_manifests WHERE digest=?1",
    "SELECT 1 FROM trash_holds WHERE digest=?1",
    "SELECT 1 FROM build_cache WHERE blob_digest=?1",
)
"""`?1` is the layer's diff ID or the blob's digest, `?2` a JSON list of images that are going."""


def layer_is_held(sql: Connection, diff_id: str, without: Iterable[str] = ()) -> bool:
    """Return whether anything but the images `without` needs a layer."""
    return _is_held(sql, LAYER_HOLDERS, diff_id, without)


def blob_is_held(sql: Connection, digest: str, without: Iterable[str] = ()) -> bool:
    """Return whether anything but the images `without` needs a blob."""
    return _is_held(sql, BLOB_HOLDERS, digest, without)


def _is_held(sql: Connection, holders: Iterable[str], digest: str, without: Iterable[str]) -> bool:
    from core.lean_json import dumps

    going = dumps(list(without))
    for holder in holders:
        values = (digest, going) if "?2" in holder else (digest,)
        if sql.execute(f"{holder} LIMIT 1", values).fetchone():
            return True
    return False
