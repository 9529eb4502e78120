"""The tables of the database: the first ones, and each change that was made to them since.

Read only where a database is new, or was written by an older limpet.
"""

from __future__ import annotations

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
