"""What was removed, for as long as it can be brought back.

A removal puts the rows it takes away into the trash, and the directory that goes with them;
layers and blobs stay where they are, held by the trash.  One command is one batch: `undo`
brings back all of it.  What is over its time goes when some limpet next removes, pulls or
prunes; when the disk is nearly full, nothing is kept.
"""

from __future__ import annotations

import errno
import os
import time

from core.errors import Conflict, NotFound
from core.lean_json import loads
from core.record import Record
from core.trash_bin import Bin, insert

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Callable
    from typing import Any

    from core.config import Config
    from core.database import Database
    from core.images.store import ImageStore
    from core.paths import Paths

RESTORED = ("images", "image_layers", "tags", "containers", "container_edits")
"""Tables whose rows can be in the trash, those first that others refer to."""
EVER = float("inf")
NEED_IMAGE = {"tags": "digest", "containers": "image_digest"}
"""The column in which a table's rows name an image."""
STUCK = (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EROFS)
"""Other errors come of somebody else who removes the same."""
IF_FREE = ("tags",)
"""Rows that are left out when their name is taken meanwhile."""


class Batch(Record):
    """One command's removals."""

    id: str
    command: str
    removed: float
    names: tuple[str, ...] = ()
    """What it holds, `image web:1`, `container db`."""
    bytes: int = 0
    """What comes back when it is emptied, as far as that is known without looking."""


