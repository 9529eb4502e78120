"""The one SQLite file: names, digests, containers, networks.

WAL mode, so that several limpets read while one writes.  Every change is one
transaction; after it, `Paths.changed` is touched so that other processes look again.
Connections belong to a thread, hence `Database.connection()` keeps one per thread.
"""

from __future__ import annotations

import os
import time
from _thread import _local as _Local  # threading's own local, without the rest of threading

from core import lean_sqlite, reserve
from core.errors import FREE_SPACE, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.paths import Paths

OPEN_TRIES = 500
"""Each after a hundredth of a second."""
WAIT_S = 30
LOG_BYTES = 400_000
"""The log's length.  Whoever opens the file first reads all of it: the ten times that SQLite lets
it grow to cost every command three milliseconds."""

FIRST_SCHEMA = """
-- Manifests that are stored whole: image manifests, not indexes.
CREATE TABLE images (
    digest TEXT PRIMARY KEY,          -- of the manifest
    config_digest TEXT NOT NULL,      -- docker's IMAGE ID
    media_type TEXT NOT NULL,
    platform TEXT NOT NULL,           -- os/arch[/variant]
    created REAL NOT NULL,            -- seconds since the epoch, from the config
    added REAL NOT NULL               -- when it came into this store
);
CREATE TABLE tags (
    name TEXT PRIMARY KEY,            -- canonical reference: host/path:tag
    digest TEXT NOT NULL REFERENCES images(digest),
    source_digest TEXT NOT NULL,      -- what the tag named in the registry: index or manifest
    updated REAL NOT NULL
);
CREATE INDEX tags_by_digest ON tags(digest);
-- Unpacked layers: one directory each, shared by all images.
CREATE TABLE layers (
    id INTEGER PRIMARY KEY,           -- also the directory's name
    diff_id TEXT NOT NULL UNIQUE,     -- digest of the uncompressed tar
    size INTEGER NOT NULL,            -- bytes of file content
    files INTEGER NOT NULL
);
-- The order of layers in an image; the blob is how this image's manifest names it.
CREATE TABLE image_layers (
    image TEXT NOT NULL REFERENCES images(digest) ON DELETE CASCADE,
    position INTEGER NOT NULL,        -- 0 is the lowest
    diff_id TEXT NOT NULL,
    blob_digest TEXT NOT NULL,
    blob_size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (image, position)
);
CREATE INDEX image_layers_by_diff_id ON image_layers(diff_id);
CREATE TABLE containers (
    id TEXT PRIMARY KEY,              -- 64 hex digits
    name TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,              -- the reference the user typed, normalised
    image_digest TEXT NOT NULL,
    created REAL NOT NULL,
    options TEXT NOT NULL,            -- JSON: what was asked (ContainerOptions)
    spec TEXT NOT NULL                -- JSON: OCI runtime config made from it
);
CREATE INDEX containers_by_image ON containers(image_digest);
-- Address leases; a row whose container no longer runs may be taken over.
CREATE TABLE addresses (
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    container TEXT NOT NULL,
    leased REAL NOT NULL,             -- when the container was last started
    PRIMARY KEY (network, address)
);
CREATE INDEX addresses_by_container ON addresses(container);
CREATE TABLE networks (
    name TEXT PRIMARY KEY,
    config TEXT NOT NULL              -- JSON
);
-- Registries that were talked to, for the registries table.
CREATE TABLE registries (
    host TEXT PRIMARY KEY,
    last_used REAL NOT NULL,
    last_error TEXT NOT NULL DEFAULT ''
);
"""
REPOSITORIES = """
-- What was pushed to the registry that this store serves, or kept from its upstream.
CREATE TABLE repositories (
    name TEXT PRIMARY KEY,            -- path without a host
    pushed REAL NOT NULL              -- the last time something came in
);
CREATE TABLE repository_blobs (
    repository TEXT NOT NULL REFERENCES repositories(name) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX repository_blobs_by_digest ON repository_blobs(digest);
CREATE TABLE repository_manifests (
    repository TEXT NOT NULL REFERENCES repositories(name) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    subject TEXT NOT NULL,            -- digest that this is a referrer of, or empty
    artifact_type TEXT NOT NULL,
    annotations TEXT NOT NULL,        -- JSON
    added REAL NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX repository_manifests_by_digest ON repository_manifests(digest);
CREATE INDEX repository_manifests_by_subject ON repository_manifests(repository, subject);
CREATE TABLE repository_tags (
    repository TEXT NOT NULL REFERENCES repositories(name) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated REAL NOT NULL,
    PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
-- What a manifest cannot do without: its config, layers, or the manifests of an index.
CREATE TABLE manifest_contents (
    manifest TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (manifest, content)
) WITHOUT ROWID;
CREATE TABLE repository_uploads (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    started REAL NOT NULL
);
-- Blobs that a repository let go, or was about to take: the collection looks at these alone.
CREATE TABLE loose_blobs (
    digest TEXT PRIMARY KEY,
    since REAL NOT NULL
);
"""
VOLUMES = """
CREATE TABLE volumes (
    name TEXT PRIMARY KEY,            -- also the directory's name
    created REAL NOT NULL,
    labels TEXT NOT NULL              -- JSON object
)
"""
TRASH = """
-- What was removed and can be brought back: the rows it had, and what they hold.
CREATE TABLE trash (
    id INTEGER PRIMARY KEY,
    batch TEXT NOT NULL,              -- one command's removals
    command TEXT NOT NULL,
    removed REAL NOT NULL,            -- seconds since the epoch
    kind TEXT NOT NULL,               -- image or container
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    document TEXT NOT NULL            -- JSON: rows by table, and a directory
);
CREATE TABLE trash_holds (
    trash INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,
    digest TEXT NOT NULL,             -- of a layer's content or of a blob
    PRIMARY KEY (trash, digest)
) WITHOUT ROWID;
CREATE INDEX trash_holds_by_digest ON trash_holds(digest);
CREATE INDEX image_layers_by_blob ON image_layers(blob_digest);
CREATE INDEX images_by_config ON images(config_digest)
"""
SYNC = """
-- What sync has copied, so that one question to the source tells whether there is more to do.
CREATE TABLE synced (
    target TEXT NOT NULL,             -- name at the target, as it is shown
    source TEXT NOT NULL,
    platforms TEXT NOT NULL,
    source_digest TEXT NOT NULL,      -- what the name stood for at the source
    digest TEXT NOT NULL,             -- and stands for at the target since
    PRIMARY KEY (target, source, platforms)
) WITHOUT ROWID;
-- How each rule went last.
CREATE TABLE sync_runs (
    rule TEXT PRIMARY KEY,
    ended REAL NOT NULL,
    seconds REAL NOT NULL,
    copied INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    bytes INTEGER NOT NULL,           -- sent
    error TEXT NOT NULL
);
-- When images were made that a rule chooses by date.
CREATE TABLE image_dates (
    digest TEXT PRIMARY KEY,
    created REAL NOT NULL
);
"""
EDITS = """
-- What a container was before its last edit; the columns are those of its own row.
CREATE TABLE container_edits (
    container TEXT PRIMARY KEY REFERENCES containers(id) ON DELETE CASCADE,
    edited REAL NOT NULL,
    image TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    options TEXT NOT NULL,
    spec TEXT NOT NULL
)
"""
BUILD_CACHE = """
-- What build steps came to; a row holds its layer and blob as an image does.
CREATE TABLE build_cache (
    key TEXT PRIMARY KEY,             -- digest of all that makes the step
    diff_id TEXT NOT NULL,            -- empty for a step that changed no file
    blob_digest TEXT NOT NULL,
    blob_size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    instruction TEXT NOT NULL,        -- in words, for people
    place TEXT NOT NULL,              -- which step of which Dockerfile it was last
    parts TEXT NOT NULL,              -- JSON: what the key was made of
    created REAL NOT NULL,            -- seconds since the epoch
    used REAL NOT NULL
);
CREATE INDEX build_cache_by_diff_id ON build_cache(diff_id);
CREATE INDEX build_cache_by_blob ON build_cache(blob_digest);
CREATE INDEX build_cache_by_place ON build_cache(place);
"""
QUOTA = """
-- How many pulls a registry still grants, as it told last: REMAINING/LIMIT.
ALTER TABLE registries ADD COLUMN quota TEXT NOT NULL DEFAULT ''
"""
QUOTA_RESET = """
-- When the registry counts anew at the latest, in seconds since the epoch; 0: unknown.
ALTER TABLE registries ADD COLUMN quota_reset REAL NOT NULL DEFAULT 0
"""
BUCKET = """
-- Blobs of the registry that are objects of an S3 bucket, each of an upload of its own.
CREATE TABLE bucket_blobs (
    digest TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
-- Objects that nothing stands for any more: registry gc removes them.
CREATE TABLE bucket_loose (key TEXT PRIMARY KEY) WITHOUT ROWID
"""
INDEX_BLOBS = """
-- What an image index that was pulled for all platforms names besides images: attestations.
CREATE TABLE index_blobs (
    index_digest TEXT NOT NULL,       -- as in tags.source_digest
    digest TEXT NOT NULL,
    PRIMARY KEY (digest, index_digest)
) WITHOUT ROWID;
CREATE INDEX tags_by_source ON tags(source_digest);
"""
REGISTRY_STATE = """
-- reachable, unauthorized, limited or unreachable, when it was last talked to.
ALTER TABLE registries ADD COLUMN state TEXT NOT NULL DEFAULT ''
"""
UNSETTLED_LAYERS = """
-- Layers made here whose files may not be on the disk yet: see core.images.settling.
CREATE TABLE unsettled_layers (
    layer INTEGER PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE,
    blob_digest TEXT NOT NULL,
    blob_size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    boot TEXT NOT NULL,               -- in which they were written
    since REAL NOT NULL               -- seconds since the epoch
)
"""
TAGS_BY_PATH = """
-- Names without their host, as the registry that limpet is asks for them.
CREATE INDEX tags_by_path ON tags(substr(name, instr(name, '/') + 1))
"""
CONTAINER_USES = """
-- What a container's options name, asked for by name; triggers keep it as the options are.
CREATE TABLE container_uses (
    kind TEXT NOT NULL,               -- network or volume
    name TEXT NOT NULL,               -- of a network also a mode: host, none, container:ID
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    PRIMARY KEY (kind, name, container)
) WITHOUT ROWID;
CREATE INDEX container_uses_by_container ON container_uses(container);
CREATE VIEW named_in_options AS
    SELECT 'network' AS kind, json_extract(e.value, '$.network') AS name, c.id AS container
    FROM containers c, json_each(c.options, '$.endpoints') e
    UNION ALL SELECT 'network', json_extract(options, '$.network'), id
    FROM containers WHERE coalesce(json_array_length(options, '$.endpoints'), 0) = 0
    UNION ALL SELECT 'volume', json_extract(m.value, '$.source'), c.id
    FROM containers c, json_each(c.options, '$.mounts') m
    WHERE json_extract(m.value, '$.kind') = 'volume' AND json_extract(m.value, '$.source') != '';
CREATE TRIGGER uses_of_new AFTER INSERT ON containers BEGIN
    INSERT OR IGNORE INTO container_uses SELECT * FROM named_in_options WHERE container=new.id; END;
CREATE TRIGGER uses_of_changed AFTER UPDATE OF options ON containers BEGIN
    DELETE FROM container_uses WHERE container=new.id; \
    INSERT OR IGNORE INTO container_uses SELECT * FROM named_in_options WHERE container=new.id; END;
INSERT OR IGNORE INTO container_uses SELECT * FROM named_in_options
"""
_NETWORK_NAME = """coalesce((SELECT name FROM networks WHERE name={0}),
        (SELECT name FROM networks WHERE {0} != ''
         AND substr(json_extract(config, '$.id'), 1, length({0})) = {0}), {0})"""
