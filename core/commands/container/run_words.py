"""Options of a container back to the words of `run` that ask for them, and `container command`.

The reverse of `core.commands.options.create_options`: what these words are parsed to is what
they were made of.
"""

from __future__ import annotations

from core.commands.grammar import Args, positional, verb
from core.commands.options.resource_options import THROTTLES
from core.commands.result import Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.containers.configuration.options import ContainerOptions, Mount
    from core.containers.stored import Row
    from core.engine import Engine
    from core.model import Endpoint, Port

SWITCHES = {
    "init": "--init", "tty": "--tty", "stdin_open": "--interactive", "read_only": "--read-only",
    "privileged": "--privileged", "oom_kill_disable": "--oom-kill-disable",
    "publish_all": "--publish-all", "no_healthcheck": "--no-healthcheck", "auto_remove": "--rm",
}  # fmt: skip
VALUES = {
    "hostname": "--hostname", "domainname": "--domainname", "workdir": "--workdir",
    "user": "--user",
    "memory_swap_bytes": "--memory-swap", "oom_score_adj": "--oom-score-adj", "cpus": "--cpus",
    "cpu_period_us": "--cpu-period", "cpu_quota_us": "--cpu-quota", "cpu_shares": "--cpu-shares",
    "cpuset_cpus": "--cpuset-cpus", "cpuset_mems": "--cpuset-mems",
    "blkio_weight": "--blkio-weight", "pid": "--pid", "ipc": "--ipc", "uts": "--uts",
    "cgroupns": "--cgroupns", "stop_signal": "--stop-signal", "restart": "--restart",
    "log_driver": "--log-driver", "health_cmd": "--health-cmd",
    "health_interval_s": "--health-interval", "health_timeout_s": "--health-timeout",
    "health_retries": "--health-retries", "health_start_period_s": "--health-start-period",
    "health_start_interval_s": "--health-start-interval",
}  # fmt: skip
"""Fields that are said when they are not empty or 0."""
SIZES = {"memory_bytes": "--memory", "memory_reservation_bytes": "--memory-reservation",
         "shm_bytes": "--shm-size"}  # fmt: skip
LISTS = {
    "env": "--env", "groups": "--group-add", "dns": "--dns", "dns_search": "--dns-search",
    "dns_options": "--dns-option", "device_rules": "--device-cgroup-rule",
    "cap_add": "--cap-add", "cap_drop": "--cap-drop",
}  # fmt: skip
PAIRS = {"labels": "--label", "sysctls": "--sysctl", "log_opts": "--log-opt",
         "add_hosts": "--add-host", "annotations": "--annotation"}  # fmt: skip


class Command(Args):
    """Arguments of `container command`."""

    container: str = positional("name or ID", complete="container")


@verb(
    "container command",
    Command,
    "Show the run command that makes a container like this one",
    changes=False,
)
def command(engine: Engine, args: Command) -> Result:
    """One option a line, as a shell takes it; docker takes it as well."""
    from core.containers import stored

    row = stored.find(engine.database, args.container)
    groups: list[tuple[str, ...]] = [("limpet", "run", "--detach", "--name", row.name)]
    return Text(" \\\n    ".join(in_lines(groups + run_words(own_options(engine, row)))))


def own_options(engine: Engine, row: Row) -> ContainerOptions:
    """Return what a person asked of a container: without what its image exposes anyway."""
    from core.containers.networking import exposed

    options = row.options
    settings = engine.store.config(row.image_digest).get("config") or {}
    image = exposed(options.replace(expose=()), settings)
    return options.replace(expose=tuple(port for port in options.expose if port not in image))


def run_words(options: ContainerOptions) -> list[tuple[str, ...]]:
    """Return the options, each with its value; image and command are the last of them."""
    found = list(_options(options))
    found.append((options.image, *options.command))
    return found


def _options(options: ContainerOptions) -> Iterator[tuple[str, ...]]:
    yield from _connection(options)
    for mount in options.mounts:
        yield _mount(mount)
    for name, flag in LISTS.items():
        for word in getattr(options, name):
            yield flag, word
    for name, flag in PAIRS.items():
        for first, second in getattr(options, name):
            yield flag, f"{first}={second}"
    for name, flag in SIZES.items():
        if size := getattr(options, name):
            yield flag, _size(size)
    for name, flag in VALUES.items():
        if value := getattr(options, name):
            yield flag, f"{value:.15g}" if isinstance(value, float) else str(value)
    for name, flag in SWITCHES.items():
        if getattr(options, name):
            yield (flag,)
    yield from _rest(options)


