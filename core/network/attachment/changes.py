"""Connecting and disconnecting containers that run: plain data for `rewire`, beside this."""

from __future__ import annotations

from core.network import names
from core.network.attachment import wiring
from core.network.host import bridge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.database import Database
    from core.model import Endpoint
    from core.network.definition import BridgeNetwork
    from core.network.names import Member, Zones


def connecting(
    database: Database,
    container_id: str,
    called: Sequence[str],
    before: Sequence[BridgeNetwork],
    network: BridgeNetwork,
    endpoint: Endpoint,
    monitored: Callable[[str], bool],
) -> dict[str, Any]:
    """Return the change that puts a container on one more network.

    It keeps its way out; one that had none gets this.  `called` are its names; `monitored`
    as `Network.prepare` has it.  Raises Conflict or UsageError for an address that cannot be had.
    """
    number = wiring.free_number(lambda one: bridge.exists(wiring.device_name(container_id, one)))
    attached = wiring.attached_or(monitored)
    made = wiring.attach(database, network, endpoint, container_id, number, attached)
    main: dict[str, Any] = {}
    if wiring.way_out(before) is None and wiring.way_out((network,)):
        made = wiring.route(made, network)
        main = _main(network, made["address"], made["address6"])
    return {
        "container": container_id,
        "plug": made,
        "member": wiring.member(made, network, container_id, called, endpoint.aliases),
        "unplug": None,
        "routes": None,
        "main": main,
    }


def disconnecting(
    zones: Zones, container_id: str, before: Sequence[BridgeNetwork], network: BridgeNetwork
) -> dict[str, Any]:
    """Return the change that takes a container off a network.

    When that was its way out, the next of its networks that can be is.
    """
    places = names.attachments(zones, container_id)
    after = [one for one in before if one.name != network.name]
    place = places.get(network.name)
    device = place.device if place else _first_device(network, places, container_id)
    main: dict[str, Any] = {}
    routes = None
    if wiring.way_out(before) == network:
        found = wiring.way_out(after)
        main = _main(None, "", "")
        other = places.get(found.name) if found else None
        if found and other:  # else it has ended meanwhile
            bridge.allow_loopback(found.device)  # ports may move there
            main = _main(found, other.address, other.address6)
            routes = {"inside": other.inside, "gateway": found.gateway, "gateway6": found.gateway6}
    return {
        "container": container_id,
        "plug": None,
        "member": None,
        "unplug": (device, network.name) if device else None,
        "routes": routes,
        "main": main,
    }


def _first_device(network: BridgeNetwork, places: Mapping[str, Member], container_id: str) -> str:
    """Return the device on the default network that a container was started with, or "".

    It alone is in no zone: nobody there has a name.
    """
    device = wiring.device_name(container_id)
    taken = any(place.device == device for place in places.values())
    return "" if network.resolves or taken else device


def _main(network: BridgeNetwork | None, address: str, address6: str) -> dict[str, Any]:
    return {
        "address": address,
        "address6": address6,
        "gateway": network.gateway if network else "",
        "gateway6": network.gateway6 if network else "",
        "table": network.device if network else "",
    }
