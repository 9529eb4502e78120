"""A container's cgroup, in both layouts: v2 (one tree) and v1 (a tree a controller).

A cgroup is a plain dict that goes to the monitor: `{"version", "dirs", "writes", "joins"}`.
`dirs` are made, `writes` are (path, value, what was asked or "") done in order, `joins` are
the files into which the container's first process writes "0" itself: in v1 that is
`tasks`, because a write to `cgroup.procs` waits for a grace period of ten milliseconds.
`devices` is v2's program for devices, and `defaults` names limits that nobody asked for.
https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import errno
import os
import time

from core.containers.runtime import limits
from core.containers.runtime.device_filter import compile_rules
from core.linux import bpf
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.containers.runtime.limits import Write

ROOT = "/sys/fs/cgroup"
PARENT = "limpet"
V1_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids", "devices", "freezer", "cpuset", "blkio")
MAKE_TRIES, REMOVE_TRIES = 100, 50
NO_CGROUP = "this user has no cgroup of his own to limit"


def make_cgroup(
    container_id: str,
    resources: Mapping[str, Any],
    defaults: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Plan the cgroup of a container: pure but for a look at what is mounted.

    `resources` is as in the runtime configuration (see `core.containers.runtime.limits`), with
    `deviceRules`: v1 lines such as `c 1:3 rwm`, none to allow every device.  `defaults` are
    options, such as `--pids-limit`, that a host without the controller may ignore.
    """
    devices = tuple(resources.get("deviceRules") or ())
    if is_rootless() and not parent():
        return {**_make_none(container_id, resources), "defaults": defaults}
    make = _make_v1 if layout() else _make_v2
    return {**make(container_id, resources, devices), "defaults": defaults}


