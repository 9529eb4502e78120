"""What keeps a layer or a blob: each holder alone, and nothing else."""

from __future__ import annotations

import pytest

from core.database import Database
from core.images.holders import held_blobs, held_layers
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED, OTHER, IMAGE = (f"sha256:{letter * 64}" for letter in "abc")
AN_IMAGE = f"INSERT INTO images VALUES ('{IMAGE}', '{OTHER}', '', '', 0, 0)"
BLOBS = {
    "a layer": (AN_IMAGE, f"INSERT INTO image_layers VALUES ('{IMAGE}', 0, '', '{WANTED}', 1, '')"),
    "a manifest": (f"INSERT INTO images VALUES ('{WANTED}', '{OTHER}', '', '', 0, 0)",),
    "a config": (f"INSERT INTO images VALUES ('{IMAGE}', '{WANTED}', '', '', 0, 0)",),
    "an index": (AN_IMAGE, f"INSERT INTO tags VALUES ('h/p:t', '{IMAGE}', '{WANTED}', 0)"),
    "an attestation": (
        AN_IMAGE,
        f"INSERT INTO tags VALUES ('h/p:t', '{IMAGE}', '{OTHER}', 0)",
        f"INSERT INTO index_blobs VALUES ('{OTHER}', '{WANTED}')",
    ),
    "a repository's blob": (
        "INSERT INTO repositories VALUES ('p', 0)",
        f"INSERT INTO repository_blobs VALUES ('p', '{WANTED}')",
    ),
    "a repository's manifest": (
        "INSERT INTO repositories VALUES ('p', 0)",
        f"INSERT INTO repository_manifests VALUES ('p', '{WANTED}', '', 0, '', '', '', 0)",
    ),
    "the trash": (
        "INSERT INTO trash VALUES (1, '', '', 0, '', '', 0, '')",
        f"INSERT INTO trash_holds VALUES (1, '{WANTED}')",
    ),
    "the build cache": (
        f"INSERT INTO build_cache VALUES ('k', '', '{WANTED}', 0, '', '', '', '', 0, 0)",
    ),
}
LAYERS = {
    "an image": (
        AN_IMAGE,
        f"INSERT INTO image_layers VALUES ('{IMAGE}', 0, '{WANTED}', '', 1, '')",
    ),
    "the trash": BLOBS["the trash"],
    "the build cache": (
        f"INSERT INTO build_cache VALUES ('k', '{WANTED}', '', 0, '', '', '', '', 0, 0)",
    ),
}


@pytest.fixture
def database(paths: Paths) -> Iterator[Database]:
    made = Database(paths)
    yield made
    made.close()


def write(database: Database, statements: tuple[str, ...]) -> None:
    with database.write() as sql:
        for statement in statements:
            sql.execute(statement)


@pytest.mark.parametrize("holder", BLOBS)
def test_a_blob_is_held_by(database: Database, holder: str) -> None:
    assert held_blobs(database.connection(), [WANTED]) == set()
    write(database, BLOBS[holder])
    assert held_blobs(database.connection(), [WANTED, "sha256:x"]) == {WANTED}


@pytest.mark.parametrize("holder", LAYERS)
def test_a_layer_is_held_by(database: Database, holder: str) -> None:
    assert held_layers(database.connection(), [WANTED]) == set()
    write(database, LAYERS[holder])
    assert held_layers(database.connection(), [WANTED, "sha256:x"]) == {WANTED}


@pytest.mark.parametrize("holder", ["a layer", "a config", "an index", "an attestation"])
def test_an_image_that_goes_holds_nothing(database: Database, holder: str) -> None:
    write(database, BLOBS[holder])
    assert held_blobs(database.connection(), [WANTED], without=[IMAGE]) == set()
