"""An engine whose networks are gone afterwards."""

from __future__ import annotations

import pytest

from core.engine import Engine
from core.paths import Paths
from tests.containers import make_engine, reap
from tests.system.network.own_networks.asking import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.containers.lifecycle import Containers


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = make_engine(paths, "fork", SETTINGS)
    yield made
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    for network in made.network.all():
        if network.id:
            made.network.remove(network.name, made.connections.users_of)
    made.network.teardown()
    made.close()
    reap()


@pytest.fixture
def containers(engine: Engine) -> Containers:
    return engine.containers