NETWORK_NAMES = f"""
-- Containers were stored with the ID of a network, or its beginning, where it was named so.
DROP VIEW named_in_options;
CREATE VIEW named_in_options AS
    SELECT 'network' AS kind,
        {_NETWORK_NAME.format("json_extract(e.value, '$.network')")} AS name, c.id AS container
    FROM containers c, json_each(c.options, '$.endpoints') e
    UNION ALL SELECT 'network', {_NETWORK_NAME.format("json_extract(options, '$.network')")}, id
    FROM containers WHERE coalesce(json_array_length(options, '$.endpoints'), 0) = 0
    UNION ALL SELECT 'volume', json_extract(m.value, '$.source'), c.id
    FROM containers c, json_each(c.options, '$.mounts') m
    WHERE json_extract(m.value, '$.kind') = 'volume' AND json_extract(m.value, '$.source') != '';
DELETE FROM container_uses WHERE kind='network';
INSERT OR IGNORE INTO container_uses SELECT * FROM named_in_options WHERE kind='network'
"""  # noqa: S608 - our own words
SCHEMAS: tuple[str, ...] = (
    FIRST_SCHEMA,
    REPOSITORIES,
    VOLUMES,
    TRASH,
    SYNC,
    EDITS,
    BUILD_CACHE,
    QUOTA,
    QUOTA_RESET,
    BUCKET,
    INDEX_BLOBS,
    REGISTRY_STATE,
    UNSETTLED_LAYERS,
    TAGS_BY_PATH,
    CONTAINER_USES,
    NETWORK_NAMES,
)
"""Each leads from the schema before it to its own, which is its place counted from 1."""


