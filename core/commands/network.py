"""The verbs of networks."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, Removing, flag, option, positional, verb
from core.commands.options import absent_options, network_values, values
from core.commands.result import Column, Document, Plan, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.engine import Engine
    from core.model import ContainerInfo
    from core.network.definition import BridgeNetwork

MODES = {"host": "host", "none": "null"}
"""Networks without a bridge, with docker's name for their driver."""
OWN = ("bridge", *MODES)


class List(Listing):
    """Options of `network ls`."""

    no_trunc: bool = flag("--no-trunc", help="whole IDs, as they are always")
    filter: tuple[str, ...] = option(
        "-f",
        "--filter",
        help="name=, id=, driver=, label=, type=custom",
        many=True,
        metavar="KEY=VALUE",
    )


class Create(Args):
    """Options of `network create`."""

    absent = absent_options.NETWORK
    driver: str = option(
        "-d", "--driver", help="bridge", default="bridge", metavar="DRIVER", choices=("bridge",)
    )
    subnet: tuple[str, ...] = option(
        "--subnet", help="IPv4 or IPv6 subnet", many=True, metavar="CIDR"
    )
    gateway: tuple[str, ...] = option(
        "--gateway", help="the bridge's address in it", many=True, metavar="IP"
    )
    ip_range: str = option(
        "--ip-range", help="the part containers get addresses from", metavar="CIDR"
    )
    internal: bool = flag("--internal", help="cut off from the host and the world")
    ipv6: bool = flag("--ipv6", help="with IPv6, by NAT; a subnet is made up if none is given")
    mtu: int = option(
        "--mtu", help="largest packet in bytes", default=0, metavar="N", convert=values.whole
    )
    opt: tuple[tuple[str, str], ...] = option(
        "-o",
        "--opt",
        help="docker's driver options: mtu=, com.docker.network.bridge.name=",
        many=True,
        metavar="NAME=VALUE",
        convert=values.label,
    )
    label: tuple[tuple[str, str], ...] = option(
        "--label", help="NAME=VALUE", many=True, metavar="NAME=VALUE", convert=values.label
    )
    name: str = positional("its name", metavar="NETWORK")


