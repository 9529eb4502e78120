"""The cgroup of a bundle's container, as `core.containers.runtime.cgroups` takes it.

https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#control-groups
"""

from __future__ import annotations

import errno
import os

from core.containers.runtime import cgroups, limits
from core.containers.runtime.device_filter import compile_rules
from core.errors import HostError
from core.oci import device_rules
from core.oci.bundle import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.containers.runtime.limits import Write

MORE_V1 = ("hugetlb", "net_cls", "net_prio", "perf_event", "rdma", "systemd")
"""Trees of v1 besides `core.containers.runtime.cgroups.V1_CONTROLLERS`."""


def place(cgroups_path: str, container_id: str) -> str:
    """Return where a container's cgroup is, from the top: `/parent/name`.

    A relative path, and the default, lie under limpet's own.
    """
    if cgroups_path.startswith("/"):
        return os.path.normpath("/" + cgroups_path.lstrip("/"))
    name = os.path.normpath("/" + (cgroups_path or f"oci-{container_id}"))
    return f"/{cgroups.PARENT}{name}"


def systemd_place(cgroups_path: str, container_id: str) -> str:
    """Return where systemd has the scope `slice:prefix:name`.

    systemd.slice(5): each dash in a slice's name is one level.
    """
    parts = cgroups_path.split(":") if cgroups_path else ["system.slice", "limpet", container_id]
    if len(parts) != 3:
        raise Wrong("linux.cgroupsPath", "--systemd-cgroup needs the form slice:prefix:name")
    slice_name, prefix, name = parts
    words = (slice_name or "system.slice").removesuffix(".slice").split("-")
    levels = ["-".join(words[: end + 1]) + ".slice" for end in range(len(words)) if words != [""]]
    scope = name if name.endswith(".slice") else f"{prefix}-{name}.scope".removeprefix("-")
    return "/" + "/".join([*levels, scope])


