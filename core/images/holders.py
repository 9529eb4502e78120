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
    f"SELECT 1 FROM image_layers WHERE diff_id=asked.value AND image {STAYS}",  # noqa: S608 - constants
    "SELECT 1 FROM trash_holds WHERE digest=asked.value",
    "SELECT 1 FROM build_cache WHERE diff_id=asked.value",
)
BLOB_HOLDERS = (
    f"SELECT 1 FROM image_layers WHERE blob_digest=asked.value AND image {STAYS}",  # noqa: S608
    f"SELECT 1 FROM images WHERE digest=asked.value AND digest {STAYS}",  # noqa: S608
    f"SELECT 1 FROM images WHERE config_digest=asked.value AND digest {STAYS}",  # noqa: S608
    f"SELECT 1 FROM tags WHERE source_digest=asked.value AND digest {STAYS}",  # noqa: S608
    "SELECT 1 FROM index_blobs b JOIN tags t ON t.source_digest=b.index_digest "  # noqa: S608
    f"WHERE b.digest=asked.value AND t.digest {STAYS}",
    "SELECT 1 FROM repository_blobs WHERE digest=asked.value",
    "SELECT 1 FROM repository_manifests WHERE digest=asked.value",
    "SELECT 1 FROM trash_holds WHERE digest=asked.value",
    "SELECT 1 FROM build_cache WHERE blob_digest=asked.value",
)
"""`asked.value` is the layer's diff ID or the blob's digest, `?2` a JSON list of images that go."""


def held_layers(sql: Connection, diff_ids: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """Return which of these layers anything but the images `without` needs."""
    return held(sql, LAYER_HOLDERS, diff_ids, without)


def held_blobs(sql: Connection, digests: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """Return which of these blobs anything but the images `without` needs."""
    return held(sql, BLOB_HOLDERS, digests, without)


def held(
    sql: Connection, holders: Iterable[str], digests: Iterable[str], without: Iterable[str] = ()
) -> set[str]:
    """Return which of these digests one of the `holders` needs: one question for all."""
    from core.lean_json import dumps

    tests = " OR ".join(f"EXISTS ({holder})" for holder in holders)
    rows = sql.execute(
        f"SELECT asked.value FROM json_each(?1) asked WHERE {tests}",  # noqa: S608 - constants
        (dumps(list(digests)), dumps(list(without))),
    )
    return {row[0] for row in rows}