class Inspect(Args):
    """Options of `network inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    networks: tuple[str, ...] = positional(
        "which networks", default=("bridge",), many=True, metavar="NETWORK", complete="network"
    )


class Remove(Args):
    """Options of `network rm`."""

    force: bool = flag("-f", "--force", help="no error for one that is not there")
    networks: tuple[str, ...] = positional(
        "which networks", many=True, metavar="NETWORK", complete="network"
    )


class Prune(Removing):
    """Options of `network prune`."""

    filter: tuple[str, ...] = option(
        "--filter", help="until=24h (made before), label=NAME[=VALUE], label!=…", many=True,
        metavar="KEY=VALUE",
    )  # fmt: skip
    force: bool = flag("-f", "--force", "-y", "--yes", help="do not ask")


class Connect(Args):
    """Options of `network connect`."""

    alias: tuple[str, ...] = option(
        "--alias",
        help="one more name there",
        many=True,
        metavar="NAME",
        convert=network_values.host_name,
    )
    ip: str = option("--ip", help="IPv4 address", metavar="IP", convert=network_values.ipv4)
    ip6: str = option("--ip6", help="IPv6 address", metavar="IP", convert=network_values.ipv6)
    mac_address: str = option(
        "--mac-address", help="MAC address", metavar="MAC", convert=network_values.mac
    )
    network: str = positional("which network", complete="network")
    container: str = positional("name or ID", complete="container")


class Disconnect(Args):
    """Options of `network disconnect`."""

    force: bool = flag("-f", "--force", help="no error for a container that is not on it")
    network: str = positional("which network", complete="network")
    container: str = positional("name or ID", complete="container")


@verb("network ls", List, "List networks", "network list", changes=False)
def networks(engine: Engine, args: List) -> Result:
    """List all there are, with how many run on each."""
    alive = [info for info in engine.containers.list() if info.state in ("running", "paused")]
    running = [name for info in alive for name in info.networks]
    rows: list[dict[str, Any]] = [
        {"Name": one.name, "Driver": "bridge", "ID": one.id, "Subnet": _subnets(one),
         "Device": one.device, "Internal": one.internal, "IPv6": bool(one.subnet6),
         "CreatedAt": one.created, "Labels": _pairs(one.labels), "Scope": "local",
         "Kind": "internal" if one.internal else "", "Containers": running.count(one.name)}
        for one in engine.network.all()
    ]  # fmt: skip
    rows += [
        {"Name": name, "Driver": driver, "ID": "", "Subnet": "", "Device": "", "Internal": False,
         "IPv6": False, "CreatedAt": 0.0, "Labels": "", "Scope": "local", "Kind": "",
         "Containers": running.count(name)}
        for name, driver in MODES.items()
    ]  # fmt: skip
    rows = [row for row in rows if all(_passes(row, word) for word in args.filter)]
    return Table(NETWORK_COLUMNS, tuple(rows), args.format, "Name" if args.quiet else "")


@verb(
    "network create",
    Create,
    "Make a network, whose containers find each other by name",
    examples=("network create shop", "network create --internal --subnet 10.5.0.0/24 back"),
)
def create(engine: Engine, args: Create) -> Result:
    """Store it; its bridge is made by its first container."""
    from core.network.definition import NetworkOptions
    from core.privileges import require_root

    require_root("making a network")
    if args.driver != "bridge":
        from core.errors import UsageError

        raise UsageError(f"there is no network driver {args.driver!r}", hint="bridge is the one")
    made = engine.network.create(
        NetworkOptions(
            name=args.name,
            subnets=args.subnet,
            gateways=args.gateway,
            ip_range=args.ip_range,
            internal=args.internal,
            ipv6=args.ipv6,
            mtu=args.mtu,
            labels=args.label,
            options=args.opt,
        )
    )
    return Text(made.id)


@verb(
    "network inspect", Inspect, "Show networks, their devices and their containers", changes=False
)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Ask the database what is wanted and the kernel what is there."""
    return Document([network_document(engine, name) for name in args.networks], args.format)


@verb("network rm", Remove, "Remove networks that no container names", "network remove")
def remove(engine: Engine, args: Remove) -> Result:
    """Remove one after the other; the first that cannot be is named."""
    from core.errors import NotFound

    for name in args.networks:
        try:
            found = engine.network.find(name).name if name not in OWN else name
            engine.network.remove(found, engine.connections.users_of)
        except NotFound:
            if not args.force:
                raise
    return Text("\n".join(args.networks))


@verb("network prune", Prune, "Remove networks that no container names")
def prune(engine: Engine, args: Prune) -> Result:
    """Remove those that were made; of the default one the bridge, which a start makes again."""
    from core.commands.system.prune import check_filters, unused_networks
    from core.network.host import bridge

    check_filters(args.filter)
    names = unused_networks(engine, (), args.filter)
    device = engine.network.bridge
    # The default network was not made by anybody: no filter is about it.
    used = engine.connections.users_of("bridge")
    idle = not args.filter and bridge.exists(device) and not used
    lines = [f"device and table {device}"] if idle else []
    lines += [f"network {name} ({engine.network.find(name).subnet})" for name in names]

    def apply() -> Result:
        if idle:
            engine.network.teardown(users=engine.connections.users_of)
        for name in names:
            engine.network.remove(name, engine.connections.users_of)
        return Text("\n".join(lines) or "no network is unused")

    return Plan(
        "remove unused networks", tuple(lines), apply, ask=not args.force and bool(lines)
    ).unless(args.dry_run)


