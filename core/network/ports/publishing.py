"""Publishes ports: elements of a table's maps, and sockets that keep others from the ports.

Lies in every container's start and end, hence lean: its monitor calls it.  Which ports those
are has been decided before, by `choice`, beside this.
"""

from __future__ import annotations

import _socket
import errno

from core.linux import conntrack, netlink, nfnetlink
from core.linux.sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Published = tuple[str, int, int, str]
    """Host address, host port, container port, protocol."""
    Element = tuple[str, bytes, bytes]

ANY_ADDRESS, ANY_ADDRESS6 = "0.0.0.0", "::"
ANY, ONE, ANY6, ONE6 = "any_address", "one_address", "any_address6", "one_address6"
"""The table's maps: ports published on all addresses of the host, and on one of them."""
PROTOCOLS = {"tcp": 6, "udp": 17}
RESERVED_MAX = 256
"""Ports a monitor keeps bound; a process has few descriptors (getrlimit(2): 1024)."""

_reserved: list[Socket] = []
"""Sockets bound to the ports that this process, a monitor, has published."""
_closed_at_exit: list[Socket] = []
"""After a deletion close(2) waits some 15 ms for the kernel; a monitor has better to do."""


def publish(table: str, address: str, ports: Sequence[Published], address6: str = "") -> None:
    """Send the host's ports to a container's addresses, and keep them from other programs.

    All ports or none.  Raises OSError: ENOENT when the table is gone, EADDRINUSE when a
    program of the host, or another monitor, has a port.
    """
    elements = [element(port, address6 if ":" in port[0] else address) for port in ports]
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


def unpublish(table: str, ports: Sequence[Published]) -> None:
    """Take published ports back; those that are gone already do not matter."""
    elements = [element(port) for port in ports]
    try:
        _delete(table, elements)
    except FileNotFoundError:
        _delete_each(table, elements)
    finally:
        _give_up_reserved()
    _forget_flows(ports)


def unpublish_address(table: str, address: str) -> None:
    """Take back all ports that lead to an address; the table may be gone.

    Of a container that is known to have no monitor: nobody else says which ports it had.
    """
    start = netlink.packed(address)[1]
    for name in (ANY6, ONE6) if ":" in address else (ANY, ONE):
        try:
            found = nfnetlink.elements(table, name)
            _delete_each(
                table, [(name, key, b"") for key, value in found if value.startswith(start)]
            )
        except FileNotFoundError:
            return


def reserved() -> list[int]:
    """Return the descriptors that keep this process's published ports."""
    return [channel.fileno() for channel in _reserved]


def take_reserved(fds: Sequence[int]) -> None:
    """Keep the ports that another process has kept, by its descriptors."""
    _reserved.extend(Socket(fileno=fd) for fd in fds)


def reserve(port: Published) -> Socket:
    """Return a socket bound to a host port, so that no program of the host gets it unnoticed.

    Nothing arrives there: the table redirects it before it would reach a socket.  Raises
    OSError: EADDRINUSE, EADDRNOTAVAIL when the address is not one of this host's.
    """
    host_ip, host_port, _, protocol = port
    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    family = _socket.AF_INET6 if ":" in host_ip else _socket.AF_INET
    channel = Socket(family, kind | _socket.SOCK_CLOEXEC)
    try:
        if family == _socket.AF_INET6:
            channel.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
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


def is_free(port: Published) -> bool:
    """Return whether no program of the host, nor a monitor that publishes it, has a port."""
    try:
        reserve(port).close()
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def element(port: Published, address: str = "") -> Element:
    """Return map, key and value of a published port; without an address, no value.

    Keys and values are concatenations in network order, each part padded to four bytes.
    """
    host_ip, host_port, container_port, protocol = port
    key = bytes((PROTOCOLS[protocol], 0, 0, 0)) + host_port.to_bytes(2, "big") + bytes(2)
    value = b""
    if address:
        value = netlink.packed(address)[1] + container_port.to_bytes(2, "big") + bytes(2)
    if host_ip in (ANY_ADDRESS, ANY_ADDRESS6):
        return ANY6 if ":" in host_ip else ANY, key, value
    return ONE6 if ":" in host_ip else ONE, netlink.packed(host_ip)[1] + key, value


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
