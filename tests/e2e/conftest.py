"""End-to-end tests run in namespaces of their own and leave nothing behind."""

from __future__ import annotations

import pytest

from tests.confined import isolated, nothing_left
from tests.e2e.command_line import environment, limpet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.paths import Paths

__all__ = ["isolated", "nothing_left"]


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a limpet that has the starter image; what it made goes in the end."""
    made = environment(paths, tmp_path)
    limpet(made, "image", "starter")
    yield made
    if names := limpet(made, "ps", "-aq").split():
        limpet(made, "rm", "-f", *names)
    limpet(made, "network", "prune", "-f")