class _Opened:
    """The connection of a thread, closed as the thread ends while this process has another.

    By itself it would stay open until somebody searches for garbage: what remembers its
    statements refers to it.  The last one does: closed, it would bring the log into the file and
    wait for the disk, at the end of a command whose work was done in a thread.
    """

    _all: set[int] = set()  # of nobody: ctrl-c may come before `__init__` has any
    connection: lean_sqlite.Connection

    def __init__(self, connection: lean_sqlite.Connection, all_opened: set[int]) -> None:
        self.connection = connection
        self._all = all_opened
        self._all.add(id(self))

    def __del__(self) -> None:
        self._all.discard(id(self))
        try:
            if self._all:
                self.connection.close()
        except lean_sqlite.Error:
            pass  # the database goes before a thread that has used it; only that thread may close


class Database:
    """Opens the store's SQLite file; safe to share between threads.

    Each thread has a connection of its own, until it ends or closes it.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._local = _Local()
        self._opened: set[int] = set()

    def connection(self) -> lean_sqlite.Connection:
        """Return this thread's connection, in autocommit mode.

        Raises HostError if the file cannot be opened or was written by a newer limpet.
        """
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = _Opened(self._open(), self._opened)
        return opened.connection

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one SELECT and return its rows; HostError when the disk or the file fails."""
        try:
            return self.connection().execute(sql, values).fetchall()
        except lean_sqlite.DatabaseError as error:
            _tell(error, self._paths)
            raise

    def write(self) -> Transaction:
        """Return a context: one immediate transaction, rolled back on an exception.

        HostError when the disk or the file fails.
        """
        return Transaction(self.connection(), self._paths)

    def sync(self) -> None:
        """Return when all that was committed is on the disk: a power cut may undo it until then."""
        try:
            fd = os.open(f"{self._paths.database}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # SQLite has brought it into the file, and waited for that
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close this thread's connection."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is not None:
            opened.connection.close()
            self._local.opened = None

    def _open(self) -> lean_sqlite.Connection:
        path = self._paths.database
        try:
            if not os.path.exists(path):
                self._paths.make()
            reserve.see_to(self._paths)
            connection = lean_sqlite.connect(path, timeout=WAIT_S, isolation_level=None)
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, lean_sqlite.Error) as error:
            raise HostError(
                f"cannot open the database {path}: {error}",
                hint="run as root, or point LIMPET_DATA_ROOT at a directory of your own",
            ) from error
        return connection

    def _set_up(self, connection: lean_sqlite.Connection) -> None:
        connection.executescript(
            "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0;"
        )
        # A new file's tables do not go to the log, which the next few writes would fill.
        self._migrate(connection)
        _use_log(connection)

    def _migrate(self, connection: lean_sqlite.Connection) -> None:
        version = _version(connection)
        if version > len(SCHEMAS):
            raise HostError(
                f"{self._paths.database} was written by a newer limpet (schema {version})",
                hint="update limpet on this host",
            )
        if version < len(SCHEMAS):
            with Transaction(connection, self._paths) as sql:
                for script in SCHEMAS[_version(sql) :]:  # another process may have been faster
                    for statement in script.split(";\n"):
                        sql.execute(statement)
                sql.execute(f"PRAGMA user_version={len(SCHEMAS)}")


