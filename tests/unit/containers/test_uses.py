"""Which containers name a network or a volume: kept by the database itself, asked by name."""

from __future__ import annotations

import pytest

from core import database as module
from core import schemas
from core.containers import stored
from core.containers.configuration.options import ContainerOptions, Mount
from core.database import Database
from core.lean_json import dumps
from core.model import Endpoint
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

ON_TWO = ContainerOptions(
    "app", network="shop", endpoints=(Endpoint("shop"), Endpoint("back")),
    mounts=(Mount("data", "/a", kind="volume"), Mount("data", "/b", kind="volume"),
            Mount("/srv", "/c"), Mount("", "/d", kind="volume")),
)  # fmt: skip
ON_DEFAULT = ContainerOptions("app", network="bridge")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "data"), str(tmp_path / "run"))


def insert(database: Database, name: str, options: ContainerOptions) -> None:
    document = stored.document_of(options, ["sh"], {})
    with database.write() as sql:
        sql.execute(
            "INSERT INTO containers VALUES (?,?,'app','',0,?,'')", (name * 64, name, document)
        )


def test_uses_follow_the_options(paths: Paths) -> None:
    database = Database(paths)
    insert(database, "a", ON_TWO)
    insert(database, "b", ON_DEFAULT)
    assert stored.users(database, "network") == {"shop": ["a"], "back": ["a"], "bridge": ["b"]}
    assert stored.users(database, "volume") == {"data": ["a"]}
    changed = stored.document_of(ON_DEFAULT.replace(network="none"), ["sh"], {})
    with database.write() as sql:
        sql.execute("UPDATE containers SET options=? WHERE name='a'", (changed,))
    assert stored.users(database, "network") == {"none": ["a"], "bridge": ["b"]}
    assert stored.users(database, "volume") == {}
    assert [row.name for row in stored.using(database, "network", "bridge")] == ["b"]
    with database.write() as sql:
        sql.execute("DELETE FROM containers WHERE name='b'")
    assert stored.users_of(database, "network", "bridge") == []


def database_before(schema: str, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return a database as it was before a schema, until the patch is undone."""
    monkeypatch.setattr(module, "SCHEMA", schemas.SCHEMAS.index(schema))
    return Database(paths)


def test_containers_of_an_older_database_are_found(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = database_before(schemas.CONTAINER_USES, paths, monkeypatch)
    insert(old, "a", ON_TWO)
    insert(old, "b", ON_DEFAULT)
    old.close()
    monkeypatch.undo()
    database = Database(paths)
    assert stored.users(database, "network") == {"shop": ["a"], "back": ["a"], "bridge": ["b"]}
    assert stored.users_of(database, "volume", "data") == ["a"]


def test_a_network_that_was_named_by_its_id_is_used(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = database_before(schemas.NETWORK_NAMES, paths, monkeypatch)
    with old.write() as sql:
        for name, number in (("shop", "5"), ("back", "6"), ("555", "7")):
            config = dumps({"name": name, "id": number * 64})
            sql.execute("INSERT INTO networks VALUES (?,?)", (name, config))
    insert(old, "a", ON_TWO.replace(endpoints=(Endpoint("5" * 64), Endpoint("back"))))
    insert(old, "b", ON_DEFAULT.replace(network="666666666666"))
    insert(old, "c", ON_DEFAULT.replace(network="555"))
    insert(old, "d", ON_DEFAULT)
    assert stored.users_of(old, "network", "shop") == []
    old.close()
    monkeypatch.undo()
    database = Database(paths)
    assert stored.users(database, "network") == {
        "shop": ["a"], "back": ["a", "b"], "555": ["c"], "bridge": ["d"],
    }  # fmt: skip
    assert stored.users_of(database, "volume", "data") == ["a"]
    with database.write() as sql:  # as what is brought back is
        sql.execute("UPDATE containers SET options=options")
    assert stored.users_of(database, "network", "back") == ["a", "b"]
