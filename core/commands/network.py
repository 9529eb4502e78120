"""The verbs of networks."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, flag, option, positional, verb
from core.commands.result import Column, Document, Plan, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.model import ContainerInfo

KINDS = ("bridge", "host", "none")


class List(Listing):
    """Options of `network ls`."""


class Inspect(Args):
    """Options of `network inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    network: str = positional("which network", default="bridge", metavar="NETWORK", choices=KINDS)


class Prune(Args):
    """Options of `network prune`."""

    force: bool = flag("-f", "--force", help="do not ask")


@verb("network ls", List, "List networks", "network list", changes=False)
def networks(engine: Engine, args: List) -> Result:
    """The three there are, with who runs on each."""
    subnet = engine.network.subnet
    rows = []
    for name in KINDS:
        users = _running(engine, name)
        rows.append({"Name": name, "Driver": name if name != "none" else "null",
                     "Subnet": str(subnet) if name == "bridge" else "",
                     "Device": engine.network.bridge if name == "bridge" else "",
                     "Containers": len(users)})  # fmt: skip
    return Table(NETWORK_COLUMNS, tuple(rows), args.format, "Name" if args.quiet else "")


@verb("network inspect", Inspect, "Show a network, its device and its containers", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Ask the kernel what is on the bridge."""
    from core.network.inspection import inspect_bridge

    containers = {info.name: info.address for info in _running(engine, args.network)}
    document: dict[str, object] = {"Name": args.network, "Containers": containers}
    if args.network == "bridge":
        subnet = engine.network.subnet
        document |= {"Subnet": str(subnet), "Gateway": subnet.gateway,
                     "Device": inspect_bridge(engine.network.bridge).as_dict()}  # fmt: skip
    return Document([document], args.format)


@verb("network prune", Prune, "Remove limpet's bridge and firewall table from this host")
def prune(engine: Engine, args: Prune) -> Result:
    """Only while no container runs on it; the next one that needs it makes both again."""
    from core.errors import InUse

    if users := _running(engine, "bridge"):
        names = " ".join(info.name for info in users)
        raise InUse(f"the bridge network is used by {names}", hint=f"stop {names} first")
    device = engine.network.bridge
    lines = (f"device {device}", f"nftables table ip {device}")

    def apply() -> Result:
        engine.network.teardown()
        return Text("\n".join(lines))

    return Plan("remove the bridge network", lines, apply, ask=not args.force)


def _running(engine: Engine, network: str) -> list[ContainerInfo]:
    return [info for info in engine.containers()
            if info.state in ("running", "paused") and network in info.networks]  # fmt: skip


NETWORK_COLUMNS = (
    Column("Name", "NETWORK"),
    Column("Driver", "DRIVER"),
    Column("Subnet", "SUBNET"),
    Column("Device", "DEVICE"),
    Column("Containers", "RUNNING"),
)
