"""The networks of an ordinary user's containers, as plain data for start, connect, disconnect.

Each container has a pasta of its own for what goes out and for published ports, unless all its
networks are internal; a device on a bridge for each network but the default one, on which
containers do not know of each other.
"""

from __future__ import annotations

from core.errors import HostError, UsageError
from core.network import names
from core.network.attachment import wiring
from core.network.definition import DEFAULT
from core.network.rootless import pasta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.database import Database
    from core.model import Endpoint
    from core.network.definition import BridgeNetwork
    from core.network.names import Zones
    from core.network.ports.publishing import Published

FIRST_DEVICE = 1
"""`eth0` is pasta's."""
NOWHERE = {"address": "", "address6": "", "gateway": "", "dns": [], "ports": []}


def prepare(
    database: Database,
    zones: Zones,
    places: Sequence[tuple[BridgeNetwork, Endpoint]],
    container_id: str,
    called: Sequence[str],
    ports: Sequence[Published],
) -> dict[str, Any]:
    """Return what a start needs to know of the networks, see `Network.prepare`.

    Raises HostError without pasta, Conflict or UsageError for an address that cannot be had.
    """
    attachments: list[dict[str, Any]] = []
    members = []
    for network, endpoint in places:
        _check(network, endpoint)
        if network.name != DEFAULT:
            number = FIRST_DEVICE + len(attachments)
            attached = _attached(zones)
            made = wiring.attach(database, network, endpoint, container_id, number, attached)
            attachments.append(made)
            members.append(wiring.member(made, network, container_id, called, endpoint.aliases))
    found: dict[str, Any] = dict(NOWHERE)
    if wiring.way_out(network for network, _ in places):
        found = {**_way_out(ports), "program": _program(ports)}
    if attachments:
        found |= {name: attachments[0][name] for name in ("address", "address6")}
        found |= {"members": members, "zones": tuple(zones.as_dict().values())}
    return {"mode": places[0][0].name, **found, "attachments": attachments}


def connecting(
    database: Database,
    zones: Zones,
    container_id: str,
    called: Sequence[str],
    before: Sequence[BridgeNetwork],
    network: BridgeNetwork,
    endpoint: Endpoint,
) -> dict[str, Any]:
    """Return the change that puts a container on one more network, for `rewire` and the monitor.

    Its `pasta` is the command line of one that is to be started.  Raises as `prepare`.
    """
    _check(network, endpoint)
    change: dict[str, Any] = {**_NO_CHANGE, "container": container_id}
    main: dict[str, Any] = {}
    if wiring.way_out(before) is None and wiring.way_out((network,)):
        main = _way_out(())
        change["pasta"] = _program(())
    if network.name != DEFAULT:
        used = {one.inside for one in names.attachments(zones, container_id).values()}
        used.add(pasta.DEVICE)
        number = wiring.free_number(lambda one: f"eth{one}" in used)
        attached = _attached(zones)
        made = wiring.attach(database, network, endpoint, container_id, number, attached)
        change["plug"] = made
        change["member"] = wiring.member(made, network, container_id, called, endpoint.aliases)
        if len(used) == 1:
            main |= {name: made[name] for name in ("address", "address6")}
    return {**change, "main": main}


def disconnecting(
    zones: Zones, container_id: str, before: Sequence[BridgeNetwork], network: BridgeNetwork
) -> dict[str, Any]:
    """Return the change that takes a container off a network; an empty `pasta` is to end."""
    change: dict[str, Any] = {**_NO_CHANGE, "container": container_id}
    main: dict[str, Any] = {}
    places = names.attachments(zones, container_id)
    place = places.pop(network.name, None)
    after = [one for one in before if one.name != network.name]
    if wiring.way_out(before) and wiring.way_out(after) is None:
        main = dict(NOWHERE)
        change["pasta"] = ()
    if place:
        change["unplug"] = (place.device, network.name)
        others = [places[one.name] for one in after if one.name in places]
        main["address"] = others[0].address if others else pasta.ADDRESS if after else ""
        main["address6"] = others[0].address6 if others else ""
    return {**change, "main": main}


_NO_CHANGE: dict[str, Any] = {
    "plug": None, "member": None, "unplug": None, "routes": None, "pasta": None,
}  # fmt: skip


def _way_out(ports: Sequence[Published]) -> dict[str, Any]:
    return {
        "address": pasta.ADDRESS,
        "address6": "",
        "gateway": pasta.GATEWAY,
        "dns": [pasta.NAME_SERVER],
        "ports": list(ports),
    }


def _program(ports: Sequence[Published]) -> list[str]:
    path = pasta.program()
    if not path:
        raise HostError(
            "an ordinary user's containers need pasta for a network, and this host has none",
            hint="as root: apt-get install passt; or use --network host or none, or a network "
            "made with network create --internal",
        )
    return pasta.arguments(path, ports)


def _check(network: BridgeNetwork, endpoint: Endpoint) -> None:
    if network.name == DEFAULT and (endpoint.ip or endpoint.ip6 or endpoint.mac):
        raise UsageError(
            "an ordinary user's containers have one address on the default network, "
            f"{pasta.ADDRESS}",
            hint="limpet network create NAME, then --network NAME",
        )


def _attached(zones: Zones) -> Callable[[str], bool]:
    return lambda container: bool(names.attachments(zones, container))
