"""Where the registry's blobs are: files of this host's store, and objects of a bucket.

Without a bucket all are files.  With one, what is pushed goes there, unless the host has it
already; manifests, and what a cache fetches, stay files.  What the bucket holds is known from
the database: S3 is asked for contents alone.
"""

from __future__ import annotations

import os
import time

from core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection

    from core.database import Database
    from core.images.blobs import BlobStore
    from core.registry_server.bucket import Bucket


class ServedBlobs:
    """Blobs by digest: `files`, and the objects of `bucket` if there is one."""

    def __init__(self, files: BlobStore, database: Database, bucket: Bucket | None = None) -> None:
        self.files = files
        self.bucket = bucket
        self._database = database

    def find(self, digest: str) -> tuple[str, int]:
        """Return the key in the bucket, "" for a file, and the bytes; NotFound for neither."""
        try:
            return "", self.files.size(digest)
        except NotFound:
            rows = self._database.query(
                "SELECT key, size FROM bucket_blobs WHERE digest=?", (digest,)
            )
            if not rows or self.bucket is None:
                raise
            return rows[0][0], rows[0][1]

    def touch(self, digest: str) -> bool:
        """Mark a blob as just used; False if it is not here."""
        try:
            os.utime(self.files.path(digest))
        except FileNotFoundError:
            used = self._database.connection().execute(
                "UPDATE bucket_blobs SET used=? WHERE digest=?", (time.time(), digest)
            )
            return used.rowcount > 0 and self.bucket is not None
        return True

    def last_use(self, digest: str) -> float:
        """Return when a blob was last marked, 0 for one that is not here."""
        try:
            return os.stat(self.files.path(digest)).st_mtime
        except FileNotFoundError:
            rows = self._database.query("SELECT used FROM bucket_blobs WHERE digest=?", (digest,))
            return rows[0][0] if rows else 0.0

    def add_object(self, digest: str, key: str, size: int) -> None:
        """Note an object that has come; of two with one content the second is let go."""
        with self._database.write() as sql:
            added = sql.execute(
                "INSERT OR IGNORE INTO bucket_blobs VALUES (?,?,?,?)",
                (digest, key, size, time.time()),
            ).rowcount
            if not added:
                loosen_object(sql, key)

    def take_away(self, sql: Connection, digest: str, *, only_look: bool) -> int:
        """Remove a blob's file, or its row: `empty` removes the object.  Returns its bytes."""
        if self.files.has(digest):
            size = self.files.size(digest)
            if not only_look:
                self.files.remove(digest)
            return size
        rows = sql.execute("SELECT key, size FROM bucket_blobs WHERE digest=?", (digest,))
        found: tuple[str, int] | None = rows.fetchone()
        if found is None:
            return -1
        sql.execute("DELETE FROM bucket_blobs WHERE digest=?", (digest,))
        loosen_object(sql, found[0])
        return found[1]

    def let_go(self, key: str) -> None:
        """Note an upload that was given up: `empty` removes what has come of it."""
        with self._database.write() as sql:
            loosen_object(sql, key)

    def empty(self) -> None:
        """Remove the objects that were let go; those of a process that died meanwhile, too."""
        keys = [row[0] for row in self._database.query("SELECT key FROM bucket_loose")]
        if not keys or self.bucket is None:
            return
        self.bucket.remove(keys)
        with self._database.write() as sql:
            sql.executemany("DELETE FROM bucket_loose WHERE key=?", [(key,) for key in keys])


def loosen_object(sql: Connection, key: str) -> None:
    """Note an object that nothing stands for."""
    sql.execute("INSERT OR IGNORE INTO bucket_loose VALUES (?)", (key,))
