"""The real `limpet` as one-shot commands, on a store of the test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

LIMPET = str(Path(__file__).parent.parent.parent / "bin/limpet")


def environment(paths: Paths, home: Path) -> dict[str, str]:
    """Return the environment of a person with that store and home."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LIMPET_DATA_ROOT": paths.data,
        "LIMPET_RUN_ROOT": paths.run,
    }


def run(*command: str | Path, **variables: str) -> str:
    """Run a program that has to succeed, with more variables; return its stdout."""
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


def limpet(env: dict[str, str], *words: str, code: int = 0, text: str = "") -> str:
    """Run a command; return stdout, or stderr where it is to fail with another code."""
    done = subprocess.run(
        [LIMPET, *words], env=env, capture_output=True, text=True, input=text, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if code == 0 else done.stderr
