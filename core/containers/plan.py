"""A runtime configuration to the steps that make it true.

Pure but for the host's facts, so a plan can be shown (`run --dry-run`) and tested without
root.
"""

from __future__ import annotations

from core.containers import cgroups
from core.containers.steps import (
    Bind,
    Bounding,
    CgroupMount,
    Devices,
    HostDevices,
    JoinCgroup,
    Mask,
    Mount,
    NoNewPrivileges,
    OverlayRoot,
    PivotRoot,
    PrivateMounts,
    ReadOnlyPaths,
    Seccomp,
    Step,
    Sysctl,
    Terminal,
    Unshare,
    Volume,
    WorkingDirectory,
)
from core.linux import capabilities, mount, process
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = {"ro": mount.MS_RDONLY, "nosuid": mount.MS_NOSUID, "nodev": mount.MS_NODEV,
         "noexec": mount.MS_NOEXEC, "strictatime": mount.MS_STRICTATIME,
         "relatime": mount.MS_RELATIME}  # fmt: skip
NAMESPACE_FLAGS = {
    "mount": process.CLONE_NEWNS, "uts": process.CLONE_NEWUTS, "ipc": process.CLONE_NEWIPC,
    "network": process.CLONE_NEWNET,
}  # fmt: skip
ALL_CAPABILITIES = (1 << 64) - 1


class Host(Record):
    """What a plan needs to know of this host."""

    permitted: int
    """Capabilities that limpet itself has; a container cannot get others."""
    last_capability: int


def this_host() -> Host:
    """Return the facts of the host this runs on, asked once in a process."""
    if not _host:
        _host.append(Host(capabilities.permitted(), capabilities.last()))
        cgroups.layout()
    return _host[0]


_host: list[Host] = []


def make_launch(
    spec: dict[str, Any],
    *,
    container_id: str,
    directory: str,
    layers_dir: str,
    lowerdirs: tuple[int, ...],
    network: dict[str, Any] | None,
    seccomp: bytes,
    host: Host,
) -> dict[str, Any]:
    """Return what the container's first process does, and what the monitor does for it.

    `directory` is the container's, with upper, work and rootfs in it; `lowerdirs` are layer
    IDs, the uppermost first.
    """
    cgroup = make_cgroup(spec, container_id)
    bits = capabilities.mask(spec["process"]["capabilities"]["bounding"]) & host.permitted
    root = OverlayRoot(
        layers_dir,
        tuple(map(str, lowerdirs)),
        f"{directory}/upper",
        f"{directory}/work",
        f"{directory}/rootfs",
    )
    steps = _steps(spec, cgroup, root, bits, seccomp, host)
    process_spec = spec["process"]
    return {
        "id": container_id,
        "steps": steps,
        "cgroup": cgroup,
        "network": network,
        "argv": tuple(process_spec["args"]),
        "env": list(process_spec["env"]),
        "cwd": process_spec["cwd"],
        "user": process_spec["user"]["username"],
        "capabilities": bits,
        "tty": process_spec["terminal"],
    }


def make_cgroup(spec: dict[str, Any], container_id: str) -> dict[str, Any]:
    """Return the cgroup of a container, for `core.containers.cgroups`."""
    resources = spec["linux"]["resources"]
    return cgroups.make_cgroup(
        container_id,
        memory_bytes=resources["memory"]["limit"],
        cpus=resources["cpu"]["cpus"],
        pids_limit=resources["pids"]["limit"],
        devices=tuple(resources["deviceRules"]),
        defaults=tuple(spec["annotations"].get("limpet.default-limits", "").split()),
    )


def show(launch: dict[str, Any]) -> list[str]:
    """Return a launch's steps in words."""
    lines = [step.describe() for step in launch["steps"]]
    limits = [
        f"limit {asked[2:]}: {value}"
        for _, value, asked in launch["cgroup"]["writes"]
        if asked.startswith("--")
    ]
    run = " ".join(launch["argv"])
    return [*limits, *lines, f"run {run} as {launch['user'] or 'root'} in {launch['cwd']}"]