def make(path: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the cgroup at `path`, see `place`: pure but for a look at what is mounted."""
    allowed, lines = device_rules.settle(resources.get("devices") or ())
    layout = cgroups.layout()
    made = _make_v1(path, resources) if layout else _make_v2(path, resources)
    if layout and (lines or not allowed):
        home = f"{cgroups.ROOT}/devices{path}"
        first, then = (
            ("devices.allow", "devices.deny") if allowed else ("devices.deny", "devices.allow")
        )
        made["writes"] = (
            *made["writes"],
            (f"{home}/{first}", "a", "devices"),
            *((f"{home}/{then}", line, "devices") for line in lines),
        )
    elif lines or not allowed:
        made["devices"] = compile_rules(lines, listed=not allowed)
    return {**made, "defaults": (), "path": path}


def writes(path: str, resources: Mapping[str, Any]) -> list[Write]:
    """Return the limits of a container that is there already, without its devices."""
    if cgroups.layout():
        home = _home(path)
        return [*_writes_v1(resources, home)]
    return _writes_v2(resources, f"{cgroups.ROOT}{path}")


def _home(path: str) -> Callable[[str], str]:
    return lambda controller: f"{cgroups.ROOT}/{controller}{path}"


def _make_v1(path: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    trees = [name for name, _ in cgroups.layout()]
    trees += [name for name in MORE_V1 if os.path.isdir(f"{cgroups.ROOT}/{name}")]
    home = _home(path)
    found: list[Write] = []
    if "cpuset" in trees:
        for folder in _levels(home("cpuset"), f"{cgroups.ROOT}/cpuset"):
            # A new cpuset is empty and takes no process until it has its parent's; one that
            # has something already keeps it.
            found += [
                (f"{folder}/{file}", f"@{os.path.dirname(folder)}/{file}", "")
                for file in ("cpuset.cpus", "cpuset.mems")
                if not _filled(f"{folder}/{file}")
            ]
    found += _writes_v1(resources, home)
    return {
        "version": 1,
        "dirs": tuple(home(tree) for tree in trees),
        "writes": tuple(found),
        "joins": tuple(f"{home(tree)}/tasks" for tree in trees),
        "devices": b"",
        "name": path,
    }


def _make_v2(path: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    home = f"{cgroups.ROOT}{path}"
    asked = _writes_v2(resources, home)
    wanted = dict.fromkeys([*limits.controllers(asked), *_controllers_v2(asked)])
    above = [cgroups.ROOT, *_levels(home, cgroups.ROOT)[:-1]]
    enable = [
        (f"{folder}/cgroup.subtree_control", f"+{name}", "") for folder in above for name in wanted
    ]
    return {
        "version": 2,
        "dirs": (home,),
        "writes": (*enable, *asked),
        "joins": (f"{home}/cgroup.procs",),
        "devices": b"",
        "name": path,
    }


def _controllers_v2(asked: list[Write]) -> list[str]:
    known = {"cpu", "memory", "pids", "cpuset", "io", "hugetlb", "rdma", "misc"}
    named = [path.rpartition("/")[2].partition(".")[0] for path, _, _ in asked]
    return [name for name in named if name in known]


def _levels(folder: str, root: str) -> list[str]:
    """Return the directories from below `root` down to `folder`."""
    names = folder.removeprefix(root).strip("/").split("/")
    return [f"{root}/{'/'.join(names[: end + 1])}" for end in range(len(names))]


def _filled(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            return bool(opened.read().strip())
    except OSError:
        return False


def _writes_v1(resources: Mapping[str, Any], home: Callable[[str], str]) -> list[Write]:
    if resources.get("unified"):
        raise Wrong("linux.resources.unified", "this host has cgroup v1")
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    found = limits.writes_v1(resources, home)
    if not memory.get("swap"):
        # Unlike docker's option, a limit of memory alone says nothing about swap.
        found = [write for write in found if not write[0].endswith("/memory.memsw.limit_in_bytes")]
    elif not memory.get("limit"):
        found.append((f"{home('memory')}/memory.memsw.limit_in_bytes", str(memory["swap"]), "swap"))
    found += _periods(cpu, f"{home('cpu')}/cpu.cfs_period_us", lambda period: str(period))
    for key, tree, file in (
        ("realtimePeriod", "cpu", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu", "cpu.rt_runtime_us"),
        ("burst", "cpu", "cpu.cfs_burst_us"),
        ("idle", "cpu", "cpu.idle"),
    ):
        if cpu.get(key):
            found.append((f"{home(tree)}/{file}", str(cpu[key]), f"cpu.{key}"))
    if memory.get("swappiness") is not None:
        found.append(
            (f"{home('memory')}/memory.swappiness", str(memory["swappiness"]), "swappiness")
        )
    for page in resources.get("hugepageLimits") or ():
        file = f"{home('hugetlb')}/hugetlb.{page['pageSize']}.limit_in_bytes"
        found.append((file, str(page["limit"]), "hugepageLimits"))
    network = resources.get("network") or {}
    if network.get("classID"):
        found.append((f"{home('net_cls')}/net_cls.classid", str(network["classID"]), "classID"))
    for entry in network.get("priorities") or ():
        value = f"{entry['name']} {entry['priority']}"
        found.append((f"{home('net_prio')}/net_prio.ifpriomap", value, "priorities"))
    block = resources.get("blockIO") or {}
    for device in block.get("weightDevice") or ():
        value = f"{device['major']}:{device['minor']} {device.get('weight') or 0}"
        found.append((f"{home('blkio')}/blkio.bfq.weight_device", value, "weightDevice"))
    return [*found, *_rdma(resources, home("rdma"))]


def _writes_v2(resources: Mapping[str, Any], home: str) -> list[Write]:
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    found = limits.writes_v2(resources, home)
    if not memory.get("swap"):
        found = [write for write in found if not write[0].endswith("/memory.swap.max")]
    found += _periods(cpu, f"{home}/cpu.max", lambda period: f"max {period}")
    for key, file in (("burst", "cpu.max.burst"), ("idle", "cpu.idle")):
        if cpu.get(key):
            found.append((f"{home}/{file}", str(cpu[key]), f"cpu.{key}"))
    for page in resources.get("hugepageLimits") or ():
        file = f"{home}/hugetlb.{page['pageSize']}.max"
        found.append((file, str(page["limit"]), "hugepageLimits"))
    found += _rdma(resources, home)
    found = [(file, "max" if value == "-1" else value, asked) for file, value, asked in found]
    found = [
        (file, value.replace("-1 ", "max ", 1) if file.endswith("/cpu.max") else value, asked)
        for file, value, asked in found
    ]
    for file, text in (resources.get("unified") or {}).items():
        if "/" in file:
            raise Wrong("linux.resources.unified", f"{file!r} is not the name of a file")
        found += [(f"{home}/{file}", line, "unified") for line in text.splitlines()]
    return found


def _periods(cpu: Mapping[str, Any], file: str, value: Callable[[int], str]) -> list[Write]:
    """A period alone; with a quota it is written before it."""
    if cpu.get("period") and not cpu.get("quota"):
        return [(file, value(cpu["period"]), "cpu.period")]
    return []


def _rdma(resources: Mapping[str, Any], home: str) -> list[Write]:
    found = []
    for device, most in (resources.get("rdma") or {}).items():
        words = [
            f"{word}={most[key]}"
            for key, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
            if key in most
        ]
        found.append((f"{home}/rdma.max", " ".join([device, *words]), "rdma"))
    return found


def apply(found: list[Write]) -> None:
    """Write limits of a container that runs; OSError names the file.

    What one limit refuses while another still stands in its way (memory above the sum of
    memory and swap) is tried again after the others.
    """
    refused = []
    for path, value, _ in found:
        try:
            write(path, value)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY):
                raise HostError(f"{path}: {error.strerror}", errno=error.errno or 0) from error
            refused.append((path, value))
    for path, value in refused:
        try:
            write(path, value)
        except OSError as error:
            raise HostError(
                f"{value} into {path}: {error.strerror}", errno=error.errno or 0
            ) from error


def write(path: str, value: str) -> None:
    """Write into one of the cgroup's files.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