def _rest(options: ContainerOptions) -> Iterator[tuple[str, ...]]:
    if options.entrypoint is not None:
        yield "--entrypoint", options.entrypoint[0] if options.entrypoint else ""
    if options.memory_swappiness >= 0:
        yield "--memory-swappiness", str(options.memory_swappiness)
    if options.pids_limit >= 0:
        yield "--pids-limit", str(options.pids_limit)
    if options.stop_timeout_s >= 0:
        yield "--stop-timeout", str(options.stop_timeout_s)
    for kind, path, rate in options.throttles:
        words = ("--device-read-bps", "--device-write-bps", "--device-read-iops",
                 "--device-write-iops")  # fmt: skip
        yield words[THROTTLES.index(kind)], f"{path}:{rate}"
    for name, soft, hard in options.ulimits:
        yield "--ulimit", f"{name}={soft}:{hard}"
    for host, inside, rights in options.devices:
        yield "--device", f"{host}:{inside}:{rights}"
    if options.no_new_privileges:
        yield "--security-opt", "no-new-privileges"
    if options.unmasked:
        yield "--security-opt", "systempaths=unconfined"
    if options.seccomp:
        yield "--security-opt", f"seccomp={options.seccomp}"


def _connection(options: ContainerOptions) -> Iterator[tuple[str, ...]]:
    for endpoint in options.endpoints:
        yield "--network", _endpoint(endpoint)
    if options.network and not options.endpoints:
        yield "--network", options.network
    for port in options.publish:
        yield "--publish", _port(port)
    for port in options.expose:
        yield "--expose", f"{port.container_port}/{port.protocol}"


def _endpoint(endpoint: Endpoint) -> str:
    parts = [f"alias={alias}" for alias in endpoint.aliases]
    places = (("ip", endpoint.ip), ("ip6", endpoint.ip6), ("mac-address", endpoint.mac))
    parts += [f"{key}={value}" for key, value in places if value]
    return ",".join([f"name={endpoint.network}", *parts]) if parts else endpoint.network


def _port(port: Port) -> str:
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    parts = [address] if address else []
    if port.host_port or address:
        parts.append(str(port.host_port or ""))
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return ":".join([*parts, str(port.container_port)]) + protocol


def _mount(mount: Mount) -> tuple[str, ...]:
    if mount.kind == "tmpfs":
        words = [mount.data] if mount.data else []
        words += ["ro"] if mount.read_only else []
        return "--tmpfs", ":".join([mount.target, *([",".join(words)] if words else [])])
    if mount.subpath or not mount.recursive or ":" in mount.source + mount.target:
        fields: list[tuple[str, Any]] = [
            ("type", mount.kind), ("source", mount.source), ("target", mount.target),
            ("readonly", "true" if mount.read_only else ""),
            ("volume-subpath", mount.subpath), ("bind-propagation", mount.propagation),
            ("volume-nocopy", "" if mount.copy else "true"),
            ("bind-recursive", "" if mount.recursive else "disabled"),
        ]  # fmt: skip
        return "--mount", ",".join(f"{name}={value}" for name, value in fields if value)
    modes = [*(["ro"] if mount.read_only else []), *([] if mount.copy else ["nocopy"]),
             *([mount.propagation] if mount.propagation else [])]  # fmt: skip
    parts = [mount.source] if mount.source else []
    # A path alone is a volume of the container's own; with modes it needs the place in between.
    if not mount.source and modes:
        fields = [("type", "volume"), ("target", mount.target),
                  ("readonly", "true" if mount.read_only else ""),
                  ("volume-nocopy", "" if mount.copy else "true")]  # fmt: skip
        return "--mount", ",".join(f"{name}={value}" for name, value in fields if value)
    return "--volume", ":".join([*parts, mount.target, *([",".join(modes)] if modes else [])])


def _size(count: int) -> str:
    from core.commands.options.values import size
    from core.commands.show import binary_size

    short = binary_size(count)
    return short if size(short) == count else str(count)


def in_lines(words: list[tuple[str, ...]]) -> list[str]:
    """Return the words as a shell takes them, an option with its value a line."""
    from shlex import join

    return [join(group) for group in words]
