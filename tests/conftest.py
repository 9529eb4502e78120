"""What all tests share: roots of their own, and a clear word when root is missing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from core.paths import Paths

ROOT = Path(__file__).parent.parent

# A busy machine makes any example slow; in CI the same examples each time.
settings.register_profile("limpet", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("limpet")

# Of a run in the background, or under nohup: every program under test would ignore them, too.
for _number, _handler in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


LONGEST = ("test_long_runs.py", "test_random_walk.py")
"""Minutes each: begun last, they would have most processors wait for them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; refuse to start, rather than fail one by one, without root."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if os.geteuid() == 0:
        return
    needs_root = [ROOT / "tests" / part for part in ("system", "e2e")]
    if any(place in item.path.parents for item in items for place in needs_root):
        raise pytest.UsageError(
            "system and e2e tests make namespaces, mounts and networks: "
            "run them as root, or choose tests/unit"
        )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Data and run-time directories of one test."""
    made = Paths(str(tmp_path / "data"), str(tmp_path / "run"))
    made.make()
    return made
