"""A container's cable to a bridge: the veth pair, and what its end inside is given.

Lies in every container's start, hence lean: `attach` is called by the monitor, `configure` by
the container's first process.  What can be prepared has been, by `wiring`, beside this.
"""

from __future__ import annotations

import _socket
import errno
import os
import time

from core.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SOON_S = 0.2
"""The kernel takes a part of that to remove a namespace, as a rule."""
CONF6 = "/proc/sys/net/ipv6/conf"


def attach(netns_fd: int, attachment: dict[str, Any]) -> None:
    """Make the veth pair: one end in the bridge, the other in the namespace.

    A device of the same name that an earlier start left is replaced.  The kernel removes
    the pair together with the namespace.  Raises OSError: ENODEV without the bridge.
    """
    device = attachment["device"]
    make = netlink.veth(
        device,
        attachment["inside"],
        netns_fd,
        master=_index(attachment["bridge"]),
        peer_mac=attachment["mac"],
        mtu=attachment["mtu"],
    )
    try:
        netlink.request(netlink.NETLINK_ROUTE, [make, netlink.hairpin(device)])
    except FileExistsError:
        remove_device(device)
        netlink.request(netlink.NETLINK_ROUTE, [make, netlink.hairpin(device)])


def remove_device(device: str) -> None:
    """Remove a device; the kernel may be faster, when its namespace has just ended."""
    try:
        netlink.request(netlink.NETLINK_ROUTE, [netlink.delete_link(device)])
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def indexes(attachments: Sequence[dict[str, Any]]) -> list[int]:
    """Return the devices of attachments that are there."""
    return [index for one in attachments if (index := _index_or_none(one["device"]))]


def remove_left(devices: Sequence[int]) -> None:
    """Remove devices, by index, whose namespace has ended, if the kernel does not do so soon.

    A connection that is still to be closed keeps the namespace, with the address that answers,
    while TCP tries again: two minutes (tcp_orphan_retries, tcp(7)).
    """
    deadline = time.monotonic() + SOON_S
    while any(map(_is_there, devices)) and time.monotonic() < deadline:
        time.sleep(SOON_S / 10)
    for index in filter(_is_there, devices):
        try:
            netlink.request(netlink.NETLINK_ROUTE, [netlink.delete_index(index)])
        except OSError:
            pass  # the kernel has just done it


def configure(attachments: Sequence[dict[str, Any]]) -> None:
    """Set up loopback and each attachment's device, in this network namespace.

    Without attachments loopback is all there is.  Raises OSError.
    """
    messages = [netlink.link_up(netlink.LOOPBACK_INDEX)]
    for attachment in attachments:
        messages += device_messages(attachment)
    netlink.request(netlink.NETLINK_ROUTE, messages)


def device_messages(attachment: dict[str, Any]) -> list[bytes]:
    """Return what gives a container's device its addresses, and a default route if it has one."""
    index = _index(attachment["inside"])
    _set_ipv6(attachment["inside"], wanted=bool(attachment["address6"]))
    messages = [
        netlink.address(
            index, attachment["address"], attachment["prefix"], attachment["broadcast"]
        ),
        netlink.link_up(index),
    ]
    if attachment["address6"]:
        messages.append(netlink.address(index, attachment["address6"], attachment["prefix6"]))
    return messages + route_messages(attachment)


def _set_ipv6(device: str, *, wanted: bool) -> None:
    """Take IPv6 from a device or, where it is wanted, let its addresses be used at once.

    The kernel else asks for a second who else has them, and a container on the same bridge
    could give the others routes by router advertisements (as in CVE-2020-13401).
    """
    values = (("accept_dad", b"0"), ("accept_ra", b"0")) if wanted else (("disable_ipv6", b"1"),)
    for setting, value in values:
        try:
            fd = os.open(f"{CONF6}/{device}/{setting}", os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # the kernel has no IPv6
        try:
            os.write(fd, value)
        finally:
            os.close(fd)


def route_messages(attachment: dict[str, Any]) -> list[bytes]:
    """Return what sends everything else through an attachment's gateways; it may have none."""
    gateways = filter(None, (attachment["gateway"], attachment["gateway6"]))
    index = _index(attachment["inside"])
    return [netlink.default_route(index, gateway) for gateway in gateways]


def _index(device: str) -> int:
    index = _index_or_none(device)
    if not index:
        raise OSError(errno.ENODEV, f"there is no network device {device}")
    return index


def _index_or_none(device: str) -> int:
    """Return a device's index, 0 when there is none of that name."""
    try:
        return _socket.if_nametoindex(device)
    except OSError:
        return 0


def _is_there(index: int) -> bool:
    try:
        return bool(_socket.if_indextoname(index))
    except OSError:
        return False
