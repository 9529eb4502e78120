"""Volumes through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from core.paths import Paths
from tests.e2e.command_line import LIMPET, environment, limpet


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> dict[str, str]:
    made = environment(paths, tmp_path)
    limpet(made, "image", "starter")
    return made


RUN = ("run", "--rm", "--network", "none")


def test_the_life_of_a_volume(env: dict[str, str]) -> None:
    assert limpet(env, "volume", "create", "--label", "team=red", "data") == "data\n"
    limpet(env, *RUN, "-v", "data:/d", "starter", "sh", "-c", "echo kept > /d/file")
    assert limpet(env, *RUN, "-v", "data:/d:ro", "starter", "cat", "/d/file") == "kept\n"
    found = json.loads(limpet(env, "volume", "inspect", "data"))[0]
    assert (found["Labels"], found["UsedBy"]) == ({"team": "red"}, [])
    assert Path(found["Mountpoint"], "file").read_text() == "kept\n"
    limpet(env, "create", "--name", "user", "-v", "data:/d", "starter")
    assert "user" in limpet(env, "volume", "ls")
    assert "limpet rm user first" in limpet(env, "volume", "rm", "data", code=4)
    assert limpet(env, "volume", "ls", "-q", "--filter", "dangling=true") == ""
    limpet(env, "rm", "user")
    # Pruning takes what nobody named; a name is a promise.
    unnamed = limpet(env, "volume", "create").strip()
    assert limpet(env, "volume", "prune", "-f").split() == [unnamed]
    assert limpet(env, "volume", "ls", "-q", "--filter", "label=team=red") == "data\n"
    limpet(env, "volume", "rm", "data")
    assert not Path(found["Mountpoint"]).exists()


def test_wrong_names_and_mounts_are_told(env: dict[str, str]) -> None:
    assert "is no volume name" in limpet(env, "volume", "create", "a/b", code=2)
    assert "limpet volume ls" in limpet(env, "volume", "rm", "nothing", code=3)
    limpet(env, "volume", "rm", "-f", "nothing")
    error = limpet(env, *RUN, "-v", "/nowhere/x:/d", "starter", "true", code=2)
    assert "mkdir -p /nowhere/x" in error
    error = limpet(env, *RUN, "-v", "ab:/d", "--tmpfs", "/d", "starter", "true", code=2)
    assert "two mounts on /d" in error
    file = Path(env["HOME"], "id")
    limpet(env, "create", "--cidfile", str(file), "starter")
    assert len(file.read_text()) == 64
    assert "another container's" in limpet(env, "create", "--cidfile", str(file), "starter", code=4)


def test_a_volume_is_backed_up_and_restored(env: dict[str, str]) -> None:
    script = (
        "cd /d; mkdir -p a/b; echo deep > a/b/file; chmod 640 a/b/file; chown 7:8 a/b/file;"
        "ln -s /etc out; ln a/b/file hard; mkfifo fifo; printf x > 'odd name'"
    )
    limpet(env, *RUN, "-v", "data:/d:nocopy", "starter", "sh", "-c", script)
    backup = Path(env["HOME"], "data.tar")
    limpet(env, "volume", "export", "-o", str(backup), "data")
    look = "cd /d; find . | sort; stat -c '%a %u:%g %h' a/b/file; cat a/b/file; readlink out"
    limpet(env, "volume", "import", "copy", str(backup))
    there = [limpet(env, *RUN, "-v", f"{name}:/d", "starter", "sh", "-c", look)
             for name in ("data", "copy")]  # fmt: skip
    assert there[0] == there[1]
    assert "640 7:8 2" in there[0]


def test_a_volume_s_links_lead_no_restore_out_of_it(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    script = f"ln -s {tmp_path}/outside /d/link; ln -s ../../../../../../{tmp_path}/outside /d/up"
    limpet(env, *RUN, "-v", "trap:/d:nocopy", "starter", "sh", "-c", script)
    for name in ("link", "up"):
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            entry = tarfile.TarInfo(f"{name}/file")
            tar.addfile(entry)
        subprocess.run([LIMPET, "volume", "import", "trap", str(tmp_path / "x.tar")], env=env,
                       check=False, capture_output=True, timeout=60)  # fmt: skip
        assert os.listdir(tmp_path / "outside") == []
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside/file"))
    limpet(env, "volume", "import", "trap", str(tmp_path / "x.tar"), code=1)
    assert os.listdir(tmp_path / "outside") == []
