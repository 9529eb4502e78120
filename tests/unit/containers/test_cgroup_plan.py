"""What is written into cgroup files, and what happens on hosts that lack some of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.containers.configuration.devices import DEVICE_RULES
from core.containers.runtime import cgroups

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
        "one",
        {
            "memory": {"limit": 1 << 20},
            "cpu": {"quota": 150000, "shares": 1024, "cpus": "0-1"},
            "pids": {"limit": 7},
            "blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 99}]},
            "deviceRules": DEVICE_RULES,
        },
    )
    found = files(made)
    assert found["memory.max"] == found["memory.swap.max"] == str(1 << 20)
    assert found["cpu.max"] == "150000 100000"
    assert found["pids.max"] == "7"
    assert found["cpu.weight"] == "39"
    assert found["io.max"] == "8:0 rbps=99"
    enabled = [v for p, v, _ in made["writes"] if p == f"{root}/cgroup.subtree_control"]
    assert enabled == ["+cpu", "+memory", "+pids", "+cpuset", "+io"]
    assert made["devices"], "without a program a container could open the host's disk"
    assert made["joins"] == (f"{root}/limpet/one/cgroup.procs",)
    assert cgroups.make_cgroup("one", {})["devices"] == b""


def test_v1_limits_and_devices(root: Path) -> None:
    for name in ("memory", "cpu", "pids", "devices"):
        (root / name).mkdir()
    made = cgroups.make_cgroup(
        "one",
        {
            "memory": {"limit": 1 << 20, "swap": -1, "reservation": 5},
            "cpu": {"quota": 50000, "mems": "0"},
            "blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 9}]},
            "deviceRules": DEVICE_RULES,
        },
    )
    found = files(made)
    assert found["memory.limit_in_bytes"] == str(1 << 20)
    assert found["memory.memsw.limit_in_bytes"] == "-1"
    assert found["memory.soft_limit_in_bytes"] == "5"
    assert found["cpuset.mems"] == "0"
    assert found["blkio.throttle.write_iops_device"] == "8:0 9"
    assert found["cpu.cfs_quota_us"] == "50000"
    assert found["devices.deny"] == "a"
    assert all(path.endswith("/tasks") for path in made["joins"])


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_a_default_limit_is_no_reason_not_to_start(layout: str, root: Path) -> None:
    (root / ("memory" if layout == "v1" else "cgroup.controllers")).mkdir()
    asked = cgroups.make_cgroup("one", {"pids": {"limit": 7}})
    with pytest.raises(OSError, match="--pids-limit"):
        cgroups.create(asked)
    default = cgroups.make_cgroup("one", {"pids": {"limit": 7}}, ("--pids-limit",))
    assert any("pids.max" in warning for warning in cgroups.create(default))


def test_a_host_that_cannot_keep_devices_away_starts_nothing(root: Path) -> None:
    (root / "memory").mkdir()
    with pytest.raises(OSError, match="devices"):
        cgroups.create(cgroups.make_cgroup("one", {"deviceRules": DEVICE_RULES}))


def test_directories_inside_go_first(root: Path) -> None:
    (root / "memory").mkdir()
    made = cgroups.make_cgroup("one", {})
    cgroups.create(made)
    os.makedirs(f"{made['dirs'][0]}/inner/deeper")
    cgroups.remove(made["dirs"])
    assert not os.path.exists(made["dirs"][0])


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_the_parent_goes_with_the_last(layout: str, root: Path) -> None:
    (root / ("memory" if layout == "v1" else "cgroup.controllers")).mkdir()
    one, two = (cgroups.make_cgroup(name, {}) for name in ("one", "two"))
    cgroups.create(one)
    cgroups.create(two)
    cgroups.remove_all(one["dirs"])
    assert os.path.isdir(two["dirs"][0])
    cgroups.remove(two["dirs"])
    cgroups.leave()
    assert not any("limpet" in names for _, names, _ in os.walk(root))


def test_a_start_finds_its_cgroup_while_others_end(root: Path) -> None:
    """The parent that one has just found is removed by the end of another."""
    (root / "memory").mkdir()

    def lives(name: str) -> list[str]:
        made = cgroups.make_cgroup(name, {})
        warnings: list[str] = []
        for _ in range(500):
            warnings += cgroups.create(made)
            cgroups.remove_all(made["dirs"])
        return warnings

    with ThreadPoolExecutor() as threads:
        assert [*threads.map(lives, ("one", "two", "three"))] == [[], [], []]


def test_all_processes_of_a_large_cgroup_are_known(tmp_path: Path) -> None:
    """The kernel tells of some hundreds a read, and what is left out is not killed."""
    pids = list(range(100000, 120000))
    (tmp_path / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    assert cgroups.processes((str(tmp_path),)) == pids
