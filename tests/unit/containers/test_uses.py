"""Which containers name a network or a volume: kept by the database itself, asked by name."""

from __future__ import annotations

import pytest

from core import database as module
from core.containers import stored
from core.containers.configuration.options import ContainerOptions, Mount
from core.database import SCHEMAS, Database
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


def test_containers_of_an_older_database_are_found(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SCHEMAS.index(module.CONTAINER_USES)
    monkeypatch.setattr(module, "SCHEMAS", SCHEMAS[:before])
    old = Database(paths)
    insert(old, "a", ON_TWO)
    insert(old, "b", ON_DEFAULT)
    old.close()
    monkeypatch.undo()
    database = Database(paths)
    assert stored.users(database, "network") == {"shop": ["a"], "back": ["a"], "bridge": ["b"]}
    assert stored.users_of(database, "volume", "data") == ["a"]
