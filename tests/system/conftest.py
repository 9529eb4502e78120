"""System tests run in namespaces of their own and leave nothing behind."""

from __future__ import annotations

import pytest

from core.paths import Paths
from tests.confined import isolated, nothing_left
from tests.containers import make_engine, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.containers.lifecycle import Containers
    from core.engine import Engine

__all__ = ["isolated", "nothing_left"]


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    """An engine with the starter image; its containers are gone afterwards."""
    made = make_engine(paths, "fork")
    yield made
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    made.close()
    reap()


@pytest.fixture
def containers(engine: Engine) -> Iterator[Containers]:
    """The life cycle of an engine's containers, which are gone afterwards."""
    yield engine.containers
    for info in engine.containers.list():
        engine.containers.rm(info.id, force=True)
