"""The verbs that tell of containers and change nothing: ps, logs, inspect, port."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, flag, option, positional, verb
from core.commands.options import absent_options, values
from core.commands.result import Column, Document, Lines, Result, Table, Text
from core.containers.state import ALIVE, CRASH_LOOPING, RESTARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.engine import Engine
    from core.model import ContainerInfo, Port


class Ps(Listing):
    """Options of `ps`."""

    all: bool = flag("-a", "--all", help="those that do not run, too")
    no_trunc: bool = flag("--no-trunc", help="whole IDs and commands")
    last: int = option(
        "-n",
        "--last",
        help="the newest N, in any state",
        default=0,
        metavar="N",
        convert=values.whole,
    )
    latest: bool = flag("-l", "--latest", help="the newest, in any state")
    size: bool = flag("-s", "--size", help="what each has written, and that with its image")
    filter: tuple[str, ...] = option(
        "-f", "--filter", help="name=, status=, health=, label=, ancestor=, volume=, publish=, …",
        many=True, metavar="KEY=VALUE", complete="container-filter",
    )  # fmt: skip


class Logs(Args):
    """Options of `logs`."""

    absent = absent_options.LOGS

    follow: bool = flag("-f", "--follow", help="wait for more")
    tail: int = option(
        "-n", "--tail", help="only the last N lines", default=-1, metavar="N", convert=values.tail
    )
    since: float = option(
        "--since",
        help="only from then on: 10m, or a date",
        default=0.0,
        metavar="WHEN",
        convert=values.moment,
    )
    until: float = option(
        "--until",
        help="only up to then: 10m (ago), or a date",
        default=0.0,
        metavar="WHEN",
        convert=values.moment,
    )
    grep: str = option(
        "-g",
        "--grep",
        help="only lines that match; -n counts those",
        metavar="PATTERN",
    )
    timestamps: bool = flag("-t", "--timestamps", help="with the time of each line")
    container: str = positional("name or ID", complete="container")


class Inspect(Args):
    """Options of `container inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    size: bool = flag("-s", "--size", help="measure what it has written")
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class PortArgs(Args):
    """Arguments of `port`."""

    container: str = positional("name or ID", complete="running")
    port: str = positional(
        "only where this port of the container is published",
        default="",
        metavar="PORT[/PROTOCOL]",
    )


@verb("container ls", Ps, "List containers", "ps", "container list", "container ps", changes=False)
def ps(engine: Engine, args: Ps) -> Result:
    """List the running containers, or all."""
    found = engine.containers.list()
    newest = args.last if args.last > 0 else int(args.latest)
    any_state = args.all or newest
    if args.filter:
        from core.commands.container.filters import names_states, select

        found = select(engine, found, args.filter)
        any_state = any_state or names_states(args.filter)
    if not any_state:
        found = [info for info in found if info.state in ALIVE]
    found = found[: newest or None]
    rows = [_row(info, args.no_trunc) for info in found]
    for row in rows:
        if args.size or ".Size" in args.format:
            row["Size"] = _size_text(*engine.containers.size(row["ID"]))
        if ".Mounts" in args.format or ".LocalVolumes" in args.format:
            row |= _mounted(engine, row["ID"])
    columns = [c for c in PS_COLUMNS if c != REACH or any(row["Reach"] for row in rows)]
    return Table(
        (*columns, Column("Size", "SIZE")) if args.size else tuple(columns),
        tuple(rows),
        args.format,
        "ID" if args.quiet else "",
        full=args.no_trunc,
    )


@verb("container logs", Logs, "Show what containers wrote", "logs", changes=False)
def logs(engine: Engine, args: Logs) -> Result:
    """Stream the log."""
    engine.containers.resolve(args.container)
    return Lines(
        engine.containers.logs(
            args.container,
            follow=args.follow,
            since=args.since,
            until=args.until,
            grep=args.grep,
            tail=None if args.tail < 0 else args.tail,
            timestamps=args.timestamps,
        )
    )


@verb("container inspect", Inspect, "Show everything about containers as JSON", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Show docker's document for each."""
    found = [engine.containers.inspect(name) for name in args.containers]
    for document in found if args.size else ():
        written, whole = engine.containers.size(document["Id"])
        document |= {"SizeRw": written, "SizeRootFs": whole}
    return Document(found, args.format)


@verb("container port", PortArgs, "List a container's published ports", "port", changes=False)
def port(engine: Engine, args: PortArgs) -> Result:
    """One line a port, as docker writes it; of one that is asked for only the address."""
    from core.errors import NotFound

    info = engine.containers.resolve(args.container)
    number, _, protocol = args.port.partition("/")
    if not args.port:
        from core.network.ports.exposure import exposure

        return Text("\n".join(
            f"{p.container_port}/{p.protocol} -> {host_text(p)} ({exposure(p.host_ip)})"
            for p in info.ports
        ))  # fmt: skip
    found = [
        host_text(p)
        for p in info.ports
        if str(p.container_port) == number and p.protocol == (protocol or "tcp")
    ]
    if not found:
        raise NotFound(
            f"container {info.name} does not publish port {number}/{protocol or 'tcp'}",
            hint=f"limpet port {info.name} lists what it does publish",
            subject=args.port,
        )
    return Text("\n".join(found))


REACH = Column("Reach", "REACHED FROM")
"""Shown where something is published."""
PS_COLUMNS = (
    Column("ID", "CONTAINER ID", "id"),
    Column("Image", "IMAGE"),
    Column("Command", "COMMAND"),
    Column("CreatedAt", "CREATED", "age"),
    Column("Status", "STATUS"),
    Column("Ports", "PORTS"),
    REACH,
    Column("Names", "NAMES"),
)


def _mounted(engine: Engine, container: str) -> dict[str, Any]:
    mounts = engine.containers.mounts(container)
    volumes = sum(mount.kind == "volume" for mount in mounts)
    return {"Mounts": ",".join(mount.source for mount in mounts), "LocalVolumes": volumes}


def _row(info: ContainerInfo, whole: bool) -> dict[str, Any]:
    from core.commands.show import ago

    command = " ".join(info.command)
    return {
        "ID": info.id,
        "Image": info.image,
        "Command": f'"{command if whole or len(command) <= 20 else command[:19] + "…"}"',
        "CreatedAt": info.created,
        "RunningFor": ago(info.created),
        "Status": status(info),
        "Ports": ", ".join(port_text(p) for p in info.ports),
        "Reach": _reach(info.ports),
        "Names": info.name,
        "State": info.state,
        "Health": info.health,
        "Labels": ",".join(f"{key}={value}" for key, value in info.labels),
        "Networks": ",".join(info.networks),
        "ExitCode": info.exit_code,
        "Address": info.address,
    }


def status(info: ContainerInfo) -> str:
    """Return docker's words for a container's state: `Up 3 minutes`, `Exited (1) 2 hours ago`."""
    from core.commands.show import ago, span

    if info.state == "running":
        health = {"": "", "starting": " (health: starting)"}.get(info.health, f" ({info.health})")
        return f"Up {span(info.started)}{health}"
    if info.state == "paused":
        return f"Up {span(info.started)} (Paused)"
    if info.state == "exited":
        reason = ", out of memory" if info.oom_killed else ""
        return f"Exited ({info.exit_code}{reason}) {ago(info.finished)}"
    if info.state == RESTARTING:
        return f"Restarting ({info.exit_code}) {ago(info.finished)}"
    if info.state == CRASH_LOOPING:
        codes = ", ".join(f"{code}{' out of memory' * oom}" for code, oom in info.run_codes[-3:])
        return f"Crash-looping ({codes}) {ago(info.finished)}, {info.restarts} restarts"
    return info.state.capitalize()


def _reach(ports: Sequence[Port]) -> str:
    """Return from where a container's ports can be reached, each place once."""
    if not ports:
        return ""
    from core.network.ports.exposure import reach

    return ", ".join(dict.fromkeys(reach(port.host_ip) for port in ports))


def port_text(port: Port) -> str:
    """Return docker's arrow: `0.0.0.0:8080->80/tcp`."""
    return f"{host_text(port)}->{port.container_port}/{port.protocol}"


def host_text(port: Port) -> str:
    """Return where a published port is on the host: `0.0.0.0:8080`, `[::]:8080`."""
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    return f"{address}:{port.host_port}"


def _size_text(written: int, whole: int) -> str:
    from core.commands.show import size

    return f"{size(written)} (virtual {size(whole)})"
