"""Which devices and addresses a container gets on its networks, as plain data for the start."""

from __future__ import annotations

from core.errors import UsageError
from core.network import addresses
from core.network.addresses import Subnet
from core.network.definition import NAME_BYTES
from core.network.host import bridge
from core.network.names import Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from core.database import Database
    from core.model import Endpoint
    from core.network.definition import BridgeNetwork

MOST_NETWORKS = 16
SHORT_ID = 12


def device_name(container_id: str, number: int = 0) -> str:
    """Return the host's end of a container's cable: `veth`, so that other programs let it be."""
    if not number:
        return "veth" + container_id[: NAME_BYTES - 4]
    return f"veth{container_id[:8]}-{number}"


def is_attached(container_id: str) -> bool:
    """Return whether a container has a device on this host now."""
    return any(bridge.exists(device_name(container_id, number)) for number in range(MOST_NETWORKS))


def attached_or(monitored: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return what tells whether a container keeps its addresses.

    One that waits for its next run has no device, but a monitor.
    """
    return lambda container_id: is_attached(container_id) or monitored(container_id)


def attach(
    database: Database,
    network: BridgeNetwork,
    endpoint: Endpoint,
    container_id: str,
    number: int,
    attached: Callable[[str], bool],
) -> dict[str, Any]:
    """Lease addresses on a network and return the attachment that `veth.attach` makes.

    `number` is that of the device inside, `eth0`; `attached` tells whether a container keeps
    its leases.  Raises Conflict or UsageError for an address that cannot be had.
    """
    leased = addresses.lease(database, network.pool, container_id, attached, endpoint.ip)
    subnet = Subnet(network.subnet)
    pool6, leased6, prefix6 = network.pool6, "", 0
    if pool6:
        leased6 = addresses.lease(database, pool6, container_id, attached, endpoint.ip6)
        prefix6 = pool6.subnet.prefix
    elif endpoint.ip6:
        raise UsageError(
            f"network {network.name} has no IPv6",
            hint="limpet network create --ipv6 makes one that has",
            subject=network.name,
        )
    return {
        "device": device_name(container_id, number),
        "inside": f"eth{number}",
        "bridge": network.device,
        "mac": parse_mac(endpoint.mac) if endpoint.mac else bridge.mac_address(leased),
        "mtu": network.mtu,
        "address": leased,
        "prefix": subnet.prefix,
        "broadcast": subnet.broadcast,
        "gateway": "",
        "address6": leased6,
        "prefix6": prefix6,
        "gateway6": "",
    }


def attach_all(
    database: Database,
    places: Sequence[tuple[BridgeNetwork, Endpoint]],
    container_id: str,
    names: Sequence[str],
    attached: Callable[[str], bool],
) -> dict[str, Any]:
    """Return a container's attachments, what zones say of it, and where it is reached."""
    exit_ = way_out(network for network, _ in places)
    attachments, members = [], []
    main: dict[str, Any] = {}
    for number, (network, endpoint) in enumerate(places):
        made = attach(database, network, endpoint, container_id, number, attached)
        if network is exit_:
            main = made = route(made, network)
        attachments.append(made)
        # The first on the default network is in no zone: it has no names, and costs less so.
        if number or network.resolves:
            members.append(member(made, network, container_id, names, endpoint.aliases))
    main = main or attachments[0]
    return {
        "attachments": attachments,
        "members": members,
        "table": exit_.device if exit_ else "",
        **{name: main[name] for name in ("address", "gateway", "address6", "gateway6")},
    }


def way_out(networks: Iterable[BridgeNetwork]) -> BridgeNetwork | None:
    """Return the network that has the default route and the published ports, if one can."""
    return next((network for network in networks if not network.internal), None)


def route(attachment: dict[str, Any], network: BridgeNetwork) -> dict[str, Any]:
    """Return an attachment that has the default routes."""
    return {**attachment, "gateway": network.gateway, "gateway6": network.gateway6}


def member(
    attachment: dict[str, Any],
    network: BridgeNetwork,
    container_id: str,
    names: Sequence[str],
    aliases: Sequence[str],
) -> tuple[str, tuple[Any, ...]]:
    """Return the network and what its zone says of the container: a Member's values."""
    found = (*names, container_id[:SHORT_ID], *aliases) if network.resolves else ()
    one = Member(
        container_id, attachment["address"], attachment["address6"], attachment["device"],
        attachment["inside"], attachment["mac"].hex(":"), tuple(dict.fromkeys(found)),
    )  # fmt: skip
    return network.name, tuple(one.as_dict().values())


def parse_mac(text: str) -> bytes:
    """Return the bytes of a MAC address; UsageError for what no device can have."""
    try:
        found = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        found = b""
    # The lowest bit of the first byte marks a group of devices.
    if len(found) != 6 or found[0] & 1 or not any(found):
        raise UsageError(
            f"{text!r} is no MAC address for a device", hint="one such as 02:42:ac:11:00:02"
        )
    return found


def free_number(used: Callable[[int], bool]) -> int:
    """Return the lowest number for one more device; UsageError when there are too many."""
    found = next((number for number in range(MOST_NETWORKS) if not used(number)), None)
    if found is None:
        raise UsageError(f"a container can be on {MOST_NETWORKS} networks")
    return found
