"""What goes when an image goes: decided once, shown, and then done exactly so."""

from __future__ import annotations

from core.errors import Conflict, InUse
from core.images.reference import familiar_name
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.database import Database
    from core.model import ImageInfo


class RemovePlan(Record):
    """Names, images, layers and blobs that go, and nothing else."""

    tags: tuple[str, ...]
    """Canonical names."""
    images: tuple[str, ...]
    """Manifest digests."""
    layers: tuple[tuple[int, str], ...]
    """Layer IDs and diff IDs."""
    blobs: tuple[str, ...]
    bytes_back: int
    lines: tuple[str, ...]
    """docker's words for it: `Untagged: …`, `Deleted: …`."""


def plan_removal(
    database: Database,
    wanted: list[tuple[str, ImageInfo, str]],
    *,
    force: bool,
    users: Mapping[str, tuple[str, ...]],
) -> RemovePlan:
    """Decide what goes for (typed word, image, canonical name or "") triples.

    A name that is not the last only goes itself.  Raises InUse naming the containers made
    from an image, Conflict for an ID with several names unless `force`.
    """
    tags: list[str] = []
    images: list[str] = []
    for word, image, name in wanted:
        own = [
            row[0]
            for row in database.query(
                "SELECT name FROM tags WHERE digest=? ORDER BY name", (image.digest,)
            )
        ]
        if not name and len(own) > 1 and not force:
            raise Conflict(
                f"{word} has several names: {', '.join(map(familiar_name, own))}",
                hint=f"rmi -f {word} takes them all, rmi NAME takes one",
            )
        going = [name] if name else own
        left = set(own) - set(going) - set(tags)
        if not left and (holders := users.get(image.digest)):
            raise InUse(
                f"image {word} is used by container {', '.join(holders)}",
                hint=f"rm {' '.join(holders)} first",
                subject=word,
            )
        tags += [tag for tag in going if tag not in tags]
        if not left and image.digest not in images:
            images.append(image.digest)
    layers = _layers_of(database, images)
    blobs = _blobs_of(database, images)
    lines = [f"Untagged: {familiar_name(tag)}" for tag in tags]
    lines += [f"Deleted: {digest}" for digest in images]
    lines += [f"Deleted: {diff_id}" for _, diff_id, _ in layers]
    return RemovePlan(
        tuple(tags),
        tuple(images),
        tuple((number, diff_id) for number, diff_id, _ in layers),
        tuple(digest for digest, _ in blobs),
        sum(size for *_, size in layers) + sum(size for _, size in blobs),
        tuple(lines),
    )


def _layers_of(database: Database, images: list[str]) -> list[tuple[int, str, int]]:
    """Return the layers that only these images hold."""
    marks = ",".join("?" * len(images))
    return [
        tuple(row)
        for row in database.query(
            f"SELECT id, diff_id, size FROM layers WHERE diff_id IN "  # noqa: S608 - only marks
            f"(SELECT diff_id FROM image_layers WHERE image IN ({marks})) AND diff_id NOT IN "
            f"(SELECT diff_id FROM image_layers WHERE image NOT IN ({marks})) ORDER BY id",
            (*images, *images),
        )
    ]


def _blobs_of(database: Database, images: list[str]) -> list[tuple[str, int]]:
    """Return the blobs that only these images hold: layers, configs, manifests."""
    marks = ",".join("?" * len(images))
    found = [
        tuple(row)
        for row in database.query(
            f"SELECT DISTINCT blob_digest, blob_size FROM image_layers WHERE image IN ({marks}) "  # noqa: S608
            f"AND blob_digest NOT IN "
            f"(SELECT blob_digest FROM image_layers WHERE image NOT IN ({marks}))",
            (*images, *images),
        )
    ]
    rows = database.query(
        f"SELECT digest, config_digest FROM images WHERE digest IN ({marks})",  # noqa: S608
        images,
    )
    for digest, config in rows:
        others = database.query("SELECT digest FROM images WHERE config_digest=?", (config,))
        if all(other in images for (other,) in others):
            found.append((config, 0))
        found.append((digest, 0))
    return [blob for blob in dict.fromkeys(found) if not held_by_repository(database, blob[0])]


def held_by_repository(database: Database, digest: str) -> bool:
    """Return whether the registry that is served from here still needs a blob."""
    return bool(
        database.query(
            "SELECT 1 FROM repository_blobs WHERE digest=?1 "
            "UNION SELECT 1 FROM repository_manifests WHERE digest=?1",
            (digest,),
        )
    )
