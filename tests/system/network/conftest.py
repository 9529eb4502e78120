"""A network for each test, with a neighbour where one is asked for."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from core.database import Database
from core.network.network import Network
from tests.system.network.lab import CONFIG, FAR, HOST, NEIGHBOUR, Lab, beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.paths import Paths
    from tests.namespaces import Namespace


@pytest.fixture
def lab(paths: Paths) -> Iterator[Lab]:
    database = Database(paths)
    network = Network(paths, database, CONFIG)
    with ExitStack() as stack:
        stack.callback(database.close)
        stack.callback(network.teardown)
        yield Lab(network, stack)


@pytest.fixture
def neighbour(lab: Lab) -> Iterator[Namespace]:
    """Another machine on the host's network; it is also FAR, somewhere on the internet."""
    with beside(HOST, NEIGHBOUR, FAR, 24) as other:
        yield other
