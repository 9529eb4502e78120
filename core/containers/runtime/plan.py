"""A runtime configuration to the steps that make it true.

Pure but for the host's facts, so a plan can be shown (`run --dry-run`) and tested without
root.
"""

from __future__ import annotations

from core.containers.runtime import cgroups
from core.containers.runtime.device_steps import DeviceNodes, Devices, HostDevices
from core.containers.runtime.mount_steps import (
    Bind,
    CgroupMount,
    CloneTree,
    Mask,
    Mount,
    OverlayRoot,
    PrivateMounts,
    Procfs,
    ReadOnlyPaths,
    SharedMemory,
    Volume,
)
from core.containers.runtime.steps import (
    Bounding,
    DomainName,
    JoinCgroup,
    JoinNamespaces,
    NoNewPrivileges,
    OomScore,
    PivotRoot,
    Seccomp,
    Step,
    Sysctl,
    Terminal,
    Unshare,
    WorkingDirectory,
)
from core.linux import capabilities, mount, process
from core.privileges import is_rootless
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = {"ro": mount.MS_RDONLY, "nosuid": mount.MS_NOSUID, "nodev": mount.MS_NODEV,
         "noexec": mount.MS_NOEXEC, "strictatime": mount.MS_STRICTATIME,
         "relatime": mount.MS_RELATIME, "noatime": mount.MS_NOATIME,
         "rw": 0, "suid": 0, "dev": 0, "exec": 0}  # fmt: skip
PROPAGATIONS = {"shared": mount.MS_SHARED, "slave": mount.MS_SLAVE,
                "rshared": mount.MS_SHARED | mount.MS_REC,
                "rslave": mount.MS_SLAVE | mount.MS_REC}  # fmt: skip
NAMESPACE_FILES = {"ipc": "ipc", "uts": "uts", "network": "net"}
"""Names in /proc/PID/ns of what can be joined from within."""


class Host(Record):
    """What a plan needs to know of this host."""

    permitted: int
    """Capabilities that limpet itself has; a container cannot get others."""
    last_capability: int
    rootless: bool = False
    """Whether root here is so only of an ordinary user's namespace."""


def this_host() -> Host:
    """Return the facts of the host this runs on, asked once in a process."""
    if not _host:
        _host.append(Host(capabilities.permitted(), capabilities.last(), is_rootless()))
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
    peers: dict[str, tuple[int, int]],
    host: Host,
    volatile: bool = False,
    has_network: bool = False,
) -> dict[str, Any]:
    """Return what the container's first process does, and what the monitor does for it.

    `directory` is the container's, with upper, work and rootfs in it; `lowerdirs` are layer
    IDs, the uppermost first.  `peers` are the containers whose namespaces it joins, by their
    ID: first process and start ticks.  `volatile`: what it writes goes with it.  `has_network`:
    the process that does it is in its network namespace already.
    """
    cgroup = make_cgroup(spec, container_id)
    bits = capabilities.mask(spec["process"]["capabilities"]["bounding"]) & host.permitted
    root = OverlayRoot(
        layers_dir,
        tuple(map(str, lowerdirs)),
        f"{directory}/upper",
        f"{directory}/work",
        f"{directory}/rootfs",
        host.rootless,
        volatile,
    )
    steps = _steps(spec, cgroup, root, bits, seccomp, peers, host, has_network=has_network)
    process_spec = spec["process"]
    return {
        "id": container_id,
        "steps": steps,
        "cgroup": cgroup,
        "network": network,
        "has_network": has_network,
        "argv": tuple(process_spec["args"]),
        "env": list(process_spec["env"]),
        "cwd": process_spec["cwd"],
        "user": process_spec["user"]["username"],
        "groups": tuple(process_spec["user"]["additionalGroups"]),
        "rlimits": _rlimits(process_spec),
        "capabilities": bits,
        "tty": process_spec["terminal"],
    }


def make_cgroup(spec: dict[str, Any], container_id: str) -> dict[str, Any]:
    """Return the cgroup of a container, for `core.containers.runtime.cgroups`."""
    defaults = tuple(spec["annotations"].get("limpet.default-limits", "").split())
    return cgroups.make_cgroup(container_id, spec["linux"]["resources"], defaults)


def _rlimits(process_spec: dict[str, Any]) -> tuple[tuple[str, int, int], ...]:
    return tuple((one["type"], one["soft"], one["hard"]) for one in process_spec["rlimits"])


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
    """Return what `core.containers.runtime.enter` needs to run `argv` in a running container."""
    own = spec["process"]
    names = own["capabilities"]["bounding"]
    bits = capabilities.ALL if privileged else capabilities.mask(names)
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
        "groups": () if user else tuple(own["user"]["additionalGroups"]),
        "rlimits": _rlimits(own),
        "tty": tty,
        "capabilities": bits & host.permitted,
        "highest": host.last_capability,
        "no_new_privileges": own["noNewPrivileges"] and not privileged,
        "seccomp": b"" if privileged else seccomp,
        "cgroup": cgroups.make_cgroup(container_id, {}),
    }


