"""What is on the bridge now, as the kernel tells; pyroute2's import would take a tenth of a second.

rtnetlink(7): ifinfomsg, ifaddrmsg.
"""

from __future__ import annotations

import _socket
from sys import byteorder

from core.errors import HostError
from core.linux import netlink
from core.record import Record

LINK_BYTES, ADDRESS_BYTES = 16, 8
"""Of what stands before the attributes."""
FLAGS = slice(8, 12)


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
    try:
        index = _socket.if_nametoindex(device)
    except OSError:
        return BridgeState(device, exists=False)
    try:
        own, addresses, members = (
            netlink.ask(netlink.NETLINK_ROUTE, question(index))
            for question in (netlink.link_of, netlink.addresses, netlink.members)
        )
    except OSError as error:
        raise HostError(
            f"the bridge {device} cannot be looked at: {error.strerror}",
            hint=f"ip address show {device}",
            errno=error.errno or 0,
        ) from error
    facts = netlink.attributes(own[0][LINK_BYTES:])
    return BridgeState(
        device,
        exists=True,
        up=bool(int.from_bytes(own[0][FLAGS], byteorder) & netlink.IFF_UP),
        mtu=int.from_bytes(facts[netlink.IFLA_MTU], byteorder),
        mac=facts[netlink.IFLA_ADDRESS].hex(":"),
        addresses=tuple(_address(one) for one in addresses),
        members=tuple(sorted(_name(one) for one in members)),
    )


def _address(answer: bytes) -> str:
    family, prefix = answer[:2]
    packed = netlink.attributes(answer[ADDRESS_BYTES:])[netlink.IFA_ADDRESS]
    return f"{_socket.inet_ntop(family, packed)}/{prefix}"


def _name(answer: bytes) -> str:
    name = netlink.attributes(answer[LINK_BYTES:])[netlink.IFLA_IFNAME]
    return name.rstrip(bytes(1)).decode()
