"""A network's bridge device, made when it is missing.

pyroute2 is left to what nobody waits for: a monitor that is forked after its import would
keep it in memory as long as the container runs.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
from sys import byteorder

from core.errors import Conflict, HostError, NotPermitted
from core.linux import netlink
from core.linux.sockets import Socket
from core.network.addresses import Subnet, dotted
from core.network.host.sysctl import get_sysctl, set_sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from core.network.definition import BridgeNetwork

    T = TypeVar("T")

SIOCGIFFLAGS, IFREQ_BYTES = 0x8913, 40
"""netdevice(7)"""
FORWARD, FORWARD6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
INTERFACES6 = "/proc/sys/net/ipv6/conf"


def exists(device: str) -> bool:
    """Return whether the host has a network device of this name."""
    try:
        _socket.if_nametoindex(device)
    except OSError:
        return False
    return True


def ready(network: BridgeNetwork) -> bool:
    """Return whether the bridge is up with its addresses, and packets are forwarded.

    Costs some microseconds: two questions, and one look at /proc; twice that with IPv6.
    """
    if not (has_address(network.device, network.gateway) and get_sysctl(FORWARD) == "1"):
        return False
    return not network.subnet6 or (
        has_address(network.device, network.gateway6) and get_sysctl(FORWARD6) == "1"
    )


def has_address(device: str, address: str) -> bool:
    """Return whether a device is up and this address is one of the host's."""
    request = device.encode().ljust(IFREQ_BYTES, b"\0")
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    with Socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC) as probe:
        try:
            flags = fcntl.ioctl(probe.fileno(), SIOCGIFFLAGS, request)
            probe.bind((address, 0))
        except OSError:
            return False
    return bool(int.from_bytes(flags[16:18], byteorder) & netlink.IFF_UP)


def make_bridge(network: BridgeNetwork) -> None:
    """Make the bridge with the gateways' addresses and set it up; one that is there stays.

    Raises Conflict when a subnet overlaps one of the host's, NotPermitted without
    CAP_NET_ADMIN, HostError for what else the kernel refuses.
    """
    name, subnet = network.device, Subnet(network.subnet)
    check_overlap(name, subnet)
    try:
        # A MAC of its own: else the bridge has that of a container, and not for long.
        _request_unless_there(netlink.bridge(name, mac_address(network.gateway), network.mtu))
        _set_ipv6(name, wanted=bool(network.subnet6))
        index = _socket.if_nametoindex(name)
        _request_unless_there(
            netlink.address(index, network.gateway, subnet.prefix, subnet.broadcast)
        )
        if network.subnet6:
            prefix = Subnet(network.subnet6).prefix
            _request_unless_there(netlink.address(index, network.gateway6, prefix))
        netlink.request(netlink.NETLINK_ROUTE, [netlink.link_up(index)])
    except OSError as error:
        raise _refused(name, error.errno or 0) from error
    set_sysctl(FORWARD, "1")
    if network.subnet6:
        _forward_ipv6()


def _request_unless_there(message: bytes) -> None:
    try:
        netlink.request(netlink.NETLINK_ROUTE, [message])
    except FileExistsError:
        pass


def allow_loopback(name: str) -> None:
    """Let connections to 127.0.0.1 go out through the bridge: published ports answer there.

    The table's rules see to it that nobody on the bridge reaches the host's loopback.
    """
    set_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")


def mac_address(ip: str) -> bytes:
    """Return a locally administered MAC address made from an IPv4 address.

    An address that goes to another container keeps its MAC, so no neighbour's memory is
    wrong.
    """
    return b"\x02\x42" + _socket.inet_aton(ip)


def remove_bridge(name: str) -> None:
    """Remove the bridge, if it is there."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        apart(lambda: _remove(name))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise _refused(name, error.code) from error


def _remove(name: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)


def apart(work: Callable[[], T]) -> T:
    """Do it in a thread of its own: pyroute2 runs an event loop, and the app's thread has one."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def check_overlap(name: str, subnet: Subnet) -> None:
    """Raise Conflict when addresses of the subnet are those of another network."""
    for device, other in host_routes():
        if device != name and subnet.overlaps(other):
            raise Conflict(
                f"the containers' subnet {subnet} overlaps {other} on {device}",
                hint="give the network another: network.subnet in config.toml, or "
                "network create --subnet",
                subject=str(subnet),
            )


def host_routes() -> Iterator[tuple[str, Subnet]]:
    """Yield the host's routes but for the default one: (device, subnet), from route(8)'s file."""
    with open("/proc/net/route", encoding="ascii") as file:
        for line in list(file)[1:]:
            fields = line.split()
            address, mask = (
                int.from_bytes(int(fields[place], 16).to_bytes(4, byteorder), "big")
                for place in (1, 7)
            )
            if mask:
                yield fields[0], Subnet(f"{dotted(address)}/{mask.bit_count()}")


def _set_ipv6(name: str, *, wanted: bool) -> None:
    """Keep IPv6 off the bridge, or router advertisements at least, which containers may send."""
    settings = (("accept_ra", "0"), ("accept_dad", "0"), ("disable_ipv6", "0" if wanted else "1"))
    for setting, value in settings:
        path = f"net/ipv6/conf/{name}/{setting}"
        if get_sysctl(path):
            set_sysctl(path, value)


def _forward_ipv6() -> None:
    """Forward IPv6 packets; a host that has its own route by advertisements keeps it.

    The kernel takes none any more once it forwards, unless accept_ra is 2 (ip-sysctl.rst).
    """
    if get_sysctl(FORWARD6) == "1":
        return
    for device in os.listdir(INTERFACES6):
        if get_sysctl(f"net/ipv6/conf/{device}/accept_ra") == "1" and device != "all":
            set_sysctl(f"net/ipv6/conf/{device}/accept_ra", "2")
    set_sysctl(FORWARD6, "1")


def _refused(name: str, code: int) -> HostError:
    if code in (errno.EPERM, errno.EACCES):
        return NotPermitted(
            f"the bridge {name} cannot be made without root",
            hint="run limpet as root, or use --network host or none",
            errno=code,
        )
    return HostError(
        f"the bridge {name} cannot be made: {os.strerror(code)}", errno=code, subject=name
    )
