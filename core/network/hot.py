"""The part of networking that lies in every container's start and end.

Runs in the monitor (`attach`, `publish`, `unpublish`) and in the container's first
process (`configure`).  Everything that can be prepared has been, by `core.network.network`.
"""

from __future__ import annotations

import _socket
import errno

from core.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INSIDE = "eth0"
PROTOCOLS = {"tcp": 6, "udp": 17}
ANY, AT = "any", "at"
"""The table's maps: for ports on all addresses of the host, and on one of them."""


def attach(netns_fd: int, attachment: dict[str, Any]) -> None:
    """Make the veth pair: one end in the bridge, the other in the namespace as eth0.

    A device of the same name that an earlier start left is replaced.  Raises OSError.
    """
    make = netlink.veth(
        attachment["device"],
        INSIDE,
        netns_fd,
        master=_socket.if_nametoindex(attachment["bridge"]),
        peer_mac=attachment["mac"],
        mtu=attachment["mtu"],
    )
    with netlink.open_socket() as channel:
        try:
            netlink.request(channel, [make], 1)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            netlink.request(channel, [netlink.delete_link(attachment["device"])], 1)
            netlink.request(channel, [make], 1)


def configure(attachment: dict[str, Any] | None) -> None:
    """Set up loopback, and eth0 with address and default route, in this namespace."""
    messages = [netlink.link_up(1)]
    if attachment:
        index = _socket.if_nametoindex(INSIDE)
        messages += [
            netlink.address(index, attachment["address"], attachment["prefix"]),
            netlink.link_up(index),
            netlink.default_route(index, attachment["gateway"]),
        ]
    with netlink.open_socket() as channel:
        netlink.request(channel, messages, len(messages))


def publish(table: str, address: str, ports: list[tuple[str, int, int, str]]) -> None:
    """Send (host address, host port, container port, protocol) to a container's address.

    Raises OSError: ENOENT when the table is gone, EEXIST when a port is taken.
    """
    _change(table, address, ports, add=True)


def unpublish(table: str, address: str, ports: list[tuple[str, int, int, str]]) -> None:
    """Take published ports back; those that are gone already do not matter."""
    for port in ports:
        try:
            _change(table, address, [port], add=False)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _change(table: str, address: str, ports: list[tuple[str, int, int, str]], *, add: bool) -> None:
    messages, acks = [], 0
    for name in (ANY, AT):
        elements = [
            element(port, address) for port in ports if (port[0] == "0.0.0.0") == (name == ANY)
        ]
        if elements:
            messages += netlink.set_elements(table, name, elements, add=add)
            acks += 1
    if messages:
        with netlink.open_socket(netlink.NETLINK_NETFILTER) as channel:
            netlink.request(channel, messages, acks)


def element(port: tuple[str, int, int, str], address: str) -> tuple[bytes, bytes]:
    """Return a map element's key and data: each part padded to four bytes, network order."""
    host_ip, host_port, inner, protocol = port
    key = bytes((PROTOCOLS[protocol], 0, 0, 0)) + host_port.to_bytes(2, "big") + bytes(2)
    if host_ip != "0.0.0.0":
        key = _socket.inet_aton(host_ip) + key
    return key, _socket.inet_aton(address) + inner.to_bytes(2, "big") + bytes(2)
