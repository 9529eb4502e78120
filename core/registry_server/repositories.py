"""What the registry holds: repositories with their blobs, manifests and tags.

A repository that was pushed to is what was pushed.  Any other name stands for the host's own
images of that path, whatever their registry: those are served, never changed.  The first push
takes over what the name showed until then.
"""

from __future__ import annotations

import time

from core.errors import NotFound
from core.images.digest import is_digest
from core.images.manifest import MAX_SIZE
from core.record import Record
from core.registry_server.documents import read_manifest
from core.registry_server.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection

    from core.database import Database
    from core.registry_server.blobs import ServedBlobs
    from core.registry_server.documents import Facts


DESCRIPTOR_BYTES = 100
"""Of an index's entry, without what a manifest brings."""


class Stored(Record):
    """A manifest that is here."""

    digest: str
    media_type: str


class Referrer(Record):
    """A manifest whose subject is another one."""

    digest: str
    media_type: str
    size: int
    artifact_type: str
    annotations: str
    """JSON."""


class Repositories:
    """All repositories of the store.  Methods raise Refusal for names that are not there."""

    def __init__(self, database: Database, blobs: ServedBlobs) -> None:
        self._database = database
        self._blobs = blobs

    def catalog(self) -> list[str]:
        """Return the names of all repositories, sorted."""
        own = {row[0] for row in self._database.query("SELECT name FROM repositories")}
        local = {_path(row[0]) for row in self._database.query("SELECT name FROM tags")}
        local.discard("")
        return sorted(own | local)

    def tags(self, name: str) -> list[str]:
        """Return a repository's tags, sorted."""
        if self._is_own(name):
            rows = self._database.query(
                "SELECT tag FROM repository_tags WHERE repository=? ORDER BY tag", (name,)
            )
            return [row[0] for row in rows]
        found = sorted({row[0].rpartition(":")[2] for row in self._local(name)})
        if not found:
            raise Refusal("NAME_UNKNOWN", f"there is no repository {name}")
        return found

    def manifest(self, name: str, reference: str) -> Stored:
        """Return the manifest that a tag or digest stands for."""
        if self._is_own(name):
            digest = reference if is_digest(reference) else self._tagged(name, reference)
            rows = self._database.query(
                "SELECT digest, media_type FROM repository_manifests "
                "WHERE repository=? AND digest=?",
                (name, digest),
            )
        else:
            digest = self._local_digest(name, reference)
            rows = self._database.query(
                "SELECT digest, media_type FROM images WHERE digest=?", (digest,)
            )
        if not rows:
            raise Refusal("MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        return Stored(*rows[0])

    def has_blob(self, name: str, digest: str) -> bool:
        """Return whether a repository holds a blob; a push that asks keeps it from collection."""
        if self._is_own(name):
            rows = self._database.query(
                "SELECT 1 FROM repository_blobs WHERE repository=?1 AND digest=?2 "
                "UNION SELECT 1 FROM repository_manifests WHERE repository=?1 AND digest=?2",
                (name, digest),
            )
        else:
            rows = self._database.query(
                "SELECT 1 FROM images i LEFT JOIN image_layers l ON l.image = i.digest "
                "JOIN tags t ON t.digest = i.digest "
                "WHERE (l.blob_digest=?1 OR i.config_digest=?1 OR i.digest=?1) "
                "AND substr(t.name, instr(t.name, '/') + 1, length(?2) + 1) = ?2 || ':'",
                (digest, name),
            )
        return bool(rows) and self._blobs.touch(digest)

    def add_blob(self, name: str, digest: str) -> None:
        """Give a repository a blob that is in the store; Refusal when it no longer is."""
        with self._database.write() as sql:
            # Within the transaction: the collection removes files in one, too.
            if not self._blobs.touch(digest):
                raise Refusal("BLOB_UNKNOWN", f"blob {digest} is not here")
            self._note_push(sql, name)
            sql.execute("INSERT OR IGNORE INTO repository_blobs VALUES (?,?)", (name, digest))

    def expect_blob(self, digest: str) -> None:
        """Note that a blob is about to come: if nobody takes it, the collection finds it."""
        with self._database.write() as sql:
            _loosen(sql, [digest])

    def mount(self, name: str, digest: str, source: str) -> bool:
        """Give a repository a blob of another one, or of any with an empty `source`."""
        if not (self.has_blob(source, digest) if source else self._blobs.touch(digest)):
            return False
        try:
            self.add_blob(name, digest)
        except Refusal:
            return False
        return True

    def add_manifest(
        self, name: str, digest: str, size: int, facts: Facts, tags: tuple[str, ...],
        *, sparse: bool = False,
    ) -> None:  # fmt: skip
        """Store a manifest, whose content is in the store, under its digest and tags.

        Raises Refusal when something that it needs is not in the repository, unless `sparse`,
        and when the content is no longer there.
        """
        now = time.time()
        with self._database.write() as sql:
            # As in `add_blob`: the host's rmi may have taken a manifest that it had, too.
            if not self._blobs.touch(digest):
                raise Refusal("UNAVAILABLE", f"manifest {digest} was removed meanwhile: push again")
            self._note_push(sql, name)
            if not sparse:
                self._check_contents(sql, name, facts)
            self._insert(sql, name, digest, size, facts)
            sql.executemany(
                "INSERT OR REPLACE INTO repository_tags VALUES (?,?,?,?)",
                [(name, tag, digest, now) for tag in tags],
            )

    def referrers(
        self, name: str, subject: str, artifact_type: str, first: int
    ) -> tuple[list[Referrer], bool]:
        """Return the manifests of a repository whose subject is a digest, from the `first` on.

        No more than an index may hold, and whether there are more; `artifact_type`, if not empty,
        is the only one.  Each may have annotations of megabytes.
        """
        rows = self._database.connection().execute(
            "SELECT digest, media_type, size, artifact_type, annotations "
            "FROM repository_manifests WHERE repository=?1 AND subject=?2 "
            "AND (?3 = '' OR artifact_type=?3) ORDER BY added, digest LIMIT -1 OFFSET ?4",
            (name, subject, artifact_type, first),
        )
        found: list[Referrer] = []
        left = MAX_SIZE
        for row in rows:
            left -= sum(len(str(value)) for value in row) + DESCRIPTOR_BYTES
            if found and left < 0:
                return found, True
            found.append(Referrer(*row))
        return found, False

    def delete_tag(self, name: str, tag: str) -> None:
        """Take a tag away; what it stood for stays."""
        self._require_own(name)
        with self._database.write() as sql:
            gone = sql.execute(
                "DELETE FROM repository_tags WHERE repository=? AND tag=?", (name, tag)
            ).rowcount
        if not gone:
            raise Refusal("MANIFEST_UNKNOWN", f"{name} has no tag {tag}")

    def delete_manifest(self, name: str, digest: str) -> None:
        """Take a manifest away, and all tags that stand for it."""
        self._require_own(name)
        with self._database.write() as sql:
            gone = sql.execute(
                "DELETE FROM repository_manifests WHERE repository=? AND digest=?", (name, digest)
            ).rowcount
            sql.execute(
                "DELETE FROM repository_tags WHERE repository=? AND digest=?", (name, digest)
            )
            _loosen(sql, [digest])
        if not gone:
            raise Refusal("MANIFEST_UNKNOWN", f"{name} has no manifest {digest}")

    def delete_blob(self, name: str, digest: str) -> None:
        """Take a blob out of a repository; its space returns with the next collection."""
        self._require_own(name)
        with self._database.write() as sql:
            gone = sql.execute(
                "DELETE FROM repository_blobs WHERE repository=? AND digest=?", (name, digest)
            ).rowcount
            _loosen(sql, [digest])
        if not gone:
            raise Refusal("BLOB_UNKNOWN", f"{name} has no blob {digest}")

    def begin_upload(self, upload: str, name: str) -> None:
        """Note that an upload goes to a repository."""
        with self._database.write() as sql:
            sql.execute(
                "INSERT INTO repository_uploads VALUES (?,?,?)", (upload, name, time.time())
            )

    def is_upload(self, upload: str, name: str) -> bool:
        """Return whether there is such an upload to this repository."""
        return bool(
            self._database.query(
                "SELECT 1 FROM repository_uploads WHERE id=? AND repository=?", (upload, name)
            )
        )

    def end_upload(self, upload: str) -> None:
        """Forget an upload."""
        with self._database.write() as sql:
            sql.execute("DELETE FROM repository_uploads WHERE id=?", (upload,))

    def close(self) -> None:
        """Close this thread's database connection."""
        self._database.close()

    def _note_push(self, sql: Connection, name: str) -> None:
        """Note that something comes in.  The first time, what a name showed so far stays there.

        A client that has just seen a blob of the host's image does not send it.
        """
        now = time.time()
        if sql.execute("INSERT OR IGNORE INTO repositories VALUES (?,?)", (name, now)).rowcount:
            for canonical, digest in self._local(name):
                if self._take_over(sql, name, digest):
                    sql.execute(
                        "INSERT OR REPLACE INTO repository_tags VALUES (?,?,?,?)",
                        (name, canonical.rpartition(":")[2], digest, now),
                    )
        else:
            sql.execute("UPDATE repositories SET pushed=? WHERE name=?", (now, name))

    def _take_over(self, sql: Connection, name: str, digest: str) -> bool:
        """Give a repository an image of the host; False for a damaged one."""
        kind = sql.execute("SELECT media_type FROM images WHERE digest=?", (digest,)).fetchone()
        try:
            content = self._blobs.files.read(digest)
            facts = read_manifest(content, kind[0])
        except (NotFound, Refusal):
            return False
        self._insert(sql, name, digest, len(content), facts)
        sql.executemany(
            "INSERT OR IGNORE INTO repository_blobs VALUES (?,?)",
            [(name, blob) for blob in facts.blobs if self._blobs.files.has(blob)],
        )
        return True

    def _insert(self, sql: Connection, name: str, digest: str, size: int, facts: Facts) -> None:
        sql.execute(
            "INSERT OR REPLACE INTO repository_manifests VALUES (?,?,?,?,?,?,?,?)",
            (name, digest, facts.media_type, size, facts.subject, facts.artifact_type,
             facts.annotations, time.time()),
        )  # fmt: skip
        sql.executemany(
            "INSERT OR IGNORE INTO manifest_contents VALUES (?,?)",
            [(digest, content) for content in (*facts.blobs, *facts.manifests)],
        )

    def _check_contents(self, sql: Connection, name: str, facts: Facts) -> None:
        tables = (("repository_blobs", facts.blobs), ("repository_manifests", facts.manifests))
        for table, digests in tables:
            for digest in digests:
                here = sql.execute(
                    f"SELECT 1 FROM {table} WHERE repository=? AND digest=?",  # noqa: S608
                    (name, digest),
                ).fetchone()
                if not here or not self._blobs.touch(digest):
                    raise Refusal("MANIFEST_BLOB_UNKNOWN", f"{name} lacks {digest}")

    def _is_own(self, name: str) -> bool:
        return bool(self._database.query("SELECT 1 FROM repositories WHERE name=?", (name,)))

    def _require_own(self, name: str) -> None:
        if self._is_own(name):
            return
        if self._local(name):
            raise Refusal("DENIED", f"{name} is the host's own: limpet rmi removes it there")
        raise Refusal("NAME_UNKNOWN", f"there is no repository {name}")

    def _tagged(self, name: str, tag: str) -> str:
        rows = self._database.query(
            "SELECT digest FROM repository_tags WHERE repository=? AND tag=?", (name, tag)
        )
        return rows[0][0] if rows else ""

    def _local(self, name: str) -> list[tuple[str, str]]:
        """Return (canonical name, digest) of the host's images of a path, newest name last."""
        return self._database.query(
            "SELECT name, digest FROM tags "
            # All that begins with the path and a colon: a semicolon comes next.
            "WHERE substr(name, instr(name, '/') + 1) > ?1 || ':' "
            "AND substr(name, instr(name, '/') + 1) < ?1 || ';' ORDER BY updated",
            (name,),
        )

    def _local_digest(self, name: str, reference: str) -> str:
        found = ""
        for canonical, digest in self._local(name):
            if reference in (digest, canonical.rpartition(":")[2]):
                found = digest
        return found


def _path(canonical: str) -> str:
    name, _, tag = canonical.rpartition(":")
    return name.partition("/")[2] if "/" not in tag and "@" not in name else ""


def _loosen(sql: Connection, digests: list[str]) -> None:
    now = time.time()
    sql.executemany(
        "INSERT OR IGNORE INTO loose_blobs VALUES (?,?)", [(digest, now) for digest in digests]
    )
