"""The check that guards all other system tests sees what it should see."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.leftovers import Leftovers

TREE = "/sys/fs/cgroup/pids" if Path("/sys/fs/cgroup/pids").is_dir() else "/sys/fs/cgroup"
CGROUP = f"{TREE}/left-{os.getpid()}"


@pytest.mark.parametrize(
    ("make", "undo", "expected"),
    [
        ("mount -t tmpfs t {dir}", "umount {dir}", "mount {dir}"),
        ("ip link add left0 type bridge", "ip link del left0", "network device left0"),
        ("nft add table ip left", "nft delete table ip left", "nft table ip left"),
        (f"mkdir {CGROUP}", f"rmdir {CGROUP}", f"cgroup {CGROUP}"),
    ],
    ids=["mount", "device", "table", "cgroup"],
)  # fmt: skip
def test_it_names_what_is_left(
    make: str, undo: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.leftovers.SETTLE_S", 0)
    before = Leftovers(tmp_path)
    subprocess.run(make.format(dir=tmp_path).split(), check=True)
    left = before.wait()
    subprocess.run(undo.format(dir=tmp_path).split(), check=True)
    assert expected.format(dir=tmp_path) in left
    assert before.wait() == []


def test_it_names_a_process_that_left_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.leftovers.SETTLE_S", 0)
    before = Leftovers(tmp_path)
    script = "sleep 60 >/dev/null & echo $!"
    started = subprocess.run(
        ["setsid", "sh", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, check=True
    )
    left = before.wait()
    os.kill(int(started.stdout), 9)
    assert [line for line in left if f"process {int(started.stdout)}:" in line]
