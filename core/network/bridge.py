"""The default network's bridge device, made with pyroute2 and only when it is missing."""

from __future__ import annotations

import os

from core.errors import HostError, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def exists(name: str) -> bool:
    """Return whether the device is there."""
    return os.path.exists(f"/sys/class/net/{name}")


def make_bridge(name: str, gateway: str, prefix: int) -> None:
    """Make the bridge with the gateway's address and set it up; one that is there stays.

    Raises NotPermitted without CAP_NET_ADMIN, HostError for what else the kernel refuses.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            if not exists(name):
                route.link("add", ifname=name, kind="bridge")
            index = route.link_lookup(ifname=name)[0]
            route.addr("replace", index=index, address=gateway, prefixlen=prefix)
            route.link("set", index=index, state="up")
    except NetlinkError as error:
        if error.code == 1:
            raise NotPermitted(
                f"making the bridge {name} takes root",
                hint="use --network host or none, or run as root",
            ) from error
        raise HostError(
            f"the bridge {name} cannot be made: {os.strerror(error.code)}", errno=error.code
        ) from error
    sysctl("net/ipv4/ip_forward", "1")
    sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")


def remove_bridge(name: str) -> None:
    """Remove the bridge, if it is there."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)


def host_routes() -> Iterator[str]:
    """Yield the host's own subnets, `10.0.0.0/8`: a network must not overlap them."""
    with open("/proc/net/route", encoding="ascii") as file:
        for line in list(file)[1:]:
            fields = line.split()
            address, mask = (int(fields[place], 16).to_bytes(4, "little") for place in (1, 7))
            if any(mask):
                yield f"{'.'.join(map(str, address))}/{int.from_bytes(mask, 'big').bit_count()}"


def sysctl(name: str, value: str) -> None:
    """Set a kernel setting unless it has the value; HostError where /proc/sys is read-only."""
    path = f"/proc/sys/{name}"
    try:
        with open(path, "r+", encoding="ascii") as file:
            if file.read().strip() != value:
                file.seek(0)
                file.write(value)
    except OSError as error:
        raise HostError(
            f"{path} cannot be set to {value}: {error.strerror}",
            hint=f"set it on the host: sysctl {name.replace('/', '.')}={value}",
            errno=error.errno or 0,
        ) from error
