"""What is written into cgroup files, and what happens on hosts that lack some of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.containers import cgroups
from core.containers.spec import DEVICE_RULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    return tmp_path


def files(cgroup: dict[str, Any]) -> dict[str, str]:
    return {path.rpartition("/")[2]: value for path, value, _ in cgroup["writes"]}


def test_v2_limits_and_devices(root: Path) -> None:
    (root / "cgroup.controllers").touch()
    made = cgroups.make_cgroup(
        "one", memory_bytes=1 << 20, cpus=1.5, pids_limit=7, devices=DEVICE_RULES
    )
    found = files(made)
    assert found["memory.max"] == found["memory.swap.max"] == str(1 << 20)
    assert found["cpu.max"] == "150000 100000"
    assert found["pids.max"] == "7"
    assert made["devices"], "without a program a container could open the host's disk"
    assert made["joins"] == (f"{root}/limpet/one/cgroup.procs",)
    assert cgroups.make_cgroup("one")["devices"] == b""


def test_v1_limits_and_devices(root: Path) -> None:
    for name in ("memory", "cpu", "pids", "devices"):
        (root / name).mkdir()
    made = cgroups.make_cgroup("one", memory_bytes=1 << 20, cpus=0.5, devices=DEVICE_RULES)
    found = files(made)
    assert found["memory.limit_in_bytes"] == str(1 << 20)
    assert found["memory.memsw.limit_in_bytes"] == str(2 << 20)
    assert found["cpu.cfs_quota_us"] == "50000"
    assert found["devices.deny"] == "a"
    assert all(path.endswith("/tasks") for path in made["joins"])


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_a_default_limit_is_no_reason_not_to_start(layout: str, root: Path) -> None:
    (root / ("memory" if layout == "v1" else "cgroup.controllers")).mkdir()
    asked = cgroups.make_cgroup("one", pids_limit=7)
    with pytest.raises(OSError, match="--pids-limit"):
        cgroups.create(asked)
    default = cgroups.make_cgroup("one", pids_limit=7, defaults=("--pids-limit",))
    assert any("pids.max" in warning for warning in cgroups.create(default))


def test_a_host_that_cannot_keep_devices_away_starts_nothing(root: Path) -> None:
    (root / "memory").mkdir()
    with pytest.raises(OSError, match="devices"):
        cgroups.create(cgroups.make_cgroup("one", devices=DEVICE_RULES))


def test_directories_inside_go_first(root: Path) -> None:
    (root / "memory").mkdir()
    made = cgroups.make_cgroup("one")
    cgroups.create(made)
    os.makedirs(f"{made['dirs'][0]}/inner/deeper")
    cgroups.remove(made["dirs"])
    assert not os.path.exists(made["dirs"][0])