def limit_writes(container_id: str, resources: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the writes that give a container that runs other limits."""
    if layout():
        return tuple(limits.writes_v1(resources, _homes_v1(container_id)))
    return tuple(limits.writes_v2(resources, f"{parent()}/{container_id}"))


def parent() -> str:
    """Return the directory of all containers' cgroups on v2, "" for a user who has none."""
    if not is_rootless():
        return f"{ROOT}/{PARENT}"
    if layout():
        return ""
    from core.containers.runtime import delegation

    return delegation.home()


def enabling() -> tuple[str, ...]:
    """Return the directories that give the containers' cgroups their controllers, topmost first."""
    folder = parent()
    return (os.path.dirname(folder), folder)


def layout() -> tuple[tuple[str, str], ...]:
    """Return v1's controllers with the name of the mount each is in; () for v2.

    Controllers mounted together share one, `cpu,cpuacct`.  Asked once in a process.
    """
    if ROOT not in _layouts:
        _layouts[ROOT] = () if os.path.exists(f"{ROOT}/cgroup.controllers") else tuple(
            (name, os.path.basename(os.path.realpath(f"{ROOT}/{name}")))
            for name in V1_CONTROLLERS
            if os.path.isdir(f"{ROOT}/{name}")
        )  # fmt: skip
    return _layouts[ROOT]


_layouts: dict[str, tuple[tuple[str, str], ...]] = {}


def _make_v2(name: str, resources: Mapping[str, Any], devices: tuple[str, ...]) -> dict[str, Any]:
    folder = parent()
    home = f"{folder}/{name}"
    asked = limits.writes_v2(resources, home)
    # One by one: a controller that this host lacks must not keep the others away.
    enable = [
        (f"{above}/cgroup.subtree_control", f"+{controller}", "")
        for above in enabling()
        for controller in limits.controllers(asked)
    ]
    return {
        "version": 2,
        "dirs": (home,),
        "writes": (*enable, *asked),
        "joins": (f"{home}/cgroup.procs",),
        # An ordinary user makes no device nodes, so he needs no rules for them.
        "devices": compile_rules(devices) if devices and not is_rootless() else b"",
        "name": home.removeprefix(ROOT),
    }


def _make_none(name: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Plan no cgroup at all, for a user who has none.

    Limits that were asked for are in the plan all the same, and fail by their names.
    """
    asked = limits.writes_v2(resources, f"{ROOT}/{PARENT}/{name}")
    return {
        "version": 0,
        "dirs": (),
        "writes": tuple(asked),
        "joins": (),
        "devices": b"",
        "name": "",
    }


def _homes_v1(name: str) -> Callable[[str], str]:
    """Return what tells the container's directory of a controller, were it not there as well."""
    return lambda controller: f"{ROOT}/{controller}/{PARENT}/{name}"


def _make_v1(name: str, resources: Mapping[str, Any], devices: tuple[str, ...]) -> dict[str, Any]:
    homes = {c: f"{ROOT}/{c}/{PARENT}/{name}" for c, _ in layout()}
    writes: list[Write] = []
    if "cpuset" in homes:
        for folder in (f"{ROOT}/cpuset/{PARENT}", homes["cpuset"]):
            # A new cpuset is empty and takes no process until it has its parent's.
            writes += [
                (f"{folder}/{file}", f"@{os.path.dirname(folder)}/{file}", "")
                for file in ("cpuset.cpus", "cpuset.mems")
            ]
    writes += limits.writes_v1(resources, _homes_v1(name))
    if devices:
        # Without the controller the start fails: a container may make nodes for any disk.
        home = homes.get("devices", f"{ROOT}/devices")
        writes.append((f"{home}/devices.deny", "a", "devices"))
        writes += [(f"{home}/devices.allow", line, "devices") for line in devices]
    return {
        "version": 1,
        "dirs": tuple(homes.values()),
        "writes": tuple(writes),
        "joins": tuple(f"{home}/tasks" for home in homes.values()),
        "devices": b"",
        "name": f"/{PARENT}/{name}",
    }


def asked_first(cgroup: dict[str, Any]) -> str:
    """Return the first option that asks for a limit, "" when none does."""
    expected = ("", *cgroup["defaults"])
    return next((asked for _, _, asked in cgroup["writes"] if asked not in expected), "")


def create(cgroup: dict[str, Any]) -> list[str]:
    """Make the directories and set the limits; returns warnings about what this host lacks.

    Raises OSError when a limit that was asked for, or the rule for devices, cannot be set.
    """
    warnings: list[str] = []
    if cgroup["version"] == 0:
        if option := asked_first(cgroup):
            raise OSError(errno.ENOTSUP, f"{option}: {NO_CGROUP}")
        return warnings
    for folder in cgroup["dirs"]:
        try:
            _make(folder)
        except OSError as error:
            warnings.append(f"{folder}: {error.strerror}")
    for path, value, asked in cgroup["writes"]:
        try:
            if value.startswith("@"):
                value = _read(value[1:]).strip()
            _write(path, value)
        except OSError as error:
            if asked and asked not in cgroup["defaults"]:
                missing = error.errno == errno.ENOENT
                text = "there is no cgroup controller for it" if missing else error.strerror
                raise OSError(error.errno, f"{asked}: {text}", path) from error
            warnings.append(f"{path}: {error.strerror}")
    if cgroup["devices"]:
        _filter_devices(cgroup["dirs"][0], cgroup["devices"])
    return warnings


def _make(folder: str) -> None:
    """Make a directory and those above it, though the end of another container removes them."""
    for attempt in range(MAKE_TRIES):
        try:
            if attempt:
                os.makedirs(os.path.dirname(folder), 0o755, exist_ok=True)
            os.mkdir(folder, 0o755)
        except FileExistsError:
            return
        except FileNotFoundError:
            if attempt + 1 == MAKE_TRIES:
                raise
            if attempt:
                time.sleep(0.001)  # a busy host runs the two in step otherwise
        else:
            return


def _filter_devices(folder: str, code: bytes) -> None:
    program = bpf.load_device_program(code)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bpf.attach_device_program(directory, program)
    finally:
        os.close(directory)
        os.close(program)


def join(cgroup: dict[str, Any]) -> None:
    """Move the calling process into the cgroup; a controller that refuses is left out.

    Raises OSError when none takes it.
    """
    joined, last = 0, OSError(errno.ENOENT, "no cgroup")
    for path in cgroup["joins"]:
        try:
            _write(path, "0")
            joined += 1
        except OSError as error:
            last = error
    if cgroup["joins"] and not joined:
        raise last


def remove_all(dirs: tuple[str, ...] | list[str]) -> None:
    """Remove the directories, and the parent of all with the last: for whom no spawner does it."""
    remove(dirs)
    remove_parents(dirs)


def leave() -> None:
    """Remove the parents of all containers' cgroups, unless there is one: no more is to come."""
    remove_parents(make_cgroup("any", {})["dirs"])


def remove_parents(dirs: tuple[str, ...] | list[str]) -> None:
    """Remove limpet's own directories above some, where nothing is left in them."""
    for folder in dirs:
        above = os.path.dirname(folder)
        while f"/{PARENT}/" in f"{above}/":
            try:
                os.rmdir(above)
            except OSError:
                break  # another container is in it, or its end was quicker
            above = os.path.dirname(above)


def remove(dirs: tuple[str, ...] | list[str]) -> None:
    """Remove the directories, waiting up to half a second for dying processes to leave.

    Those that the container made inside its own go first.
    """
    for folder in dirs:
        for attempt in range(REMOVE_TRIES):
            try:
                os.rmdir(folder)
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    break
                if attempt == 0:
                    remove(_inner(folder))
                else:
                    time.sleep(0.01)
            else:
                break


def _inner(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def processes(dirs: tuple[str, ...] | list[str]) -> list[int]:
    """Return the processes in the cgroup, as this process counts them."""
    for folder in dirs:
        try:
            return [int(pid) for pid in _read(f"{folder}/cgroup.procs").split()]
        except (OSError, ValueError):
            continue
    return []


def kill(dirs: tuple[str, ...] | list[str]) -> None:
    """Kill what is left in the cgroup, until nothing is, though it were frozen; for repair."""
    try:
        freeze(dirs, frozen=False)  # a frozen process of cgroup v1 does not even die
    except OSError:
        pass  # this host has no freezer, or the cgroup has gone
    for _ in range(REMOVE_TRIES):
        found = processes(dirs)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


def freeze(dirs: tuple[str, ...] | list[str], *, frozen: bool) -> None:
    """Freeze or thaw; OSError (ENOTSUP when there is no freezer)."""
    for folder in dirs:
        if os.path.exists(f"{folder}/cgroup.freeze"):
            _write(f"{folder}/cgroup.freeze", "1" if frozen else "0")
            return
        if "/freezer/" in folder:
            _write(f"{folder}/freezer.state", "FROZEN" if frozen else "THAWED")
            return
    raise OSError(errno.ENOTSUP, "there is no freezer cgroup for it")


def oom_kills(dirs: tuple[str, ...] | list[str]) -> int:
    """Return how many processes the kernel killed for want of memory."""
    for folder in dirs:
        for file in ("memory.events", "memory.oom_control"):
            try:
                text = _read(f"{folder}/{file}")
            except OSError:
                continue
            for line in text.splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def usage(dirs: tuple[str, ...] | list[str]) -> tuple[int, int, int, int, int]:
    """Return CPU nanoseconds, memory bytes, memory limit, processes, their limit (0: none)."""
    cpu = memory = limit = pids = pids_limit = 0
    for folder in dirs:
        if "/cpuacct/" in folder:
            cpu = _number(f"{folder}/cpuacct.usage")
        elif "/memory/" in folder:
            cache = _field(f"{folder}/memory.stat", "total_inactive_file")
            memory = max(0, _number(f"{folder}/memory.usage_in_bytes") - cache)
            limit = _number(f"{folder}/memory.limit_in_bytes")
        elif "/pids/" in folder:
            pids, pids_limit = _number(f"{folder}/pids.current"), _number(f"{folder}/pids.max")
        elif os.path.exists(f"{folder}/cgroup.controllers"):
            cpu = _field(f"{folder}/cpu.stat", "usage_usec") * 1000
            cache = _field(f"{folder}/memory.stat", "inactive_file")
            memory = max(0, _number(f"{folder}/memory.current") - cache)
            limit = _number(f"{folder}/memory.max")
            pids, pids_limit = _number(f"{folder}/pids.current"), _number(f"{folder}/pids.max")
    return cpu, memory, 0 if limit >= 1 << 62 else limit, pids, pids_limit


def _number(path: str) -> int:
    try:
        return int(_read(path))
    except (OSError, ValueError):
        return 0  # `max`, or a controller this host lacks


def _field(path: str, name: str) -> int:
    try:
        text = _read(path)
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")), 0
    )


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 64 << 10):  # of many processes a page's worth at a time
            parts.append(part)
        return b"".join(parts).decode()
    finally:
        os.close(fd)


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
