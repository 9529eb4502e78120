"""What a build that was killed leaves behind, and who removes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from core.build.homes import JANITOR, LOCK

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_killed_build_leaves_no_secret_in_memory(tmp_path: Path) -> None:
    work, memory = tmp_path / "work", tmp_path / "memory"
    for name in ("killed", "lives"):
        (work / name).mkdir(parents=True)
        (work / name / LOCK).touch()
        (memory / name).mkdir(parents=True)
        (memory / name / "secret").write_text("secret")
    lives = subprocess.Popen(["flock", work / "lives" / LOCK, "sh", "-c", "echo; read line"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert lives.stdout
        assert lives.stdout.read(1)  # it has the lock
        argv = [sys.executable, "-I", "-S", JANITOR, str(ROOT), str(work / "killed"), str(memory)]
        subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, timeout=60)
        assert os.listdir(work) == ["lives"]
        assert os.listdir(memory) == ["lives"]
    finally:
        lives.communicate(b"\n")
