"""Fixtures of the tests that need the real kernel: namespaces of their own, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import isolation
from tests.leftovers import Leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def isolated() -> None:
    """Leave the host's network and mount namespaces for the rest of the run."""
    isolation.enter()


@pytest.fixture(autouse=True)
def nothing_left(isolated: None, tmp_path: Path) -> Iterator[None]:
    """Fail a test that left a mount, device, table, cgroup or process behind."""
    before = Leftovers(tmp_path)
    yield
    left = before.wait()
    assert not left, "left behind:\n" + "\n".join(left)