def _steps(
    spec: dict[str, Any],
    cgroup: dict[str, Any],
    root: OverlayRoot,
    bits: int,
    seccomp: bytes,
    peers: dict[str, tuple[int, int]],
    host: Host,
    *,
    has_network: bool,
) -> list[Step]:
    linux, process_spec = spec["linux"], spec["process"]
    privileged = bool(spec["annotations"]["limpet.privileged"])
    own = [space["type"] for space in linux["namespaces"] if "path" not in space]
    flags = 0
    for name in own:
        flags |= process.NAMESPACE_FLAGS.get(name, 0)
    if has_network:
        flags &= ~process.CLONE_NEWNET
    steps: list[Step] = _joins(linux["namespaces"], peers)
    steps.append(Unshare(tuple(name for name in own if name != "cgroup"), flags))
    tied = [entry for entry in spec["mounts"] if _propagation(entry)]
    steps += [CloneTree(entry["source"], "bind" not in entry["options"]) for entry in tied]
    steps += [PrivateMounts(), root, JoinCgroup(tuple(cgroup["joins"]), "cgroup" in own)]
    for entry in spec["mounts"]:
        steps.append(mount_step(entry, cgroup, peers))
        if entry["destination"] == "/dev":
            steps.append(Devices())
            if privileged:
                steps.append(HostDevices())
            if linux["devices"]:
                steps.append(DeviceNodes(tuple(_device(node) for node in linux["devices"])))
    if linux.get("sysctl"):
        steps.append(Sysctl(_sysctls(linux["sysctl"], host)))
    if process_spec["terminal"]:
        steps.append(Terminal())
    if linux["maskedPaths"]:
        steps.append(Mask(tuple(linux["maskedPaths"])))
    if linux["readonlyPaths"]:
        steps.append(ReadOnlyPaths(tuple(linux["readonlyPaths"])))
    if process_spec["oomScoreAdj"]:
        steps.append(OomScore(process_spec["oomScoreAdj"]))
    if spec.get("domainname"):
        steps.append(DomainName(spec["domainname"]))
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


def _sysctls(settings: dict[str, str], host: Host) -> tuple[tuple[str, str], ...]:
    if host.rootless and "net.ipv4.ping_group_range" in settings:
        # A group that the user namespace does not have is refused.
        settings = {**settings, "net.ipv4.ping_group_range": "0 0"}
    return tuple(settings.items())


def _joins(namespaces: list[dict[str, str]], peers: dict[str, tuple[int, int]]) -> list[Step]:
    """Join what others have; a pid namespace was joined before this process was forked."""
    by_peer: dict[str, list[str]] = {}
    for space in namespaces:
        if "path" in space and space["type"] in NAMESPACE_FILES:
            by_peer.setdefault(_peer(space["path"]), []).append(NAMESPACE_FILES[space["type"]])
    return [JoinNamespaces(tuple(names), *peers[peer]) for peer, names in by_peer.items()]


def _peer(path: str) -> str:
    return path.removeprefix("container:")


def _device(node: dict[str, Any]) -> tuple[str, str, int, int, int, int, int, str]:
    return (node["path"], node["type"], node["major"], node["minor"], node["fileMode"],
            node["uid"], node["gid"], node.get("host", ""))  # fmt: skip


def _propagation(entry: dict[str, Any]) -> int:
    words = [word for word in entry["options"] if word in PROPAGATIONS]
    return PROPAGATIONS[words[-1]] if words and entry["type"] == "bind" else 0


def mount_step(
    entry: dict[str, Any], cgroup: dict[str, Any], peers: dict[str, tuple[int, int]]
) -> Step:
    """Return the step that makes one of a specification's mounts."""
    kind, target, options = entry["type"], entry["destination"], entry["options"]
    flags = 0
    for option in options:
        flags |= FLAGS.get(option, 0)
    if kind == "bind":
        whole = "bind" not in options
        return Bind(entry["source"], target, "ro" in options, _propagation(entry), whole)
    if kind == "volume":
        subpath = next((word[8:] for word in options if word.startswith("subpath=")), "")
        return Volume(entry["source"], target, "ro" in options, "nocopy" not in options, subpath)
    if kind == "shm":
        return SharedMemory(*peers[_peer(entry["source"])], target)
    if kind == "cgroup":
        mounts = tuple(dict.fromkeys(mount for _, mount in cgroups.layout()))
        return CgroupMount(cgroup["version"], mounts, flags)
    if kind == "proc":
        return Procfs(target, flags)
    data = ",".join(option for option in options if option not in FLAGS)
    return Mount(kind, entry["source"], target, flags, data)