def make_target(
    spec: dict[str, Any],
    *,
    pid: int,
    ticks: int,
    container_id: str,
    argv: tuple[str, ...],
    env: tuple[str, ...],
    cwd: str,
    user: str,
    tty: bool,
    privileged: bool,
    seccomp: bytes,
    host: Host,
) -> dict[str, Any]:
    """Return what `core.containers.enter` needs to run `argv` in a running container."""
    own = spec["process"]
    names = own["capabilities"]["bounding"]
    bits = ALL_CAPABILITIES if privileged else capabilities.mask(names)
    values = dict(entry.split("=", 1) for entry in own["env"])
    if tty:
        values.setdefault("TERM", "xterm")
    values.update(dict(entry.split("=", 1) for entry in env))
    return {
        "pid": pid,
        "ticks": ticks,
        "argv": argv,
        "env": [f"{name}={value}" for name, value in values.items()],
        "cwd": cwd or own["cwd"],
        "user": user or own["user"]["username"],
        "tty": tty,
        "capabilities": bits & host.permitted,
        "highest": host.last_capability,
        "no_new_privileges": own["noNewPrivileges"] and not privileged,
        "seccomp": b"" if privileged else seccomp,
        "cgroup": cgroups.make_cgroup(container_id),
    }


def _steps(
    spec: dict[str, Any],
    cgroup: dict[str, Any],
    root: OverlayRoot,
    bits: int,
    seccomp: bytes,
    host: Host,
) -> list[Step]:
    linux, process_spec = spec["linux"], spec["process"]
    privileged = bool(spec["annotations"]["limpet.privileged"])
    names = [space["type"] for space in linux["namespaces"]]
    flags = 0
    for name in names:
        flags |= NAMESPACE_FLAGS.get(name, 0)
    steps: list[Step] = [
        Unshare(tuple(name for name in names if name != "cgroup"), flags),
        PrivateMounts(),
        root,
        JoinCgroup(tuple(cgroup["joins"]), "cgroup" in names),
    ]
    for entry in spec["mounts"]:
        steps.append(mount_step(entry, cgroup))
        if entry["destination"] == "/dev":
            steps.append(Devices())
            if privileged:
                steps.append(HostDevices())
    if linux.get("sysctl"):
        steps.append(Sysctl(tuple(linux["sysctl"].items())))
    if process_spec["terminal"]:
        steps.append(Terminal())
    if linux["maskedPaths"]:
        steps.append(Mask(tuple(linux["maskedPaths"])))
    if linux["readonlyPaths"]:
        steps.append(ReadOnlyPaths(tuple(linux["readonlyPaths"])))
    steps += [
        WorkingDirectory(process_spec["cwd"]),
        PivotRoot(spec["hostname"], spec["root"]["readonly"]),
        Bounding(bits, host.last_capability),
    ]
    if process_spec["noNewPrivileges"]:
        steps.append(NoNewPrivileges())
    if seccomp:
        # Before the user changes: without no_new_privs a filter takes CAP_SYS_ADMIN.
        steps.append(Seccomp(seccomp))
    return steps


def mount_step(entry: dict[str, Any], cgroup: dict[str, Any]) -> Step:
    """Return the step that makes one of a specification's mounts."""
    kind, target, options = entry["type"], entry["destination"], entry["options"]
    flags = 0
    for option in options:
        flags |= FLAGS.get(option, 0)
    if kind == "bind":
        return Bind(entry["source"], target, "ro" in options)
    if kind == "volume":
        return Volume(entry["source"], target)
    if kind == "cgroup":
        mounts = tuple(dict.fromkeys(mount for _, mount in cgroups.layout()))
        return CgroupMount(cgroup["version"], mounts, flags)
    data = ",".join(option for option in options if option not in FLAGS)
    return Mount(kind, entry["source"], target, flags, data)
