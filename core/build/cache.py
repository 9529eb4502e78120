"""What steps came to before: layers by a digest of all that makes them.

A key is made of the instruction, the layers below and the content of what is copied; it
names a layer of the image store, or none for a step that changed no file.  The rows hold
their layers: removing an image leaves what a later build can use.
"""

from __future__ import annotations

import hashlib
import time

from core.images.manifest import Descriptor
from core.lean_json import dumps, loads
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.database import Database

ANNOTATION = "io.limpet.build.key"
"""On a layer of a manifest: the key it was made under, for --cache-from."""
COLUMNS = "diff_id, blob_digest, blob_size, media_type, created"


class Layer(Record):
    """A layer by its content and by the blob that holds it."""

    diff_id: str
    descriptor: Descriptor


class Hit(Record):
    """What a step came to; no layer where it changed no file."""

    layer: Layer | None
    created: float


def chain_id(layers: Sequence[Layer]) -> str:
    """Return the digest of layers upon each other, "" for none.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid
    """
    chain = ""
    for layer in layers:
        text = f"{chain} {layer.diff_id}"
        chain = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chain else layer.diff_id
    return chain


def make_key(parts: Mapping[str, Any]) -> str:
    """Return the digest of all that makes a step what it is."""
    text = dumps(dict(parts)).encode("utf-8", "surrogateescape")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


class BuildCache:
    """The rows; safe to share between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> Hit | None:
        """Return what a key came to, None if nothing is known or its layer is gone."""
        rows = self._database.query(f"SELECT {COLUMNS} FROM build_cache WHERE key=?", (key,))  # noqa: S608
        if not rows:
            return None
        diff_id, blob, size, media_type, created = rows[0]
        if not diff_id:
            return Hit(None, created)
        if not self._database.query("SELECT 1 FROM layers WHERE diff_id=?", (diff_id,)):
            return None
        return Hit(Layer(diff_id, Descriptor(media_type, blob, size)), created)

    def keep(
        self,
        key: str,
        layer: Layer | None,
        shown: str,
        place: str,
        parts: Mapping[str, Any],
        created: float = 0,
    ) -> float:
        """Note what a step came to; returns when that was, which images give as its time."""
        created = created or time.time()
        self._insert([_row(key, layer, shown, place, dumps(dict(parts)), created)])
        return created

    def adopt(self, found: Sequence[tuple[str, Layer, str, float]]) -> None:
        """Note layers of an image that was built elsewhere: key, layer, words, time."""
        self._insert(
            [_row(key, layer, shown, "", "{}", created) for key, layer, shown, created in found]
        )

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        with self._database.write() as sql:
            sql.executemany(
                "INSERT OR REPLACE INTO build_cache (key, diff_id, blob_digest, blob_size, "
                "media_type, instruction, place, parts, created, used) "
                "VALUES (?,?,?,?,?,?,?,?,?,?)",
                rows,
            )

    def touch(self, keys: Sequence[str]) -> None:
        """Note that these were of use now."""
        with self._database.write() as sql:
            sql.executemany(
                "UPDATE build_cache SET used=? WHERE key=?", [(time.time(), key) for key in keys]
            )

    def why(self, place: str, parts: Mapping[str, Any]) -> str:
        """Return what differs from the last time this step of this Dockerfile was built."""
        rows = self._database.query(
            "SELECT parts FROM build_cache WHERE place=? ORDER BY used DESC LIMIT 1", (place,)
        )
        if not rows:
            return "not built before"
        before = loads(rows[0][0])
        for name, text in REASONS:
            if before.get(name) != parts.get(name):
                return _difference(name, text, before.get(name), parts.get(name))
        return "its layer was removed"


REASONS = (
    ("kind", "another instruction stands here"), ("command", "the command changed"),
    ("sources", "its arguments changed"), ("args", "an ARG changed"),
    ("env", "the environment changed"), ("below", "a step before it changed"),
    ("content", "a file to copy changed"), ("from", "the stage it takes from changed"),
)  # fmt: skip


def _difference(name: str, text: str, before: Any, after: Any) -> str:
    if name in ("args", "env") and isinstance(before, list) and isinstance(after, list):
        changed = {str(entry).partition("=")[0] for entry in {*before} ^ {*after}}
        return f"{text}: {', '.join(sorted(changed))}"
    return text


def _row(
    key: str, layer: Layer | None, shown: str, place: str, parts: str, created: float
) -> tuple[Any, ...]:
    blob = layer.descriptor if layer else Descriptor("", "", 0)
    return (key, layer.diff_id if layer else "", blob.digest, blob.size, blob.media_type,
            shown[:2000], place, parts, created, time.time())  # fmt: skip
