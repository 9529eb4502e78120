"""The default network's bridge device, made with pyroute2 and only when it is missing."""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
from sys import byteorder

from core.errors import Conflict, HostError, NotPermitted
from core.linux.sockets import Socket
from core.network.addresses import Subnet, dotted
from core.network.sysctl import get_sysctl, set_sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIOCGIFFLAGS, SIOCGIFADDR, IFREQ_BYTES = 0x8913, 0x8915, 40
IFF_UP = 1
FORWARD = "net/ipv4/ip_forward"


def exists(device: str) -> bool:
    """Return whether the host has a network device of this name."""
    try:
        _socket.if_nametoindex(device)
    except OSError:
        return False
    return True


def ready(name: str, gateway: str) -> bool:
    """Return whether the bridge is up with its address, and packets are forwarded.

    Costs some microseconds: two questions, and one look at /proc.
    """
    return has_address(name, gateway) and get_sysctl(FORWARD) == "1"


def has_address(device: str, address: str) -> bool:
    """Return whether a device is up with this IPv4 address as its first; netdevice(7)."""
    request = device.encode().ljust(IFREQ_BYTES, b"\0")
    with Socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC) as probe:
        try:
            flags = fcntl.ioctl(probe.fileno(), SIOCGIFFLAGS, request)
            found = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
        except OSError:
            return False
    return bool(int.from_bytes(flags[16:18], byteorder) & IFF_UP) and found[
        20:24
    ] == _socket.inet_aton(address)


def make_bridge(name: str, subnet: Subnet) -> None:
    """Make the bridge with the gateway's address and set it up; one that is there stays.

    Raises Conflict when the subnet overlaps one of the host's, NotPermitted without
    CAP_NET_ADMIN, HostError for what else the kernel refuses.
    """
    from pyroute2.netlink.exceptions import NetlinkError

    check_overlap(name, subnet)
    try:
        _apart(lambda: _make(name, subnet))
    except NetlinkError as error:
        raise _refused(name, error.code) from error
    except OSError as error:
        raise _refused(name, error.errno or 0) from error
    set_sysctl(FORWARD, "1")


def _make(name: str, subnet: Subnet) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        if not exists(name):
            # An address of its own: else it takes that of a container, and changes it.
            mac = ":".join(f"{part:02x}" for part in mac_address(subnet.gateway))
            route.link("add", ifname=name, kind="bridge", address=mac)
        index = _socket.if_nametoindex(name)
        _refuse_ipv6(name)
        route.addr(
            "replace",
            index=index,
            address=subnet.gateway,
            prefixlen=subnet.prefix,
            broadcast=subnet.broadcast,
        )
        route.link("set", index=index, state="up")


def _apart(work: Callable[[], None]) -> None:
    """Do it in a thread of its own: pyroute2 runs an event loop, and the app's thread has one."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


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
        _apart(lambda: _remove(name))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise _refused(name, error.code) from error


def _remove(name: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)


def check_overlap(name: str, subnet: Subnet) -> None:
    """Raise Conflict when addresses of the subnet are those of another network."""
    for device, other in host_routes():
        if device != name and subnet.overlaps(other):
            raise Conflict(
                f"the containers' subnet {subnet} overlaps {other} on {device}",
                hint="set network.subnet in config.toml to one that this host does not use",
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


def _refuse_ipv6(name: str) -> None:
    """Keep IPv6 off the bridge: a container's router advertisements would reach the host."""
    setting = f"net/ipv6/conf/{name}/disable_ipv6"
    if get_sysctl(setting):
        set_sysctl(setting, "1")


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
