"""The program as a person meets it: `limpet` typed at a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.paths import Paths
from tests.e2e.command_line import LIMPET
from tests.e2e.terminal import TABLES, Terminal, Tmux

LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LIMPET_DATA_ROOT": paths.data,
        "LIMPET_RUN_ROOT": paths.run,
    }


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (160, 50)])
def test_the_app_opens_fills_the_screen_and_leaves_it_as_it_was(
    columns: int, rows: int, env: dict[str, str]
) -> None:
    with Terminal([LIMPET], columns=columns, rows=rows, env=env) as terminal:
        terminal.until(r"Containers 0.*Images 0.*Registries")
        terminal.until(TABLES)
        assert terminal.screen.display[rows - 1].strip()
        terminal.keys("q")
        assert terminal.wait() == 0
    assert terminal.output.rindex(LEAVE_ALTERNATE_SCREEN) > 0


def test_ctrl_c_while_limpet_is_loaded_ends_it_without_a_word(
    env: dict[str, str], tmp_path: Path
) -> None:
    checkout = Path(LIMPET).parent.parent
    shutil.copytree(checkout / "bin", tmp_path / "bin")
    (tmp_path / ".venv").symlink_to(checkout / ".venv")
    (tmp_path / "core").mkdir()
    (tmp_path / "core/lean_import.py").write_text("import os\nos.kill(os.getpid(), 2)\n")
    ended = subprocess.run([tmp_path / "bin/limpet", "ps"], env=env, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.parametrize("seen", ["", "1 Containers"], ids=["at once", "behind the picture"])
def test_what_is_typed_while_the_app_is_loaded_is_not_lost(env: dict[str, str], seen: str) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(seen)
        terminal.type(":version\r")
        terminal.until(r"limpet 0\.")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("q")
        assert terminal.wait() == 0


def test_the_app_follows_the_windows_size(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.resize(120, 40)
        terminal.until(r"\A(?:.*\n){30,}.*\? help")
        terminal.keys("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("term", ["tmux-256color", "screen", "xterm"])
def test_the_app_opens_inside_tmux(term: str, env: dict[str, str]) -> None:
    env.pop("TERM")
    with Tmux([LIMPET], term=term, env=env) as tmux:
        tmux.until(r"Containers 0")
        tmux.keys("q")
        tmux.until(r"Pane is dead|\A\s*\Z")


def test_without_a_terminal_it_says_what_to_do(env: dict[str, str]) -> None:
    ran = subprocess.run(
        [LIMPET], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert "needs a terminal" in ran.stderr


def test_the_launcher_honours_no_python_variable(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "core.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "usercustomize.py").write_text("raise SystemExit('hijacked')")
    hostile = {**env, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONINSPECT": "1"}
    ran = subprocess.run(
        [LIMPET, "--help"], env=hostile, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_launcher_works_through_symbolic_links(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "first").symlink_to(LIMPET)
    (tmp_path / "bin/limpet").symlink_to("../first")
    onpath = {**env, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    ran = subprocess.run(["limpet", "--help"], env=onpath, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_launcher_works_installed_in_a_venv(env: dict[str, str], tmp_path: Path) -> None:
    root = Path(LIMPET).parent.parent
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = tmp_path / "venv/lib" / version / "site-packages"
    packages.mkdir(parents=True)
    for name in ("core", "cli", "tui"):
        (packages / name).symlink_to(root / name)
    programs = tmp_path / "venv/bin"
    programs.mkdir()
    shutil.copy(LIMPET, programs)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    ran = subprocess.run(
        [programs / "limpet", "--help"], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "run one command" in ran.stdout
