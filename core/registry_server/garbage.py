"""Collecting garbage: what no repository and no image needs gives its space back.

It never takes what a push needs.  A repository to which anything came within the last
`KEEP_S` is left alone as a whole, and so is one with an upload that still grows; a blob that a
push has just asked for has the time of that in its file.  First all is forgotten; then, in a
transaction of their own, files are removed: a manifest which comes meanwhile finds its blobs, or
is refused, and of a collection that is killed the next one finds what is left.
"""

from __future__ import annotations

import os
import time

from core.images.holders import held_blobs
from core.record import Record
from core.registry_server.blobs import loosen_object
from core.registry_server.uploads import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Iterator

    from core.database import Database
    from core.paths import Paths
    from core.registry_server.blobs import ServedBlobs

KEEP_S = 3600.0
UPLOAD_KEEP_S = 86400.0
"""An upload that nobody went on with for so long is given up."""


class Collected(Record):
    """What went, or would go."""

    manifests: tuple[str, ...]
    """NAME@DIGEST."""
    blobs: tuple[str, ...]
    uploads: tuple[str, ...]
    bytes_back: int


class _Undo(Exception):
    """Ends a transaction that only looked, with what it found."""

    def __init__(self, found: tuple[list[str], int]) -> None:
        super().__init__()
        self.found = found


def collect(
    paths: Paths,
    database: Database,
    blobs: ServedBlobs,
    *,
    untagged: bool = False,
    keep_s: float = KEEP_S,
    only_look: bool = False,
) -> Collected:
    """Remove blobs that no manifest needs, and with `untagged` manifests without a name.

    Entries of an index that stays, and what refers to something that stays, stay too.
    """
    now = time.time()
    try:
        with database.write() as sql:
            manifests, uploads = _forget(sql, paths, blobs, now, untagged, keep_s)
            if only_look:
                raise _Undo(_remove_files(sql, paths, blobs, now, keep_s, only_look=True))
        database.sync()  # else a power cut could bring back rows whose files are gone
        with database.write() as sql:
            gone, size = _remove_files(sql, paths, blobs, now, keep_s, only_look=False)
        blobs.empty()
    except _Undo as looked:
        gone, size = looked.found
    return Collected(tuple(manifests), tuple(gone), tuple(uploads), size)


def _forget(
    sql: Connection, paths: Paths, blobs: ServedBlobs, now: float, untagged: bool, keep_s: float
) -> tuple[list[str], list[str]]:
    """Take away what the database need not name; returns manifests, and uploads given up."""
    uploads, given_up = _uploads(sql, paths, now)
    busy = {name for name, last in uploads if last > now - keep_s}
    rows = sql.execute("SELECT name FROM repositories WHERE pushed <= ?", (now - keep_s,))
    idle = [name for (name,) in rows.fetchall() if name not in busy]
    manifests: list[str] = []
    for name in idle:
        if untagged:
            manifests += _drop_untagged(sql, name)
        _drop_blobs(sql, blobs, name, now - keep_s)
        _drop_empty(sql, name)
    sql.execute(
        "DELETE FROM manifest_contents WHERE manifest NOT IN "
        "(SELECT digest FROM repository_manifests)"
    )
    for upload in given_up:
        sql.execute("DELETE FROM repository_uploads WHERE id=?", (upload,))
        if blobs.bucket:
            loosen_object(sql, blobs.bucket.key(upload))
    return manifests, given_up


def _uploads(
    sql: Connection, paths: Paths, now: float
) -> tuple[list[tuple[str, float]], list[str]]:
    """Return (repository, last write) of the uploads that live, and the names of the others."""
    alive, given_up = [], []
    for upload, name, started in sql.execute("SELECT * FROM repository_uploads").fetchall():
        try:
            last = os.stat(f"{paths.partial}/{PREFIX}{upload}").st_mtime
        except FileNotFoundError:
            last = started
        if last > now - UPLOAD_KEEP_S:
            alive.append((name, last))
        else:
            given_up.append(upload)
    return alive, given_up