class Trash:
    """The trash of this host; safe to share between threads and processes."""

    def __init__(
        self, paths: Paths, database: Database, config: Config, images: Callable[[], ImageStore]
    ) -> None:
        self._paths = paths
        self._database = database
        self._config = config
        self._images = images

    def open(self, command: str) -> Bin | None:
        """Return what one command's removals go into; None when nothing is to be kept."""
        if not self._config["storage", "trash_s"] or self._disk_is_full():
            return None
        self._settle()
        return Bin(self._paths, f"{time.time_ns():x}", command)

    def batches(self) -> list[Batch]:
        """Return what can be brought back, the latest first."""
        found: dict[str, Batch] = {}
        names: dict[str, list[str]] = {}
        for batch, command, removed, name, size in self._database.query(
            "SELECT batch, command, removed, kind || ' ' || name, bytes FROM trash "
            "ORDER BY batch DESC, id"
        ):
            before = found.get(batch) or Batch(batch, command, removed)
            found[batch] = before.replace(bytes=before.bytes + size)
            names.setdefault(batch, []).append(name)
        return [one.replace(names=tuple(names[one.id])) for one in found.values()]

    def undo(self, batch: str = "") -> Batch:
        """Bring back a batch, the latest one if none is named, and return it.

        Raises NotFound when there is none, Conflict when a container's name is taken, or the
        image of a name or a container is gone; then all of it stays in the trash.
        """
        self._settle()
        with self._database.write() as sql:
            known = self.batches()
            chosen = next((one for one in known if not batch or one.id == batch), None)
            if chosen is None:
                raise NotFound(
                    "there is nothing to bring back",
                    hint=f"what is removed is kept for {self._config['storage', 'trash_s']} s: "
                    "storage.trash_s in config.toml",
                )
            entries = sql.execute(
                "SELECT name, document FROM trash WHERE batch=? ORDER BY id", (chosen.id,)
            ).fetchall()
            documents = [(name, loads(document)) for name, document in entries]
            # By table: a container may have been removed before its image, by one command.
            for table in RESTORED:
                for name, document in documents:
                    for row in document["rows"].get(table, ()):
                        self._restore(sql, name, table, row)
            sql.execute("DELETE FROM trash WHERE batch=?", (chosen.id,))
            # Last: until here nothing but rows was touched, and those can be rolled back.
            for _, document in documents:
                if document["directory"]:
                    os.rename(f"{self._paths.trash}/{document['kept']}", document["directory"])
        return chosen

    def _restore(self, sql: Connection, name: str, table: str, row: dict[str, Any]) -> None:
        from core.lean_sqlite import IntegrityError

        if column := NEED_IMAGE.get(table):
            self._require_image(sql, name, row[column])
        verb = "INSERT OR IGNORE" if table.startswith("image") or table in IF_FREE else "INSERT"
        try:
            insert(sql, table, row, verb)
        except IntegrityError:
            raise Conflict(
                f"the name {name!r} is taken meanwhile",
                hint=f"limpet rename {name} ANOTHER, then undo again",
                subject=name,
            ) from None

    def _require_image(self, sql: Connection, name: str, digest: str) -> None:
        """Raise Conflict when the image of a name or a container was removed after that."""
        if sql.execute("SELECT 1 FROM images WHERE digest=?", (digest,)).fetchone():
            return
        held = sql.execute(
            "SELECT t.batch FROM trash t JOIN trash_holds h ON h.trash = t.id "
            "WHERE t.kind='image' AND h.digest=?", (digest,),
        ).fetchone()  # fmt: skip
        raise Conflict(
            f"the image of {name} was removed, too",
            hint=f"limpet undo {held[0]} first" if held else f"pull {digest} again, then undo",
            subject=name,
        )

    def sweep(self) -> int:
        """Remove for good what is over its time; all of it when the disk is nearly full.

        Returns the bytes that came back.
        """
        if self._disk_is_full():
            return self.empty()
        now = time.time()
        if self._database.query("SELECT 1 FROM trash WHERE removed>? LIMIT 1", (now,)):
            # The clock was wrong then, or is now: the time to keep it begins anew.
            with self._database.write() as sql:
                sql.execute("UPDATE trash SET removed=?1 WHERE removed>?1", (now,))
        return self.empty(now - self._config["storage", "trash_s"])

    def empty(self, before: float | None = None) -> int:
        """Remove for good what was removed before a time (None: everything); returns bytes."""
        limit = EVER if before is None else before
        if not self._database.query("SELECT 1 FROM trash WHERE removed<? LIMIT 1", (limit,)):
            return 0
        gone: list[str] = []
        with self._database.write() as sql:
            held = [row[0] for row in sql.execute(
                "SELECT DISTINCT h.digest FROM trash_holds h JOIN trash t ON h.trash = t.id "
                "WHERE t.removed<?", (limit,)
            )]  # fmt: skip
            sql.execute("DELETE FROM trash WHERE removed<?", (limit,))
            freed = self._images().collect(sql, held, gone)
        self._images().discard(gone)
        self._settle()
        return freed

    def stuck(self) -> list[tuple[str, str]]:
        """Remove what emptyings have left; return which directories still cannot be, and why."""
        return self._settle()

    def _settle(self) -> list[tuple[str, str]]:
        """Put directories where their rows say that they are; remove those of no row.

        Returns which of those cannot be removed, and why.

        Whoever was killed between moving a directory and the end of the transaction left one
        in the wrong place; an emptying that was cut short left some that nobody can want.
        """
        from core.trees import remove_tree

        orphans = []
        with self._database.write() as sql:
            kept = {}
            for (text,) in sql.execute("SELECT document FROM trash WHERE kind='container'"):
                document = loads(text)
                kept[document["kept"]] = document["directory"]
            for name in _names(self._paths.trash):
                if name in kept:
                    continue
                home = self._paths.container(name)
                row = sql.execute("SELECT 1 FROM containers WHERE id=?", (name,)).fetchone()
                if row and not os.path.exists(home):
                    os.rename(f"{self._paths.trash}/{name}", home)
                else:
                    orphans.append(f"{self._paths.trash}/{name}")
            for name, home in kept.items():
                place = f"{self._paths.trash}/{name}"
                if os.path.exists(home) and not os.path.exists(place):
                    os.rename(home, place)
        stuck = []
        for orphan in orphans:
            try:
                remove_tree(orphan)
            except OSError as error:  # an immutable file, a mount: the next time tries again
                if error.errno in STUCK:
                    stuck.append((orphan, error.strerror or str(error)))
        return stuck

    def _disk_is_full(self) -> bool:
        try:
            disk = os.statvfs(self._paths.data)
        except FileNotFoundError:
            return False
        percent: int = self._config["storage", "trash_free_percent"]
        return disk.f_bavail * 100 < disk.f_blocks * percent


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
