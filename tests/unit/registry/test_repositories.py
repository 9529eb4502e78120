"""Repositories of the registry that limpet is, as the database has them."""

from __future__ import annotations

import pytest

from core.database import Database
from core.images.blobs import BlobStore
from core.images.digest import digest_of
from core.paths import Paths
from core.registry_server.blobs import ServedBlobs
from core.registry_server.documents import Facts
from core.registry_server.refusals import Refusal
from core.registry_server.repositories import Repositories


def test_a_manifest_that_was_removed_before_it_was_noted_is_refused(paths: Paths) -> None:
    """The host may have had it as an image, whose rmi found no repository that needs it."""
    content, database = b"a manifest", Database(paths)
    repositories = Repositories(database, ServedBlobs(BlobStore(paths), database))
    facts = Facts("type", (), (), "", "", "{}")
    with pytest.raises(Refusal, match="removed meanwhile"):
        repositories.add_manifest("app", digest_of(content), 10, facts, ("1",))
    with pytest.raises(Refusal, match="no repository"):
        repositories.tags("app")
    BlobStore(paths).write(digest_of(content), [content])
    repositories.add_manifest("app", digest_of(content), 10, facts, ("1",))
    assert repositories.manifest("app", "1").digest == digest_of(content)
    database.close()