def _nobody_s(sql: Connection, paths: Paths, now: float) -> Iterator[str]:
    """Yield files of uploads without a row: given up, or whoever ended them was killed over it."""
    known = {PREFIX + row[0] for row in sql.execute("SELECT id FROM repository_uploads")}
    for entry in os.scandir(paths.partial):
        is_upload = entry.name.startswith(PREFIX) and entry.name not in known
        if is_upload and entry.stat(follow_symlinks=False).st_mtime <= now - UPLOAD_KEEP_S:
            yield entry.path


def _remove_upload(path: str, only_look: bool) -> int:
    """Remove an upload's file, if there is one; returns its bytes."""
    try:
        size = os.stat(path).st_size
        if not only_look:
            os.unlink(path)
    except FileNotFoundError:
        return 0
    return size


def _drop_untagged(sql: Connection, name: str) -> list[str]:
    """Take away manifests that no tag leads to; return them as NAME@DIGEST."""
    wanted = "SELECT digest FROM repository_tags WHERE repository=?1"
    rows = sql.execute(
        f"WITH RECURSIVE kept(digest) AS ({wanted} UNION "  # noqa: S608 - constants
        "SELECT c.content FROM manifest_contents c JOIN kept ON c.manifest = kept.digest UNION "
        "SELECT m.digest FROM repository_manifests m JOIN kept ON m.subject = kept.digest "
        "WHERE m.repository=?1) "
        "SELECT digest FROM repository_manifests WHERE repository=?1 AND digest NOT IN kept",
        (name,),
    ).fetchall()
    for (digest,) in rows:
        sql.execute(
            "DELETE FROM repository_manifests WHERE repository=? AND digest=?", (name, digest)
        )
        _loosen(sql, digest)
    return [f"{name}@{digest}" for (digest,) in rows]


def _drop_blobs(sql: Connection, blobs: ServedBlobs, name: str, before: float) -> None:
    """Take blobs out of a repository that none of its manifests needs."""
    rows = sql.execute(
        "SELECT digest FROM repository_blobs WHERE repository=?1 AND digest NOT IN "
        "(SELECT c.content FROM manifest_contents c JOIN repository_manifests m "
        "ON m.digest = c.manifest WHERE m.repository=?1)",
        (name,),
    ).fetchall()
    for (digest,) in rows:
        if blobs.last_use(digest) <= before:
            sql.execute(
                "DELETE FROM repository_blobs WHERE repository=? AND digest=?", (name, digest)
            )
            _loosen(sql, digest)


def _drop_empty(sql: Connection, name: str) -> None:
    """Forget a repository that holds nothing: its name may mean the host's images again."""
    sql.execute(
        "DELETE FROM repositories WHERE name=?1 "
        "AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository=?1) "
        "AND NOT EXISTS (SELECT 1 FROM repository_manifests WHERE repository=?1) "
        "AND NOT EXISTS (SELECT 1 FROM repository_uploads WHERE repository=?1)",
        (name,),
    )


def _remove_files(
    sql: Connection, paths: Paths, blobs: ServedBlobs, now: float, keep_s: float, *, only_look: bool
) -> tuple[list[str], int]:
    """Remove what nothing names; returns the digests of blobs, and the bytes of all."""
    gone, size = [], 0
    loose = [row[0] for row in sql.execute("SELECT digest FROM loose_blobs")]
    held = held_blobs(sql, loose)
    for digest in loose:
        if digest not in held:
            if blobs.last_use(digest) > now - keep_s:
                continue
            freed = blobs.take_away(sql, digest, only_look=only_look)
            if freed >= 0:
                gone.append(digest)
                size += freed
        sql.execute("DELETE FROM loose_blobs WHERE digest=?", (digest,))
    for path in _nobody_s(sql, paths, now):
        size += _remove_upload(path, only_look)
    return gone, size


def _loosen(sql: Connection, digest: str) -> None:
    sql.execute("INSERT OR IGNORE INTO loose_blobs VALUES (?,?)", (digest, time.time()))
