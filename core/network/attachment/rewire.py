"""Puts a running container on a network, or takes it off one; done by its monitor.

What is to be done is plain data, made by `core.network.attachment.changes`:

    plug      an attachment to make, or None
    member    the network and a zone's line for it, or None
    unplug    the host's device to remove and its network, or None
    routes    what is then to have the default routes: device inside, gateways; or None
    zones     where the zones are
    main      the network dictionary's new address, address6, gateway, gateway6 and table
"""

from __future__ import annotations

import os

from core.linux import netlink, process
from core.network import names
from core.network.attachment import veth
from core.network.ports import publishing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.network.ports.publishing import Published


NOWHERE = {"address": "", "address6": "", "gateway": "", "gateway6": "", "table": ""}


def apply(
    pid: int, network: dict[str, Any], ports: Sequence[Published], change: dict[str, Any]
) -> dict[str, Any]:
    """Carry out a change and return the network as it is then.

    `pid` is 0 between two runs, and may be of a process that has just ended.  `ports` are those
    published now; they follow the container to where its traffic goes out.
    Raises OSError; a device that was made is removed then.
    """
    zones = names.Zones(*change["zones"])
    if change["plug"]:
        with _Namespace(pid) as netns:
            _plug(netns, change["plug"])
    if change["member"]:
        name, values = change["member"]
        names.join(zones, name, names.Member(*values))
    after = {**NOWHERE, **network, "zones": change["zones"], **change["main"]}
    if ports and after["table"] != network["table"]:
        publishing.unpublish(network["table"], ports)
        after["ports"] = []
        if after["table"]:
            # Those of a family that the container no longer has an address of fall away.
            kept = [port for port in ports if ":" not in port[0] or after["address6"]]
            publishing.publish(after["table"], after["address"], kept, after["address6"])
            after["ports"] = kept
    if change["unplug"]:
        device, name = change["unplug"]
        names.leave(zones, change["container"], name)
        veth.remove_device(device)
    if change["routes"]:
        with _Namespace(pid) as netns:
            _inside(netns, lambda: veth.route_messages(change["routes"]))
    return {**after, "attachments": _after(network["attachments"], change)}


def _after(attachments: Sequence[dict[str, Any]], change: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attachments that a next run of the container has."""
    gone = change["unplug"][0] if change["unplug"] else ""
    routes = change["routes"] or {"inside": ""}
    kept = [
        {**one, **routes} if one["inside"] == routes["inside"] else one
        for one in attachments
        if one["device"] != gone
    ]
    return kept + ([change["plug"]] if change["plug"] else [])


def _plug(netns: int, attachment: dict[str, Any]) -> None:
    if netns < 0:
        return
    veth.attach(netns, attachment)
    try:
        _inside(netns, lambda: veth.device_messages(attachment))
    except OSError:
        veth.remove_device(attachment["device"])
        raise


def _inside(netns: int, make: Callable[[], list[bytes]]) -> None:
    """Send rtnetlink messages in a network namespace, where they are made, too."""
    if netns < 0:
        return
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        process.setns(netns, process.CLONE_NEWNET)
        try:
            netlink.request(netlink.NETLINK_ROUTE, make())
        finally:
            process.setns(own, process.CLONE_NEWNET)
    finally:
        os.close(own)


class _Namespace:
    """The network namespace of a process, as a descriptor; -1 when there is no such process."""

    def __init__(self, pid: int) -> None:
        try:
            self._fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._fd = -1

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