def _use_log(connection: lean_sqlite.Connection) -> None:
    """Turn to WAL; of several that do so with a new file at once SQLite lets only one wait."""
    for attempt in range(OPEN_TRIES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except lean_sqlite.OperationalError:
            if attempt == OPEN_TRIES - 1:
                raise
            time.sleep(0.01)
        else:
            return


def _empty_log(connection: lean_sqlite.Connection, path: str) -> None:
    """Bring a long log into the file and cut it off, unless somebody else is at it now.

    What SQLite does by itself is known to open connections alone: where each command opens the
    file anew, its log grows for ever.
    """
    try:
        if os.stat(path).st_size < LOG_BYTES:
            return
    except FileNotFoundError:
        return  # while a new file gets its tables
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except lean_sqlite.Error:
        pass  # what was committed is; the next transaction tries again
    finally:
        connection.execute(f"PRAGMA busy_timeout={WAIT_S * 1000}")


def _version(connection: lean_sqlite.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


class Transaction:
    """One write transaction; touches `Paths.changed` when it has been committed."""

    def __init__(self, connection: lean_sqlite.Connection, paths: Paths) -> None:
        self._connection = connection
        self._paths = paths

    def __enter__(self) -> lean_sqlite.Connection:
        reserve.see_to(self._paths)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except lean_sqlite.DatabaseError as error:
            _tell(error, self._paths)
            raise
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except lean_sqlite.DatabaseError as failed:
                self._roll_back()
                _tell(failed, self._paths)
                raise
            self._paths.touch_changed()
            _empty_log(self._connection, f"{self._paths.database}-wal")
            return
        self._roll_back()
        if isinstance(error, lean_sqlite.DatabaseError):
            _tell(error, self._paths)

    def _roll_back(self) -> None:
        # After some errors SQLite has done it.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _tell(error: lean_sqlite.DatabaseError, paths: Paths) -> None:
    """Raise HostError where the disk or the file is the cause; a bug is none."""
    name = getattr(error, "sqlite_errorname", "")
    if type(error) not in (lean_sqlite.OperationalError, lean_sqlite.DatabaseError) or (
        name == "SQLITE_ERROR"
    ):
        return
    hint = {
        "SQLITE_FULL": FREE_SPACE, "SQLITE_BUSY": "another limpet is writing: try again",
    }.get(name, "df and dmesg show what the disk lacks")  # fmt: skip
    raise HostError(f"{paths.database}: {error}", hint=hint, subject=paths.database) from error
