"""A bundle's configuration to the steps that make it true.

Pure but for a look at what is mounted.  The steps are those of `limpet run`, and a few of
their own (`core.oci.steps`).
"""

from __future__ import annotations

import os

from core.containers.runtime import cgroups
from core.containers.runtime.mount_steps import CgroupMount, Mask, ReadOnlyPaths
from core.containers.runtime.steps import (
    DomainName,
    JoinCgroup,
    OomScore,
    PivotRoot,
    Step,
    Sysctl,
    Unshare,
    WorkingDirectory,
)
from core.linux import mount, process
from core.oci import steps
from core.oci.bundle import Wrong
from core.oci.device_steps import DefaultDevices
from core.oci.mounts import MS_UNBINDABLE, PROPAGATIONS, Options, read_options
from core.oci.steps import TakeTree
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = {
    **process.NAMESPACE_FLAGS, "cgroup": process.CLONE_NEWCGROUP, "pid": process.CLONE_NEWPID,
    "time": process.CLONE_NEWTIME, "user": process.CLONE_NEWUSER,
}  # fmt: skip


class Plan(Record):
    """What is done, by whom."""

    outer: tuple[Step, ...]
    """By the stage that forks the first process, before it enters the user namespace."""
    maps: steps.IdMaps | None
    """Of a new user namespace."""
    host_uid: int
    """Whom the program's user is to the host."""
    user_namespace: str
    """The path of one to join."""
    unshare: Unshare
    """After the user namespace; a new pid or time namespace is the next child's."""
    late: tuple[Step, ...]
    """Before the first process is forked."""
    inner: tuple[Step, ...]
    """By the first process; the hooks of `create` come after them."""
    last: tuple[Step, ...]
    """After the hooks, until the host's file system is gone."""
    bind_console: bool


def make_plan(spec: dict[str, Any], bundle: str, cgroup: dict[str, Any], *, pivot: bool) -> Plan:
    """Return the plan of a checked configuration.  Raises Wrong."""
    linux, process_spec = spec.get("linux") or {}, spec["process"]
    spaces = {space["type"]: space.get("path") or "" for space in linux.get("namespaces") or ()}
    maps = _maps(linux) if spaces.get("user") == "" else None
    outer: list[Step] = [TakeTree(steps.ROOT, spec["root"]["path"], recursive=True)]
    inner: list[Step] = [steps.Propagation(_root_propagation(linux)), steps.AttachRoot()]
    over_dev = False
    for number, entry in enumerate(spec.get("mounts") or ()):
        destination = "/" + entry["destination"].strip("/")
        options = read_options(entry.get("type") or "", entry.get("options") or ())
        over_dev |= options.bind and destination == "/dev"
        _add_mount(
            outer, inner, str(number), entry, options, destination, bundle, cgroup, maps, spaces
        )
    if not over_dev:
        nodes = tuple(_device(node) for node in linux.get("devices") or ())
        inner.append(DefaultDevices(nodes))
    outer.append(JoinCgroup(tuple(cgroup["joins"]), own_namespace=False))
    if process_spec.get("oomScoreAdj") is not None:
        outer.append(OomScore(process_spec["oomScoreAdj"]))
    joined = tuple((FLAGS[kind], path) for kind, path in spaces.items() if path and kind != "user")
    if joined:
        outer.append(steps.JoinPaths(joined))
    own = tuple(kind for kind, path in spaces.items() if not path and kind != "user")
    offsets = tuple(
        (clock, int(value.get("secs") or 0), int(value.get("nanosecs") or 0))
        for clock, value in (linux.get("timeOffsets") or {}).items()
    )
    return Plan(
        outer=tuple(outer),
        maps=maps,
        host_uid=_host_uid(linux, (process_spec.get("user") or {}).get("uid") or 0),
        user_namespace=spaces.get("user", ""),
        unshare=Unshare(own, sum(FLAGS[kind] for kind in own)),
        late=(steps.TimeOffsets(offsets),) if offsets else (),
        inner=tuple(inner),
        last=tuple(_last(spec, linux, pivot=pivot)),
        bind_console=not over_dev,
    )


def _last(spec: dict[str, Any], linux: dict[str, Any], *, pivot: bool) -> list[Step]:
    found: list[Step] = []
    if linux.get("sysctl"):
        found.append(Sysctl(tuple(linux["sysctl"].items())))
    found.append(WorkingDirectory(spec["process"]["cwd"]))
    if linux.get("maskedPaths"):
        found.append(Mask(tuple(linux["maskedPaths"])))
    if linux.get("readonlyPaths"):
        found.append(ReadOnlyPaths(tuple(linux["readonlyPaths"])))
    if spec.get("domainname"):
        found.append(DomainName(spec["domainname"]))
    read_only = bool(spec["root"].get("readonly"))
    propagation = PROPAGATIONS.get(linux.get("rootfsPropagation") or "", 0)
    shared = propagation if propagation & (mount.MS_SHARED | mount.MS_SLAVE | MS_UNBINDABLE) else 0
    found.append(PivotRoot(spec.get("hostname") or "", read_only, shared, pivot))
    return found


