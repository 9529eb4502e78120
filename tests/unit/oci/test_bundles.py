"""Bundles are read and checked, their mounts and devices become what the kernel takes."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path

import pytest

from core.containers.runtime import cgroups
from core.errors import Error, UsageError
from core.linux import mount, scheduling
from core.oci import bundle, cgroup, device_rules, documents, plan
from core.oci.creation import Creation, create
from core.oci.mounts import Attributes, read_options
from core.oci.process import make_process
from core.oci.state import Container
from core.oci.talk import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture
def spec() -> dict[str, Any]:
    return documents.example()


def test_the_example_is_right(spec: dict[str, Any]) -> None:
    bundle.check(spec)
    bundle.check(documents.example(user=(1000, 1000)))


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("ociVersion", "2.0.0", "ociVersion"),
        ("root", {}, "root.path"),
        ("process", None, "process"),
        ("process.args", [], "must name a program"),
        ("process.args", ["a\0b"], "NUL"),
        ("process.cwd", "here", "absolute"),
        ("process.rlimits", [{"type": "RLIMIT_AS"}] * 2, "twice"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "new"}], "unknown type"),
        ("linux.namespaces", [{"type": "mount"}] * 2, "twice"),
        ("linux.namespaces", [{"type": "pid"}], "mount namespace"),
        ("linux.namespaces", [{"type": "mount"}], "needs a uts namespace"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "uts"}, {"type": "user"}], "uidMappings"),
        ("linux.uidMappings", [{}], "needs a user namespace"),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, "time namespace"),
        ("linux.sysctl", {"kernel.pid_max": "1"}, "would change the host"),
        ("linux.sysctl", {"vm/swappiness": "1"}, "would change the host"),
        ("linux.intelRdt", {"closID": "a"}, "not supported"),
        ("mounts", [{"destination": "/a/../../b", "type": "tmpfs"}], "upwards"),
        ("mounts", [{"type": "tmpfs"}], "destination"),
        ("hooks", {"prestart": [{"path": 5}]}, "hooks.prestart"),
    ],
)
def test_what_cannot_be_done_is_said(
    place: str, value: Any, problem: str, spec: dict[str, Any]
) -> None:
    *parents, name = place.split(".")
    holder = spec
    for parent in parents:
        holder = holder[parent]
    holder[name] = value
    with pytest.raises(bundle.Wrong, match=problem):
        bundle.check(spec)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "x" * 1025, "ä"])
def test_an_id_that_is_no_directorys_name(name: str) -> None:
    with pytest.raises(UsageError):
        bundle.check_id(name)


def test_options_of_a_mount() -> None:
    found = read_options(
        "none", ["rbind", "ro", "nosuid", "suid", "noatime", "rnoexec", "rrw", "rslave", "idmap"]
    )
    assert found.bind
    assert found.recursive
    assert found.own == Attributes(1 | 0x10, 0x70)
    assert found.tree == Attributes(8, 1)
    assert found.propagation == mount.MS_SLAVE | mount.MS_REC
    assert (found.id_map, found.data) == ("idmap", "")
    other = read_options("tmpfs", ["noexec", "size=1m", "tmpcopyup", "mode=700", "rw", "relatime"])
    assert (other.bind, other.copy_up, other.data) == (False, True, "size=1m,mode=700")
    assert other.flags == mount.MS_NOEXEC | mount.MS_RELATIME


def rule(allow: bool, kind: str = "", major: int | None = None, minor: int | None = None,
         access: str = "") -> dict[str, Any]:  # fmt: skip
    return {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}


@pytest.mark.parametrize(
    ("rules", "allowed", "lines"),
    [
        ([], True, ()),
        ([rule(True)], True, ()),
        ([rule(True), rule(False, "c", 1, 11, "rw")], True, ("c 1:11 rw",)),
        ([rule(False, "c", 1, 11, "rw"), rule(True, "c", 1, 11, "r")], True, ("c 1:11 w",)),
        ([rule(False, "b", 8, 1), rule(True, "b", 8)], True, ()),
        ([rule(False, "c", 1, 11), rule(True)], True, ()),
    ],
)
def test_device_rules_settle(
    rules: list[dict[str, Any]], allowed: bool, lines: tuple[str, ...]
) -> None:
    assert device_rules.settle(rules) == (allowed, lines)


def test_a_device_is_not_left_in_a_wildcard_that_it_was_taken_out_of() -> None:
    many = [rule(False), rule(True, "c", None, None)]
    for one in (rule(False, "c", 10, 229), rule(False, "c", 10), rule(False, "c", None, 3, "m")):
        with pytest.raises(bundle.Wrong, match=r"cannot take c [*\d]+:[*\d]+ out of c \*:\*"):
            device_rules.settle([*many, one])
    rights = [rule(False), rule(True, "c", 10, None, "rw"), rule(False, "c", 10, 1, "m")]
    assert "c 10:* rw" in device_rules.settle(rights)[1]
    assert "b 8:* rwm" in device_rules.settle([*many, rule(True, "b", 8), rule(False, "c")])[1]


def test_devices_that_every_container_has_stay_allowed() -> None:
    allowed, lines = device_rules.settle([rule(False), rule(True, "c", 10, 229, "rw")])
    assert not allowed
    assert set(lines) == {*device_rules.ALWAYS, "c 10:229 rw"}


def test_where_a_cgroup_is() -> None:
    assert cgroup.place("", "one") == "/limpet/oci-one"
    assert cgroup.place("a/b", "one") == "/limpet/a/b"
    assert cgroup.place("/../a//b", "one") == "/a/b"
    assert cgroup.systemd_place("a-b.slice:pre:one", "x") == "/a.slice/a-b.slice/pre-one.scope"
    assert cgroup.systemd_place("", "one") == "/system.slice/limpet-one.scope"
    with pytest.raises(bundle.Wrong):
        cgroup.systemd_place("/a/b", "x")


def test_limits_that_only_a_bundle_has(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {
        "memory": {"limit": 1000, "swappiness": 0},
        "cpu": {"period": 5000, "burst": 7},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4}],
        "network": {"classID": 9, "priorities": [{"name": "lo", "priority": 2}]},
    }
    monkeypatch.setattr(cgroups, "layout", lambda: (("memory", "memory"),))
    v1 = {path.rpartition("/")[2]: value for path, value, _ in cgroup.writes("/x", resources)}
    assert v1 == {
        "memory.limit_in_bytes": "1000", "memory.swappiness": "0", "cpu.cfs_period_us": "5000",
        "cpu.cfs_burst_us": "7", "hugetlb.2MB.limit_in_bytes": "4", "net_cls.classid": "9",
        "net_prio.ifpriomap": "lo 2",
    }  # fmt: skip
    monkeypatch.setattr(cgroups, "layout", lambda: ())
    resources["unified"] = {"memory.high": "5"}
    resources["memory"] = {"limit": -1, "swap": -1}
    v2 = {path.rpartition("/")[2]: value for path, value, _ in cgroup.writes("/x", resources)}
    assert v2 == {
        "memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 5000", "cpu.max.burst": "7",
        "hugetlb.2MB.max": "4", "memory.high": "5",
    }  # fmt: skip


def test_the_plan_joins_before_it_gives_up_privileges(spec: dict[str, Any]) -> None:
    spec["linux"]["namespaces"] = [
        {"type": "mount"}, {"type": "user"}, {"type": "pid"}, {"type": "cgroup"},
        {"type": "network", "path": "/run/netns/a"},
    ]  # fmt: skip
    spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 5, "size": 9}]
    spec["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 6, "size": 9}]
    group = cgroup.make("/limpet/x", {})
    made = plan.make_plan(spec, "/bundle", group, pivot=True)
    assert [step.describe() for step in made.outer][-1] == "join namespaces /run/netns/a"
    assert made.maps == ("0 5 9\n", "0 6 9\n")
    assert made.host_uid == 5
    assert set(made.unshare.names) == {"mount", "pid", "cgroup"}


def test_a_process_is_understood() -> None:
    made = make_process(
        {"args": ["a"], "cwd": "/", "user": {"uid": 1}, "env": ["A=b"],
         "capabilities": {"bounding": ["CAP_KILL", "CAP_FROM_THE_FUTURE"]},
         "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": (1 << 64) - 1}]},
        {"personality": {"domain": "LINUX32"}}, preserve=2,
    )  # fmt: skip
    assert made["capabilities"]["bounding"] == 1 << 5
    assert made["rlimits"] == (("RLIMIT_CORE", 0, -1),)
    assert made["env"] == ["A=b", "LISTEN_FDS=2", "LISTEN_PID=1"]
    assert made["personality"] == 8
    with pytest.raises(bundle.Wrong):
        make_process({"args": ["a"], "cwd": "/", "rlimits": [{"type": "RLIMIT_NEW"}]}, {})


def test_scheduling_words() -> None:
    attributes = scheduling.scheduler({"policy": "SCHED_DEADLINE", "runtime": 1, "period": 3})
    assert len(attributes) == 48
    assert attributes[4] == 6
    assert scheduling.io_priority({"class": "IOPRIO_CLASS_BE", "priority": 4}) == 2 << 13 | 4
    with pytest.raises(ValueError, match="SCHED_NEW"):
        scheduling.scheduler({"policy": "SCHED_NEW"})


ODD: tuple[Any, ...] = (None, 5, "x", [], [5], {}, {"a": 5}, -1, True)
"""Values of every type, for properties that are to be of one."""


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something is in a document."""
    if place:
        yield place
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, below in value.items() if isinstance(value, dict) else ():
        yield from places(below, (*place, key))


