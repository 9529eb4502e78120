"""The part of networking that lies in every container's start and end.

Runs in the monitor (`attach`, `publish`, `unpublish`) and in the container's first process
(`configure`).  What can be prepared has been, by `core.network.network`.
"""

from __future__ import annotations

import _socket
import errno

from core.linux import conntrack, netlink, nfnetlink
from core.linux.sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Published = tuple[str, int, int, str]
    """Host address, host port, container port, protocol."""
    Element = tuple[str, bytes, bytes]

INSIDE = "eth0"
ANY_ADDRESS = "0.0.0.0"
ANY, ONE = "any_address", "one_address"
"""The table's maps: ports published on all addresses of the host, and on one of them."""
PROTOCOLS = {"tcp": 6, "udp": 17}
RESERVED_MAX = 256
"""Ports a monitor keeps bound; a process has few descriptors (getrlimit(2): 1024)."""

_reserved: list[Socket] = []
"""Sockets bound to the ports that this process, a monitor, has published."""
_closed_at_exit: list[Socket] = []
"""After a deletion close(2) waits some 15 ms for the kernel; a monitor has better to do."""


def attach(netns_fd: int, attachment: dict[str, Any]) -> None:
    """Make the veth pair: one end in the bridge, the other in the namespace as eth0.

    A device of the same name that an earlier start left is replaced.  The kernel removes
    the pair together with the namespace.  Raises OSError: ENODEV without the bridge.
    """
    device = attachment["device"]
    make = netlink.veth(
        device,
        INSIDE,
        netns_fd,
        master=_index(attachment["bridge"]),
        peer_mac=attachment["mac"],
        mtu=attachment["mtu"],
    )
    try:
        netlink.request(netlink.NETLINK_ROUTE, [make, netlink.hairpin(device)])
    except FileExistsError:
        again = [netlink.delete_link(device), make, netlink.hairpin(device)]
        netlink.request(netlink.NETLINK_ROUTE, again)


def configure(attachment: dict[str, Any] | None) -> None:
    """Set up loopback, and eth0 with address and default route, in this namespace.

    Without an attachment loopback is all there is.  Raises OSError.
    """
    messages = [netlink.link_up(netlink.LOOPBACK_INDEX)]
    if attachment:
        index = _index(INSIDE)
        messages += [
            netlink.address(
                index, attachment["address"], attachment["prefix"], attachment["broadcast"]
            ),
            netlink.link_up(index),
            netlink.default_route(index, attachment["gateway"]),
        ]
    netlink.request(netlink.NETLINK_ROUTE, messages)


def publish(table: str, address: str, ports: Sequence[Published]) -> None:
    """Send the host's ports to a container's address, and keep them from other programs.

    All ports or none.  Raises OSError: ENOENT when the table is gone, EADDRINUSE when a
    program of the host, or another monitor, has a port.
    """
    elements = [element(port, address) for port in ports]
    try:
        for port in ports[:RESERVED_MAX]:
            _reserved.append(reserve(port))
            if port[3] == "tcp":
                _reserved[-1].listen(0)  # else others can bind it, too, by SO_REUSEADDR
        try:
            _add(table, elements)
        except FileExistsError:
            # No living monitor has the ports, or we would not: a killed one left them.
            _delete_each(table, elements)
            _add(table, elements)
    except BaseException:
        _give_up_reserved()
        raise
    _forget_flows(ports)


def unpublish(table: str, address: str, ports: Sequence[Published]) -> None:
    """Take published ports back; those that are gone already do not matter."""
    elements = [element(port, address) for port in ports]
    try:
        _delete(table, elements)
    except FileNotFoundError:
        _delete_each(table, elements)
    finally:
        _give_up_reserved()
    _forget_flows(ports)


def reserve(port: Published) -> Socket:
    """Return a socket bound to a host port, so that no program of the host gets it unnoticed.

    Nothing arrives there: the table redirects it before it would reach a socket.  Raises
    OSError: EADDRINUSE, EADDRNOTAVAIL when the address is not one of this host's.
    """
    host_ip, host_port, _, protocol = port
    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    channel = Socket(_socket.AF_INET, kind | _socket.SOCK_CLOEXEC)
    try:
        try:
            channel.bind((host_ip, host_port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            # Old connections of an ended program (TIME_WAIT) are no reason to refuse.
            channel.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            channel.bind((host_ip, host_port))
    except OSError as error:
        channel.close()
        text = f"port {host_port}/{protocol} on {host_ip}: {error.strerror}"
        raise OSError(error.errno, text) from None
    return channel


def element(port: Published, address: str) -> Element:
    """Return map, key and value of a published port.

    Keys and values are concatenations in network order, each part padded to four bytes.
    """
    host_ip, host_port, container_port, protocol = port
    key = bytes((PROTOCOLS[protocol], 0, 0, 0)) + host_port.to_bytes(2, "big") + bytes(2)
    value = _socket.inet_aton(address) + container_port.to_bytes(2, "big") + bytes(2)
    if host_ip == ANY_ADDRESS:
        return ANY, key, value
    return ONE, _socket.inet_aton(host_ip) + key, value


def _add(table: str, elements: list[Element]) -> None:
    try:
        netlink.request(netlink.NETLINK_NETFILTER, nfnetlink.add_elements(table, elements))
    except FileNotFoundError:
        raise OSError(errno.ENOENT, f"the nftables table {table} has been removed") from None


def _delete(table: str, elements: list[Element]) -> None:
    netlink.request(
        netlink.NETLINK_NETFILTER,
        nfnetlink.delete_elements(table, elements),
        _closed_at_exit if _reserved else None,
    )


def _delete_each(table: str, elements: list[Element]) -> None:
    for one in elements:
        try:
            _delete(table, [one])
        except FileNotFoundError:
            pass


def _give_up_reserved() -> None:
    while _reserved:
        _reserved.pop().close()


def _forget_flows(ports: Sequence[Published]) -> None:
    places = [(host_ip, host_port) for host_ip, host_port, _, kind in ports if kind == "udp"]
    if places:
        try:
            conntrack.forget_udp(places)
        except OSError:
            pass  # the kernel cannot; old flows then end by their time-out


def _index(device: str) -> int:
    try:
        return _socket.if_nametoindex(device)
    except OSError:  # without an error number before Python 3.14
        raise OSError(errno.ENODEV, f"there is no network device {device}") from None
