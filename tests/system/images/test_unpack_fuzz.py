"""A few layers of what `python3 -m tests.fuzz.unpack` does for hours."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz.unpack import run


def test_changed_layers_are_unpacked_or_refused(tmp_path: Path) -> None:
    # As hypothesis does it: what is new is found where somebody is there to look at it.
    seed = 1 if "CI" in os.environ else int.from_bytes(os.urandom(4), "little")
    assert run(seed, tmp_path, layers=150).unpacked > 10