def test_whatever_is_of_another_type_is_told_as_such(spec: dict[str, Any], tmp_path: Path) -> None:
    """A bundle comes from other programs: what is wrong with it is no bug of this one."""
    linux = spec["linux"]
    linux["namespaces"].append({"type": "user"})
    for name in ("uidMappings", "gidMappings"):
        linux[name] = [{"containerID": 0, "hostID": 0, "size": 1}]
    linux |= {"sysctl": {"net.a": "1"}, "personality": {"domain": "LINUX"},
              "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}]}  # fmt: skip
    linux["resources"] |= {"memory": {"limit": 1}, "cpu": {"shares": 2}, "pids": {"limit": 3}}
    linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    spec["mounts"].append({"destination": "/a", "source": "/b", "options": ["bind", "idmap"]})
    spec["hooks"] = {"prestart": [{"path": "/bin/true"}]}
    (tmp_path / "rootfs").mkdir()
    runtime = Runtime(f"{tmp_path}/root", f"{tmp_path}/cache")
    tried = 0
    for *parents, name in list(places(spec)):
        for value in ODD:
            changed = copy.deepcopy(spec)
            holder: Any = changed
            for parent in parents:
                holder = holder[parent]
            holder[name] = value
            (tmp_path / "config.json").write_text(json.dumps(changed))
            with contextlib.suppress(Error):
                read_and_plan(runtime, str(tmp_path))
            tried += 1
    assert tried > 1000


def read_and_plan(runtime: Runtime, place: str) -> None:
    """Do what `create` does until it makes the container."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Container, "make", no_container)
        create(runtime, "one", Creation(place, console_socket="/none"))


def no_container(*_: Any, **__: Any) -> None:
    raise Error("planned")
