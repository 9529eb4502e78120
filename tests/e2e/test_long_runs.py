"""The soak, the faults and a walk, for a short while: each is a program that judges itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNS = {
    "soak": ["tests.soak", "--minutes", "3"],
    "faults": ["tests.faults", "--runs", "17", "--seed", "7"],
    "walk": ["tests.walk", "--keys", "500", "--seed", "7"],
}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_grows_and_nothing_breaks(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *RUNS[name]], cwd=ROOT, capture_output=True, text=True,
        timeout=420, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
