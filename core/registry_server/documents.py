"""What is read out of a manifest that comes in: its type, what it needs, what it refers to.

Any manifest is taken, also of artifacts that limpet cannot run; it is checked only as far as
a registry has to understand it.
"""

from __future__ import annotations

import json

from core.errors import Corrupt
from core.images.digest import is_digest
from core.images.manifest import (
    INDEX_TYPES,
    MAX_SIZE,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1_PREFIX,
    contents,
    is_elsewhere,
)
from core.record import Record
from core.registry_server.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Facts(Record):
    """A manifest as the registry has to understand it."""

    media_type: str
    blobs: tuple[str, ...]
    """Digests of config and layers that must be here."""
    manifests: tuple[str, ...]
    """Digests of an index's entries."""
    subject: str
    artifact_type: str
    annotations: str
    """JSON."""


def read_manifest(content: bytes, content_type: str) -> Facts:
    """Return the facts of a manifest; Refusal for what is none."""
    if len(content) > MAX_SIZE:
        raise Refusal("SIZE_INVALID", f"a manifest has at most {MAX_SIZE} bytes")
    try:
        blobs, entries = contents(content)
    except Corrupt as error:
        raise Refusal("MANIFEST_INVALID", error.message) from None
    document = json.loads(content)
    kind = _media_type(document, content_type.partition(";")[0].strip())
    index = kind in INDEX_TYPES or ("manifests" in document and "layers" not in document)
    if index and ("layers" in document or "config" in document):
        raise Refusal("MANIFEST_INVALID", "a manifest and an index at once")
    config, artifact_type = document.get("config"), document.get("artifactType")
    if not artifact_type and config and not index:
        artifact_type = config["mediaType"]
    annotations = document.get("annotations")
    return Facts(
        kind,
        tuple(dict.fromkeys(blob.digest for blob in blobs if not is_elsewhere(blob))),
        tuple(dict.fromkeys(entry.descriptor.digest for entry in entries)),
        _subject(document),
        artifact_type if isinstance(artifact_type, str) else "",
        json.dumps(annotations if isinstance(annotations, dict) else {}),
    )


def _media_type(document: dict[str, Any], header: str) -> str:
    own = document.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise Refusal("MANIFEST_INVALID", "mediaType is not a string")
    if own and header and own != header:
        raise Refusal("MANIFEST_INVALID", f"sent as {header}, but it calls itself {own}")
    kind = own or header or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    if kind.startswith(SCHEMA1_PREFIX) or document.get("schemaVersion") == 1:
        raise Refusal("MANIFEST_INVALID", "docker's schema 1 was given up in 2015")
    if not kind.isprintable() or not kind.isascii():
        raise Refusal("MANIFEST_INVALID", "mediaType holds odd characters")
    return kind


def _subject(document: dict[str, Any]) -> str:
    subject = document.get("subject")
    if subject is None:
        return ""
    digest = subject.get("digest") if isinstance(subject, dict) else None
    if not isinstance(digest, str) or not is_digest(digest):
        raise Refusal("MANIFEST_INVALID", "subject has no digest")
    return digest
