"""The local images: names, manifests, configs, and which layers they have.

SQLite says what there is; the unpacked layers themselves are in `core.images.layers`.
"""

from __future__ import annotations

import time

from core.errors import Conflict, NotFound
from core.images.blobs import BlobStore
from core.images.digest import begun_by, is_digest
from core.images.reference import familiar_name, parse_reference
from core.model import ImageInfo, LayerInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from core.config import Config
    from core.database import Database
    from core.images.layers import LayerStore
    from core.images.manifest import Manifest
    from core.images.removal import RemovePlan
    from core.paths import Paths
    from core.trash_bin import Bin

STARTER = "localhost/starter:latest"
"""The name of the image that is made from the host's own programs."""

SELECT = """
SELECT i.digest, i.config_digest, i.platform, i.created,
    (SELECT COALESCE(SUM(l.size), 0) FROM image_layers il JOIN layers l USING (diff_id)
     WHERE il.image = i.digest),
    (SELECT COALESCE(SUM(il.blob_size), 0) FROM image_layers il WHERE il.image = i.digest),
    (SELECT COUNT(*) FROM image_layers il WHERE il.image = i.digest),
    (SELECT GROUP_CONCAT(t.name, ' ') FROM tags t WHERE t.digest = i.digest),
    i.added
FROM images i
"""


