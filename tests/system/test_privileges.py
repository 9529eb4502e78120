"""Without the privileges that containers take, limpet says so and leaves nothing half done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core.paths import Paths
from tests.containers import make_engine, shell

ROOT = Path(__file__).parent.parent.parent
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PROGRAM = f"""
import os, sys
sys.argv = ["limpet", *sys.argv[1:]]
sys.path.insert(0, {str(ROOT)!r})
from cli.main import main
code = main()
sys.stdout.flush()
os._exit(code)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "data"), str(tmp_path / "run"))


def limpet(paths: Paths, *words: str, under: tuple[str, ...]) -> tuple[int, str]:
    done = subprocess.run(
        [*under, "/usr/bin/env", "HOME=/nonexistent", f"LIMPET_DATA_ROOT={paths.data}",
         f"LIMPET_RUN_ROOT={paths.run}", f"{ROOT}/.venv/bin/python3", "-I", "-c", PROGRAM, *words],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words", [("image", "starter"), ("pull", "some/image"), ("run", "starter", "true")]
)
def test_an_ordinary_user_is_told_to_be_root(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o777)
    (tmp_path / "own").chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    own = Paths(str(tmp_path / "own/data"), str(tmp_path / "own/run"))
    code, told = limpet(own, *words, under=NOBODY)
    assert code
    assert "Traceback" not in told
    if words[0] != "run":  # it has no image to look at
        assert "takes root" in told
        assert "sudo" in told


def test_another_s_containers_cannot_be_looked_at(paths: Paths, tmp_path: Path) -> None:
    engine = make_engine(paths, "spawner")
    engine.containers.create(shell("true"))
    engine.close()
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    code, told = limpet(paths, "ps", "-a", under=NOBODY)
    assert code
    assert "permission denied" in told.lower()
    assert "root" in told


def test_root_without_its_capabilities_is_told_what_is_missing(paths: Paths) -> None:
    make_engine(paths, "spawner").close()
    words = ("run", "--rm", "--network", "none", "starter", "true")
    code, told = limpet(paths, *words, under=("setpriv", "--bounding-set", "-sys_admin"))
    assert code == 125
    assert "a privilege is missing; limpet doctor tells which" in told
    assert make_engine(paths, "spawner").containers.list() == []
