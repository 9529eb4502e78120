"""From a stored container to what its monitor is given: network, files, plan, stdio."""

from __future__ import annotations

import errno
import os
import sys

from core.containers.networking import hosts_of
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config
    from core.containers.state import State
    from core.containers.stored import Row
    from core.paths import Paths

CLEANUP = os.path.join(os.path.dirname(__file__), "supervision/cleanup.py")


def make_job(
    paths: Paths,
    config: Config,
    row: Row,
    plan: dict[str, Any],
    *,
    foreground: bool,
    before: State,
    pid_namespace: int,
) -> dict[str, Any]:
    """Return what `core.containers.supervision.monitor` needs, all of it plain values.

    `before` is the container's state; its restarts and last runs are counted on.
    `pid_namespace` is 0 for one of the container's own, -1 for the host's, else a process
    whose one it joins.
    """
    from core.containers.log import drivers
    from core.containers.signals import number_of

    options = row.options
    patience_s = options.stop_timeout_s
    if patience_s < 0:
        patience_s = config["container", "stop_timeout_s"]
    directory = paths.container(row.id)
    return {
        "plan": plan,
        "pid_namespace": pid_namespace,
        "directory": directory,
        "run": paths.container_run(row.id),
        "changed": paths.changed,
        "log": drivers.make_log(config, row, f"{directory}/log"),
        "stdin": options.stdin_open,
        # docker's StdinOnce: the input ends when the front end that began it goes away.
        "stdin_once": foreground and not options.tty,
        "stop": (number_of(plan["spec"]["annotations"]["limpet.stop-signal"]), patience_s),
        "size": terminal_size() if options.tty and foreground else (0, 0),
        "finished": before.finished,
        "restart": {
            "policy": options.restart,
            "count": before.restarts,
            "runs": before.runs,
        },
        "health": row.document.get("health"),
        "auto_remove": options.auto_remove,
        "trash": paths.trash,
        "remove": [sys.executable, "-I", "-S", "-E", CLEANUP, paths.data, paths.run, row.id],
    }


def make_plan(
    paths: Paths,
    row: Row,
    spec: dict[str, Any],
    lowerdirs: tuple[int, ...],
    network: dict[str, Any],
    peers: dict[str, tuple[int, int]],
    *,
    volatile: bool = False,
) -> dict[str, Any]:
    """Return what `core.containers.runtime.plan.make_launch` makes the plan of a start from.

    The monitor does that: it has what it takes in memory, this process would have to load it.
    Raises UsageError for a bind source that does not exist.
    """
    directory = paths.container(row.id)
    check_sources(spec, directory)
    return {
        "spec": spec,
        "container_id": row.id,
        "directory": directory,
        "layers_dir": paths.layers,
        "lowerdirs": lowerdirs,
        "network": network,
        "seccomp": seccomp_filter(paths, spec),
        "peers": peers,
        "volatile": volatile,
    }


def pid_namespace(spec: dict[str, Any], peers: dict[str, tuple[int, int]]) -> int:
    """Return `make_job`'s pid_namespace of a configuration."""
    for space in spec["linux"]["namespaces"]:
        if space["type"] == "pid":
            return peers[space["path"].removeprefix("container:")][0] if "path" in space else 0
    return -1


def check_sources(spec: dict[str, Any], directory: str) -> None:
    """Raise UsageError for a bind whose source is missing; not for files of the container's own."""
    for entry in spec["mounts"]:
        source = entry["source"]
        # Those need not be there yet when a plan is only shown.
        if entry["type"] != "bind" or os.path.dirname(source) == directory:
            continue
        if not os.path.exists(source):
            raise UsageError(
                f"{source} does not exist on this host, so it cannot be mounted",
                hint=f"mkdir -p {source}",
                subject=source,
            )


def seccomp_filter(paths: Paths, spec: dict[str, Any]) -> bytes:
    """Return the compiled system-call filter of a container."""
    from core.containers.configuration.seccomp_profile import load_filter

    return load_filter(
        paths,
        spec["annotations"]["limpet.seccomp"],
        tuple(spec["process"]["capabilities"]["bounding"]),
    )


def write_files(
    paths: Paths, config: Config, row: Row, hostname: str, network: dict[str, Any]
) -> None:
    """Write the files that tell the container who it is and whom to ask for names."""
    from core.network.resolver_files import hosts_file, zone_parts

    if network["mode"] == "container":
        return  # it uses those of the other
    options = row.options
    names = (hostname,) if hostname == row.name else (hostname, row.name)
    on_host = network["mode"] == "host"
    addresses = (network.get("address", ""), network.get("address6", ""))
    gateway = "127.0.0.1" if on_host else network.get("gateway", "")
    files = {
        "hosts": hosts_file(addresses, names, hosts_of(options.add_hosts, gateway))
        + zone_parts(network),
        "hostname": hostname + "\n",
    }
    for name, text in files.items():
        _write_file(f"{paths.container(row.id)}/{name}", text)
    write_resolver(paths, config, row, network)


def write_resolver(paths: Paths, config: Config, row: Row, network: dict[str, Any]) -> None:
    """Write the file that says whom to ask for names; of a running container, in place."""
    from core.network.resolver_files import CUT_OFF, host_resolv_conf, resolv_conf

    options = row.options
    on_host = network["mode"] == "host"
    servers = options.dns or config["network", "dns"] or tuple(network.get("dns", ()))
    leads_out = on_host or bool(network.get("gateway"))
    if leads_out or options.dns:
        text = resolv_conf(
            host_resolv_conf(),
            servers,
            host_network=on_host,
            ipv6=bool(network.get("address6")),
            search=options.dns_search,
            options=options.dns_options,
        )
    else:
        text = CUT_OFF
    _write_file(f"{paths.container(row.id)}/resolv.conf", text)


def _write_file(path: str, text: str) -> None:
    """Write a small file, unless it says so already: cutting one short takes ext4 a third of
    a millisecond.
    """
    data = text.encode()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.read(fd, len(data) + 1) != data:
            # Cut off last: what is written over needs no room on a full disk.
            if os.pwrite(fd, data, 0) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            os.ftruncate(fd, len(data))
            os.fchmod(fd, 0o644)
    finally:
        os.close(fd)


def make_directories(paths: Paths, row_id: str) -> None:
    """Make the directories of a new container."""
    directory = paths.container(row_id)
    os.mkdir(directory, 0o700)
    for name in ("upper", "work", "rootfs"):
        # The root of the container's file system is its upper directory: all may enter it.
        os.mkdir(f"{directory}/{name}", 0o755)
        os.chmod(f"{directory}/{name}", 0o755)  # noqa: S103 - the umask may be anything


def terminal_size() -> tuple[int, int]:
    """Return rows and columns of this process's terminal; 0, 0 if it has none."""
    from core.linux.terminal import get_size

    for fd in (1, 0, 2):
        try:
            return get_size(fd)
        except OSError:
            continue
    return 0, 0
