"""This host's images as an end of a copy: unpacked as they come, in the trash as they go."""

from __future__ import annotations

import fnmatch
import os

from core.errors import Corrupt
from core.images.manifest import Manifest, diff_ids, parse, parse_config
from core.images.reference import parse_reference
from core.registry.sync.disk_ends import DiskEnd
from core.trash import Trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from core.config import Config
    from core.images.store import ImageStore
    from core.registry.sync.ends import End, Found


class StoreEnd(DiskEnd):
    """This host's images, by their names without tags: HOST/PATH.

    As a source, `store:PATTERN` means those whose familiar name without the tag fits.
    """

    by_host = True

    def __init__(
        self, store: ImageStore, config: Config, pattern: str, check: Callable[[], None]
    ) -> None:
        self.name = "store"
        self.root = ""
        self.store = store
        self._trash = Trash(store.paths, store.database, config, lambda: store)
        self.blobs = store.blobs
        self._pattern = pattern
        self._check = check

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        if source.client is not None:
            return source.show(repository, "").rstrip(":")
        name = repository or os.path.basename(source.root)
        return parse_reference(name).repository

    def repositories(self) -> list[str]:
        """Return the names before the tags."""
        found = super().repositories()
        if not self._pattern:
            return found
        return [name for name in found if fnmatch.fnmatchcase(_familiar(name), self._pattern)]

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags."""
        rows = self.store.database.query(
            "SELECT substr(name, length(?1) + 2) FROM tags "
            "WHERE name > ?1 || ':' AND name < ?1 || ';' AND instr(name, '@') = 0 ORDER BY name",
            (repository,),
        )
        return [tag for (tag,) in rows if "/" not in tag]  # a port is no tag

    def listing(self) -> Mapping[str, Collection[str]]:
        """Return the tags by repository."""
        found: dict[str, list[str]] = {}
        for (name,) in self.store.database.query(
            "SELECT name FROM tags WHERE instr(name, '@') = 0"
        ):
            repository, _, tag = name.rpartition(":")
            found.setdefault(repository, []).append(tag)
        return found

    def named(self, repository: str, tag: str) -> tuple[str, str]:
        """Return digest and media type of what a tag stands for, both "" for nothing."""
        rows = self.store.database.query(
            "SELECT t.digest, i.media_type FROM tags t JOIN images i USING (digest) "
            "WHERE t.name=?", (f"{repository}:{tag}",),
        )  # fmt: skip
        return rows[0] if rows else ("", "")

    def show(self, repository: str, tag: str) -> str:
        """Return the name of an image as people write it."""
        return f"{repository}:{tag}"

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Unpack what is not unpacked yet, and make it an image."""
        content, media_type, digest = found
        if not tag:
            return
        manifest = parse(content, media_type, f"{repository}:{tag}")
        assert isinstance(manifest, Manifest)
        config = self.blobs.read(manifest.config.digest)
        names = diff_ids(parse_config(config))
        if len(names) != len(manifest.layers):
            raise Corrupt(f"{repository}:{tag}: the config names other layers", subject=digest)
        for layer, diff_id in zip(manifest.layers, names, strict=True):
            blob = self.blobs.path(layer.digest)
            self.store.layers.add(blob, layer, diff_id, lambda _: None, self._check)
        self.store.add_image(
            content, media_type, config, (f"{repository}:{tag}",), source_digest or digest
        )

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Remove the name, into the trash, and the image if that was its last one.

        Raises InUse when a container is made of it.
        """
        rows = self.store.database.query("SELECT image_digest, name FROM containers")
        users: dict[str, tuple[str, ...]] = {}
        for digest, name in rows:
            users[digest] = (*users.get(digest, ()), name)
        plan = self.store.plan_removal([f"{repository}:{tag}"], force=False, users=users)
        self.store.apply_removal(plan, self._trash.open(f"sync: rmi {repository}:{tag}"))


def _familiar(repository: str) -> str:
    return parse_reference(f"{repository}:x").familiar.removesuffix(":x")
