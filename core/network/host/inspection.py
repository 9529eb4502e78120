"""What is on the bridge now, as the kernel tells pyroute2."""

from __future__ import annotations

from core.network.host import bridge
from core.record import Record


class BridgeState(Record):
    """The bridge device and the host's ends of the containers' devices in it."""

    device: str
    exists: bool
    up: bool = False
    mtu: int = 0
    mac: str = ""
    addresses: tuple[str, ...] = ()
    """With their prefixes."""
    members: tuple[str, ...] = ()


def inspect_bridge(device: str) -> BridgeState:
    """Return the bridge's state; HostError when netlink refuses."""
    if not bridge.exists(device):
        return BridgeState(device, exists=False)
    return bridge.apart(lambda: _ask(device))


def _ask(device: str) -> BridgeState:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        indexes = route.link_lookup(ifname=device)
        if not indexes:
            return BridgeState(device, exists=False)
        link = next(iter(route.get_links(indexes[0])))
        addresses = [
            f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
            for message in route.get_addr(index=indexes[0])
        ]
        members = sorted(
            str(message.get_attr("IFLA_IFNAME")) for message in route.get_links(master=indexes[0])
        )
        return BridgeState(
            device,
            exists=True,
            up=link["state"] == "up",
            mtu=link.get_attr("IFLA_MTU"),
            mac=link.get_attr("IFLA_ADDRESS"),
            addresses=tuple(addresses),
            members=tuple(members),
        )