def _maps(linux: dict[str, Any]) -> steps.IdMaps:
    return steps.numbers(linux["uidMappings"]), steps.numbers(linux["gidMappings"])


def _host_uid(linux: dict[str, Any], uid: int) -> int:
    for entry in linux.get("uidMappings") or ():
        if 0 <= uid - entry["containerID"] < entry["size"]:
            return int(uid - entry["containerID"] + entry["hostID"])
    return uid


def _root_propagation(linux: dict[str, Any]) -> int:
    """Nothing that the container's first process mounts reaches the host.

    What it shares are trees that were taken from the host before (`TakeTree`).
    """
    word = linux.get("rootfsPropagation") or ""
    if word and word not in PROPAGATIONS:
        raise Wrong("linux.rootfsPropagation", f"there is no {word!r}")
    return mount.MS_PRIVATE if word.endswith("private") else mount.MS_SLAVE


def _device(node: dict[str, Any]) -> tuple[str, str, int, int, int, int, int]:
    if node["type"] not in ("c", "u", "b", "p"):
        raise Wrong("linux.devices", f"there is no type {node['type']!r}")
    mode = node.get("fileMode")
    return (node["path"], node["type"], node.get("major") or 0, node.get("minor") or 0,
            0o666 if mode is None else mode, node.get("uid") or 0,
            node.get("gid") or 0)  # fmt: skip


def _add_mount(
    outer: list[Step],
    inner: list[Step],
    key: str,
    entry: dict[str, Any],
    options: Options,
    destination: str,
    bundle: str,
    cgroup: dict[str, Any],
    maps: steps.IdMaps | None,
    spaces: dict[str, str],
) -> None:
    kind, source = entry.get("type") or "", entry.get("source") or ""
    if options.bind:
        place = os.path.join(bundle, source)
        id_map = _id_map(entry, options, maps)
        outer.append(
            TakeTree(key, place, options.recursive, options.own, options.tree, id_map,
                     options.id_map == "ridmap")
        )  # fmt: skip
        inner.append(steps.AttachTree(key, place, destination, options.propagation))
    elif kind == "cgroup" and spaces.get("cgroup", "host") != "":
        _bind_cgroups(outer, inner, destination, cgroup, options)
    elif kind in ("cgroup", "cgroup2"):
        trees = tuple(dict.fromkeys(name for _, name in cgroups.layout()))
        version = 2 if kind == "cgroup2" else cgroup["version"]
        inner.append(CgroupMount(version, trees, options.flags, destination))
    elif kind:
        inner.append(
            steps.FileSystem(kind, source, destination, options.flags, options.data,
                             options.propagation, options.copy_up and kind == "tmpfs")
        )  # fmt: skip
    else:
        raise Wrong("mounts", f"{destination}: a type is missing")


def _id_map(
    entry: dict[str, Any], options: Options, maps: steps.IdMaps | None
) -> steps.IdMaps | None:
    if entry.get("uidMappings"):
        return steps.numbers(entry["uidMappings"]), steps.numbers(entry["gidMappings"])
    if options.id_map and maps is None:
        raise Wrong("mounts", f"{entry['destination']}: idmap needs mappings or a user namespace")
    return maps if options.id_map else None


def _bind_cgroups(
    outer: list[Step],
    inner: list[Step],
    destination: str,
    cgroup: dict[str, Any],
    options: Options,
) -> None:
    """What lies above the container's own cgroup is not its business."""
    if cgroup["version"] == 2:
        outer.append(TakeTree("cgroup", cgroup["dirs"][0], own=options.own))
        inner.append(steps.AttachTree("cgroup", cgroup["dirs"][0], destination, 0))
        return
    names = dict(cgroups.layout())
    trees: list[tuple[str, str]] = []
    links: list[tuple[str, str]] = []
    for folder in cgroup["dirs"]:
        name = folder.removeprefix(f"{cgroups.ROOT}/").partition("/")[0]
        real = names.get(name, name)
        if real != name:
            links.append((name, real))
        if real not in (tree for tree, _ in trees):
            trees.append((real, folder))
    for name, folder in trees:
        outer.append(TakeTree(f"cgroup {name}", folder, own=options.own))
    inner.append(steps.CgroupTrees(destination, tuple(trees), tuple(links), options.flags))
