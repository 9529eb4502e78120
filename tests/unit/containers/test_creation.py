"""A container is stored with its image, or not at all."""

from __future__ import annotations

import pytest

from core.containers.creation import Draft, insert
from core.containers.stored import Row
from core.database import Database
from core.errors import NotFound
from core.paths import Paths


def test_no_container_is_made_of_an_image_that_was_removed_meanwhile(paths: Paths) -> None:
    database = Database(paths)
    row = Row("c" * 64, "web", "app:1", "sha256:" + "a" * 64, 0.0, {"mounts": []})
    with pytest.raises(NotFound, match="app:1 was removed meanwhile"):
        insert(database, Draft(row, {}, "{}"))
    assert database.query("SELECT * FROM containers") == []
    database.close()
