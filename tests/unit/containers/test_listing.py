"""What a list of many containers takes."""

from __future__ import annotations

import tracemalloc

from core.config import Config
from core.containers import stored
from core.containers.configuration.options import ContainerOptions
from core.engine import Engine
from core.model import Port
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

MANY = 500
OPTIONS = ContainerOptions("app", network="none", publish=(Port("0.0.0.0", 8080, 80),))


def test_options_of_many_containers_are_not_in_memory_at_once(tmp_path: Path) -> None:
    engine = Engine(Paths(str(tmp_path / "data"), str(tmp_path / "run")), Config())
    document = stored.document_of(OPTIONS, ["sh"], {})
    with engine.database.write() as sql:
        sql.executemany(
            "INSERT INTO containers VALUES (?,?,'app','',0,?,'')",
            [(f"{number:064x}", f"app{number}", document) for number in range(MANY)],
        )
    assert len(engine.containers.list()) == MANY  # what it imports stays
    tracemalloc.start()
    try:
        found = engine.containers.list()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    engine.close()
    assert len(found) == MANY
    assert most < kept + 2 * MANY * len(document)