class ImageStore:
    """The images of this host; safe to share between threads and processes."""

    def __init__(self, paths: Paths, database: Database, config: Config) -> None:
        self._paths = self.paths = paths
        self.database = database
        self._config = config
        self.blobs = BlobStore(paths)

    @property
    def layers(self) -> LayerStore:
        """The unpacked layers."""
        from core.images.layers import LayerStore

        return LayerStore(self._paths, self.database, self._config)

    @property
    def directory(self) -> str:
        """Where all of it lies."""
        return self._paths.data

    def images(self) -> list[ImageInfo]:
        """Return all images, newest first."""
        rows = self.database.query(SELECT + " ORDER BY i.created DESC, i.added DESC")
        return [_info(row) for row in rows]

    def resolve(self, text: str, platform: str = "") -> ImageInfo:
        """Return the image that a name, a digest or the start of an ID means.

        With a platform, that of the name's images which is for it.  Raises NotFound with the
        command that fetches it, Conflict for an ambiguous start.
        """
        found = self._by_name(text) or self._by_id(text)
        if found is None:
            known = "image starter" if text == "starter" else f"pull {text}"
            raise NotFound(f"there is no image {text!r} here", hint=known, subject=text)
        return self._for_platform(text, found, platform) if platform else found

    def full_name(self, text: str) -> str:
        """Return the name in full by which `resolve` finds an image, or would look for it."""
        names = self._names(text)
        otherwise = names[0] if names else text
        return next(filter(self.is_name, names), otherwise)

    def is_name(self, canonical: str) -> bool:
        """Return whether an image here has this name."""
        return bool(self.database.query("SELECT 1 FROM tags WHERE name=?", (canonical,)))

    def _for_platform(self, text: str, found: ImageInfo, platform: str) -> ImageInfo:
        from core.images.manifest import Descriptor, Entry, Index, choose

        images = [found, *(self.resolve(digest) for _, digest in self._siblings(text))]
        entries = [Entry(Descriptor("", image.digest, 0), image.platform) for image in images]
        try:
            chosen = choose(Index("", tuple(entries)), platform, text)
        except NotFound as error:
            error.hint = f"{error.hint.partition(';')[0]}; pull --platform {platform} {text}"
            raise
        return next(image for image in images if image.digest == chosen.digest)

    def _siblings(self, text: str) -> list[tuple[str, str]]:
        """Return names and digests of other platforms' images that were pulled with a name."""
        name = self.canonical(text)
        repository = name.partition("@")[0].rpartition(":")[0]
        rows = self.database.query(
            "SELECT o.name, o.digest FROM tags t JOIN tags o USING (source_digest) "
            "WHERE t.name=? AND o.digest <> t.digest AND t.source_digest <> t.digest",
            (name,),
        )
        return [(other, digest) for other, digest in rows if other == f"{repository}@{digest}"]

    def canonical(self, text: str) -> str:
        """Return the stored name that `text` means, "" when it is an ID."""
        return next(filter(self.is_name, self._names(text)), "")

    def manifest(self, digest: str) -> Manifest:
        """Return an image's manifest."""
        from core.images.manifest import Manifest, parse

        found = parse(self.blobs.read(digest), "", f"manifest {digest}")
        assert isinstance(found, Manifest)
        return found

    def config(self, digest: str) -> dict[str, Any]:
        """Return an image's config (the OCI document) by its manifest's digest."""
        from core.lean_json import loads

        row = self.database.query("SELECT config_digest FROM images WHERE digest=?", (digest,))
        if not row:
            raise NotFound(f"there is no image {digest}", hint="images lists what there is")
        document: dict[str, Any] = loads(self.blobs.read(row[0][0]).decode())
        return document

    def lowerdirs(self, digest: str) -> tuple[int, ...]:
        """Return an image's layer IDs, the uppermost first, as overlayfs names them."""
        rows = self.database.query(
            "SELECT l.id FROM image_layers il JOIN layers l USING (diff_id) WHERE il.image=? "
            "ORDER BY il.position DESC",
            (digest,),
        )
        return tuple(row[0] for row in rows)

    def history(self, digest: str) -> list[LayerInfo]:
        """Return the steps an image was made by, oldest first, with what each layer holds."""
        from core.images.manifest import created_at

        config = self.config(digest)
        rows = self.database.query(
            "SELECT il.diff_id, il.blob_digest, il.blob_size, l.size, l.files FROM image_layers il "
            "JOIN layers l USING (diff_id) WHERE il.image=? ORDER BY il.position",
            (digest,),
        )
        layers = iter(rows)
        steps = []
        for step in config.get("history") or []:
            words = str(step.get("created_by") or "")
            when = created_at(step.get("created"))
            layer = None if step.get("empty_layer") else next(layers, None)
            steps.append(
                _layer_info(layer or ("", "", 0, 0, 0), words, when, str(step.get("comment") or ""))
            )
        steps += [_layer_info(layer, "", 0.0, "") for layer in layers]
        return steps

    def add_image(
        self,
        manifest: bytes,
        media_type: str,
        config: bytes,
        tags: Sequence[str],
        source_digest: str = "",
    ) -> ImageInfo:
        """Store an image whose layers are all unpacked here, under canonical names.

        Idempotent.  Raises Corrupt for a manifest or config that does not parse or fit, Conflict
        for a layer or a blob that is not here, or no longer.
        """
        from core.errors import Corrupt
        from core.images.digest import digest_of
        from core.images.manifest import (
            Manifest,
            created_at,
            diff_ids,
            parse,
            parse_config,
            platform_of,
        )

        digest, config_digest = digest_of(manifest), digest_of(config)
        parsed, document = parse(manifest, media_type), parse_config(config)
        assert isinstance(parsed, Manifest)
        layers = diff_ids(document)
        if len(layers) != len(parsed.layers):
            raise Corrupt(
                f"image {digest}: layers: {len(parsed.layers)}, diff_ids: {len(layers)}",
                subject=digest,
            )
        self.blobs.sweep()
        self.blobs.write(config_digest, [config])
        self.blobs.write(digest, [manifest])
        now = time.time()
        with self.database.write() as sql:
            _check_here(sql, layers, digest)
            self._check_blobs([digest, config_digest, *(one.digest for one in parsed.layers)])
            sql.execute(
                "INSERT OR IGNORE INTO images VALUES (?,?,?,?,?,?)",
                (
                    digest,
                    config_digest,
                    parsed.media_type,
                    platform_of(document),
                    created_at(document.get("created")),
                    now,
                ),
            )
            sql.executemany(
                "INSERT OR IGNORE INTO image_layers VALUES (?,?,?,?,?,?)",
                [
                    (digest, place, diff_id, layer.digest, layer.size, layer.media_type)
                    for place, (diff_id, layer) in enumerate(
                        zip(layers, parsed.layers, strict=True)
                    )
                ],
            )
            for name in tags:
                sql.execute(
                    "INSERT OR REPLACE INTO tags VALUES (?,?,?,?)",
                    (name, digest, source_digest or digest, now),
                )
        return self.resolve(digest)

    def _check_blobs(self, digests: Iterable[str]) -> None:
        """Raise Conflict when another limpet has removed a blob since it came; as `_check_here`."""
        for digest in digests:
            if not self.blobs.has(digest):
                raise Conflict(
                    f"blob {digest} is not here, or no longer",
                    hint="the same command again brings it; image fsck --repair, if not",
                    subject=digest,
                )

    def tag(self, source: str, canonical: str, source_digest: str = "") -> None:
        """Give an image one more name; a name that meant another image moves.

        `source_digest` is what the name stands for in a registry, if that is not the image.
        """
        with self.database.write() as sql:
            digest = self.resolve(source).digest
            sql.execute(
                "INSERT OR REPLACE INTO tags VALUES (?,?,?,?)",
                (canonical, digest, source_digest or digest, time.time()),
            )

    def untag(self, canonical: str, bin_: Bin | None = None) -> None:
        """Take a name away; NotFound if nothing has it."""
        from core.trash_bin import rows_of

        with self.database.write() as sql:
            rows = rows_of(sql, "tags", "name=?", (canonical,))
            if not rows:
                raise NotFound(
                    f"no image is called {familiar_name(canonical)}", hint="images lists the names"
                )
            if bin_ is not None:
                bin_.put(sql, "name", familiar_name(canonical), {"tags": rows})
            sql.execute("DELETE FROM tags WHERE name=?", (canonical,))

    def plan_removal(
        self, words: Sequence[str], *, force: bool, users: Mapping[str, tuple[str, ...]]
    ) -> RemovePlan:
        """Decide what goes with these images; see `core.images.removal`."""
        from core.images.removal import plan_removal

        wanted = []
        for word in words:
            wanted.append((word, self.resolve(word), self.canonical(word)))
            # The images of other platforms came with the name, and go with it.
            wanted += [(name, self.resolve(digest), name) for name, digest in self._siblings(word)]
        return plan_removal(self.database, wanted, force=force, users=users)

    def apply_removal(self, plan: RemovePlan, bin_: Bin | None = None) -> None:
        """Remove exactly what the plan names; into the trash, or else for good.

        Raises Conflict or InUse when names have moved, or containers have come, since it was made.
        """
        from core.images.removal import check_unchanged, keep_images

        gone: list[str] = []
        with self.database.write() as sql:
            check_unchanged(sql, plan)
            if bin_ is not None:
                keep_images(sql, plan, bin_)
            sql.executemany("DELETE FROM tags WHERE name=?", [(tag,) for tag in plan.tags])
            sql.executemany("DELETE FROM images WHERE digest=?", [(d,) for d in plan.images])
            if bin_ is None:
                layers = [diff_id for _, diff_id in plan.layers]
                self.collect(sql, [*layers, *plan.blobs], gone)
        self.discard(gone)

    def let_go(self, digests: Iterable[str]) -> None:
        """Remove those layers and blobs that nothing holds."""
        gone: list[str] = []
        with self.database.write() as sql:
            self.collect(sql, digests, gone)
        self.discard(gone)

    def collect(self, sql: Connection, digests: Iterable[str], gone: list[str]) -> int:
        """Forget those layers and blobs that nothing holds; returns their bytes.

        Within the transaction that has taken their holders away; with an index goes what is
        known of it.  What is to go is added to `gone`; `discard` removes the files, once nothing
        in the database names them.
        """
        from core.images.holders import held_blobs, held_layers
        from core.lean_json import dumps

        freed, digests = 0, list(digests)
        layers, blobs = held_layers(sql, digests), held_blobs(sql, digests)
        sql.execute(
            "DELETE FROM index_blobs WHERE index_digest IN (SELECT value FROM json_each(?))",
            (dumps([digest for digest in digests if digest not in blobs]),),
        )
        for digest in digests:
            row = sql.execute("SELECT id, size FROM layers WHERE diff_id=?", (digest,)).fetchone()
            if row and digest not in layers:
                freed += row[1]
                sql.execute("DELETE FROM layers WHERE id=?", (row[0],))
                gone.append(str(row[0]))
            if digest not in blobs and self.blobs.has(digest):
                freed += self.blobs.size(digest)
                gone.append(digest)
        return freed

    def discard(self, gone: Iterable[str]) -> set[str]:
        """Remove the files of what was forgotten, but for blobs that came back meanwhile: returned.

        In a transaction of its own: an image that comes now finds them, or is refused; a
        removal that is killed leaves files that nothing names.
        """
        from core.images.holders import held_blobs
        from core.trees import remove_tree

        folders, gone = [], list(gone)
        if not gone:
            return set()
        self.database.sync()  # else a power cut could bring back rows whose files are gone
        with self.database.write() as sql:
            held = held_blobs(sql, gone)
            for name in gone:
                if not name.isdigit():
                    if name not in held:
                        self.blobs.remove(name)
                elif not sql.execute("SELECT 1 FROM layers WHERE id=?", (name,)).fetchone():
                    folders.append(self.layers.set_aside(int(name)))
        for folder in folders:
            remove_tree(folder)
        return held

    def _names(self, text: str) -> list[str]:
        from core.errors import UsageError

        try:
            reference = parse_reference(text, self._config["registry", "default"])
        except UsageError:
            return []
        names = [reference.canonical]
        if text in ("starter", "starter:latest"):
            names.append(STARTER)
        return names

    def _by_name(self, text: str) -> ImageInfo | None:
        for name in self._names(text):
            rows = self.database.query(
                SELECT + " JOIN tags n ON n.digest = i.digest WHERE n.name=?", (name,)
            )
            if rows:
                return _info(rows[0])
        _, at, digest = text.partition("@")
        if at and is_digest(digest):
            rows = self.database.query(
                SELECT + " WHERE i.digest=? OR i.digest IN "  # noqa: S608 - constants
                "(SELECT digest FROM tags WHERE source_digest=?)",
                (digest, digest),
            )
            return _info(rows[0]) if rows else None
        return None

    def _by_id(self, text: str) -> ImageInfo | None:
        bounds = begun_by(text)
        if bounds is None:
            return None
        rows = self.database.query(
            SELECT + " WHERE (i.digest>=? AND i.digest<?)"
            " OR (i.config_digest>=? AND i.config_digest<?)",
            (*bounds, *bounds),
        )
        images = [_info(row) for row in rows]
        # The same image packed otherwise, as gzip and as zstd, has the same ID.
        if len(found := {image.config_digest for image in images}) > 1:
            known = ", ".join(sorted(config[7:19] for config in found))
            raise Conflict(f"{text!r} is the start of several IDs: {known}", hint="type more of it")
        return images[0] if images else None


def _check_here(sql: Connection, layers: Sequence[str], image: str) -> None:
    """Raise Conflict when another limpet has removed a layer since it was added.

    Asked within the transaction that adds the image: from then on that holds them.
    """
    marks = ",".join("?" * len(layers))
    here = sql.execute(
        f"SELECT diff_id FROM layers WHERE diff_id IN ({marks})",  # noqa: S608
        layers,
    ).fetchall()
    if len(here) < len(set(layers)):
        raise Conflict(f"image {image}: a layer was removed meanwhile", hint="pull it again")


def _layer_info(row: Any, words: str, created: float, comment: str) -> LayerInfo:
    diff_id, blob_digest, blob_bytes, size, files = row
    return LayerInfo(diff_id, blob_digest, blob_bytes, size, files, words, created, comment)


def _info(row: Any) -> ImageInfo:
    digest, config_digest, platform, created, size, blobs, layers, names, added = row
    tags = tuple(sorted(familiar_name(name) for name in (names or "").split()))
    return ImageInfo(
        digest, config_digest, tags, platform, created, size, blobs, layers, added=added
    )
