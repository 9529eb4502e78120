"""What goes when an image goes: decided once, shown, and then done exactly so."""

from __future__ import annotations

from core.errors import Conflict, InUse
from core.images.holders import held_blobs, held_layers
from core.images.reference import familiar_name
from core.record import Record
from core.trash_bin import rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Mapping
    from typing import Any

    from core.database import Database
    from core.model import ImageInfo
    from core.trash_bin import Bin


class RemovePlan(Record):
    """Names, images, layers and blobs that go, and nothing else."""

    tags: dict[str, str]
    """Canonical names, and the image that each means."""
    images: tuple[str, ...]
    """Manifest digests."""
    layers: tuple[tuple[int, str], ...]
    """Layer IDs and diff IDs."""
    blobs: tuple[str, ...]
    bytes_back: int
    lines: tuple[str, ...]
    """docker's words for it: `Untagged: …`, `Deleted: …`."""
    sizes: dict[str, int] = {}
    """Bytes of each layer and blob that goes, by digest."""


def plan_removal(
    database: Database,
    wanted: list[tuple[str, ImageInfo, str]],
    *,
    force: bool,
    users: Mapping[str, tuple[str, ...]],
) -> RemovePlan:
    """Decide what goes for (typed word, image, canonical name or "") triples.

    A name that is not the last only goes itself.  Raises InUse naming the containers made
    from an image, Conflict for an ID with several names; with `force` all names go, and an
    image that containers are made from stays without one.
    """
    tags: dict[str, str] = {}
    images: dict[str, None] = {}
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
        left = [other for other in own if other not in going and other not in tags]
        holders = () if left else users.get(image.digest, ())
        if holders and not (force and own):
            raise InUse(
                f"image {word} is used by container {', '.join(holders)}",
                hint=f"rm {' '.join(holders)} first"
                + (f"; rmi -f {word} takes its names alone" if own else ""),
                subject=word,
            )
        tags |= dict.fromkeys(going, image.digest)
        if not left and not holders:
            images[image.digest] = None
    layers = _layers_of(database, list(images))
    blobs = _blobs_of(database, list(images))
    lines = [f"Untagged: {familiar_name(tag)}" for tag in tags]
    lines += [f"Deleted: {digest}" for digest in images]
    lines += [f"Deleted: {diff_id}" for _, diff_id, _ in layers]
    return RemovePlan(
        tags,
        tuple(images),
        tuple((number, diff_id) for number, diff_id, _ in layers),
        tuple(digest for digest, _ in blobs),
        sum(size for *_, size in layers) + sum(size for _, size in blobs),
        tuple(lines),
        {**{diff_id: size for _, diff_id, size in layers}, **dict(blobs)},
    )


def _layers_of(database: Database, images: list[str]) -> list[tuple[int, str, int]]:
    """Return the layers that only these images hold."""
    sql = database.connection()
    found = _rows(
        sql, "SELECT DISTINCT l.id, l.diff_id, l.size FROM layers l "
        "JOIN image_layers USING (diff_id) WHERE image IN (SELECT value FROM json_each(?)) "
        "ORDER BY l.id", images,
    )  # fmt: skip
    held = held_layers(sql, (diff_id for _, diff_id, _ in found), images)
    return [layer for layer in found if layer[1] not in held]


def _blobs_of(database: Database, images: list[str]) -> list[tuple[str, int]]:
    """Return the blobs that only these images hold: layers, configs, manifests."""
    sql = database.connection()
    found = _rows(
        sql, "SELECT DISTINCT blob_digest, blob_size FROM image_layers "
        "WHERE image IN (SELECT value FROM json_each(?))", images,
    )  # fmt: skip
    for digest, config in _rows(
        sql, "SELECT digest, config_digest FROM images "
        "WHERE digest IN (SELECT value FROM json_each(?))", images,
    ):  # fmt: skip
        found += [(config, 0), (digest, 0)]
    found += [(blob, 0) for blob in _index_blobs(sql, images)]
    held = held_blobs(sql, (digest for digest, _ in found), images)
    return [blob for blob in dict.fromkeys(found) if blob[0] not in held]


def _index_blobs(sql: Connection, images: list[str]) -> list[str]:
    """Return the indexes that images were pulled with for all platforms, and what lies beside."""
    sources = (
        "SELECT DISTINCT source_digest FROM tags WHERE digest <> source_digest "
        "AND digest IN (SELECT value FROM json_each(?))"
    )
    return [digest for (digest,) in (
        *_rows(sql, sources, images),
        *_rows(sql, f"SELECT digest FROM index_blobs WHERE index_digest IN ({sources})",  # noqa: S608
               images),
    )]  # fmt: skip


def check_unchanged(sql: Connection, plan: RemovePlan) -> None:
    """Raise Conflict or InUse if what the plan stands on has changed since it was made.

    Within the transaction that carries it out: a person may have looked at it for an hour.
    """
    from core.lean_json import dumps

    named = sql.execute(
        "SELECT name, digest FROM tags WHERE name IN (SELECT value FROM json_each(?1)) "
        "OR digest IN (SELECT value FROM json_each(?2))",
        (dumps([*plan.tags]), dumps(plan.images)),
    )
    for name, digest in named:
        if plan.tags.get(name) != digest:
            shown = familiar_name(name)
            raise Conflict(
                f"{shown} means another image than a moment ago",
                hint="nothing was removed: the same command again plans anew", subject=shown,
            )  # fmt: skip
    used = sql.execute(
        "SELECT image, name FROM containers "
        "WHERE image_digest IN (SELECT value FROM json_each(?))", (dumps(plan.images),),
    )  # fmt: skip
    for image, container in used:
        raise InUse(
            f"image {image} is used by container {container} since a moment ago",
            hint=f"nothing was removed; rm {container} first",
            subject=image,
        )


def keep_images(sql: Connection, plan: RemovePlan, bin_: Bin) -> None:
    """Put what the plan takes away into the trash, with all that it needs to come back."""
    names, going = set(plan.tags), set(plan.images)
    for digest in plan.images:
        own = {
            table: rows_of(sql, table, f"{column}=?", (digest,))
            for table, column in (("images", "digest"), ("image_layers", "image"))
        }
        tags = [row for row in rows_of(sql, "tags", "digest=?", (digest,))
                if row["name"] in names]  # fmt: skip
        holds = {digest, *(row["config_digest"] for row in own["images"])}
        holds.update(_index_blobs(sql, [digest]))
        for row in own["image_layers"]:
            holds |= {row["diff_id"], row["blob_digest"]}
        name = familiar_name(tags[0]["name"]) if tags else digest
        size = sum(plan.sizes.get(hold, 0) for hold in holds)
        bin_.put(sql, "image", name, {**own, "tags": tags}, holds=holds, size=size)
    for name in plan.tags:
        rows = [row for row in rows_of(sql, "tags", "name=?", (name,))
                if row["digest"] not in going]  # fmt: skip
        if rows:
            bin_.put(sql, "name", familiar_name(name), {"tags": rows})


def _rows(sql: Connection, query: str, images: list[str]) -> list[Any]:
    from core.lean_json import dumps

    return [tuple(row) for row in sql.execute(query, (dumps(images),)).fetchall()]