@verb("network connect", Connect, "Put a container on one more network")
def connect(engine: Engine, args: Connect) -> Result:
    """A running container is on it at once."""
    from core.model import Endpoint

    endpoint = Endpoint(args.network, args.alias, args.ip, args.ip6, args.mac_address)
    engine.connections.connect(args.container, endpoint)
    return Text("")


@verb("network disconnect", Disconnect, "Take a container off a network")
def disconnect(engine: Engine, args: Disconnect) -> Result:
    """A running container is off it at once."""
    from core.errors import Conflict

    try:
        engine.connections.disconnect(args.container, args.network)
    except Conflict:
        if not args.force:
            raise
    return Text("")


NETWORK_COLUMNS = (
    Column("Name", "NETWORK"),
    Column("Driver", "DRIVER"),
    Column("Subnet", "SUBNET"),
    Column("Device", "DEVICE"),
    Column("Kind", "KIND"),
    Column("Containers", "RUNNING"),
)


def network_document(engine: Engine, name: str) -> dict[str, Any]:
    """Return docker's document of a network, with what the kernel has of it."""
    if name in MODES:
        users = {info.id: {"Name": info.name} for info in _running(engine, name)}
        return {"Name": name, "Driver": MODES[name], "Scope": "local", "Containers": users}
    from core.containers.log.writer import timestamp
    from core.network.host.inspection import inspect_bridge

    one = engine.network.find(name)
    pools = [{"Subnet": one.subnet, "Gateway": one.gateway}]
    if one.ip_range:
        pools[0]["IPRange"] = one.ip_range
    if one.subnet6:
        pools.append({"Subnet": one.subnet6, "Gateway": one.gateway6})
    return {
        "Name": one.name,
        "Id": one.id,
        "Created": timestamp(int(one.created * 1e9)).decode() if one.created else "",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": bool(one.subnet6),
        "IPAM": {"Driver": "default", "Config": pools},
        "Internal": one.internal,
        "MTU": one.mtu,
        "Containers": _members(engine, one),
        "Options": dict(one.options),
        "Labels": dict(one.labels),
        "Subnet": one.subnet,
        "Gateway": one.gateway,
        "Device": inspect_bridge(one.device).as_dict(),
    }


def _running(engine: Engine, network: str) -> list[ContainerInfo]:
    found = engine.containers.on_network(network)
    return [info for info in found if info.state in ("running", "paused")]


def _members(engine: Engine, network: BridgeNetwork) -> dict[str, dict[str, Any]]:
    """Return who is on a network now, by ID."""
    from core.network import names
    from core.network.addresses import Subnet

    prefix = Subnet(network.subnet).prefix
    found = {}
    places = {one.container: one for one in names.members(engine.network.zones, network.name)}
    for info in _running(engine, network.name):
        place = places.get(info.id)
        address = place.address if place else info.address
        found[info.id] = {
            "Name": info.name,
            "MacAddress": place.mac if place else "",
            "IPv4Address": f"{address}/{prefix}" if address else "",
            "IPv6Address": place.address6 if place else "",
            "Names": list(place.names) if place else [],
        }
    return found


def _subnets(network: BridgeNetwork) -> str:
    return ", ".join(filter(None, (network.subnet, network.subnet6)))


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs)


def _passes(row: dict[str, Any], word: str) -> bool:
    """Apply one filter; UsageError for one that does not exist."""
    key, _, wanted = word.partition("=")
    tests: dict[str, Callable[[], bool]] = {
        "name": lambda: wanted in row["Name"],
        "id": lambda: row["ID"].startswith(wanted),
        "driver": lambda: row["Driver"] == wanted,
        "scope": lambda: row["Scope"] == wanted,
        "type": lambda: wanted == ("custom" if row["ID"] else "builtin"),
        "label": lambda: any(wanted in (pair, pair.partition("=")[0])
                             for pair in row["Labels"].split(",")),
    }  # fmt: skip
    if key not in tests:
        from core.errors import UsageError

        raise UsageError(f"no filter {key!r}", hint=f"filters are: {', '.join(tests)}")
    return tests[key]()
