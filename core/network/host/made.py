"""Which bridges, each with its table, limpet has made on this host, and how they go again.

An empty file of its name stands for each.  Whoever starts a container shares a lock
(`Network.starting`) with others like him from before he looks whether they are there until the
container is connected; whoever takes them away has it alone.  Lean: a spawner loads it at its end.
"""

from __future__ import annotations

import _socket
import os

from core.file_lock import FileLock
from core.linux import netlink, nfnetlink
from core.network.attachment import veth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.paths import Paths


def note(paths: Paths, device: str) -> None:
    """Remember a bridge that is about to be made."""
    os.makedirs(paths.bridges, 0o700, exist_ok=True)
    os.close(os.open(f"{paths.bridges}/{device}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def forget(paths: Paths, device: str) -> None:
    """Forget a bridge that has been removed."""
    try:
        os.unlink(f"{paths.bridges}/{device}")
    except FileNotFoundError:
        pass  # it was not of our making


def devices(paths: Paths) -> list[str]:
    """Return the bridges that were made, and may still be there."""
    try:
        return os.listdir(paths.bridges)
    except FileNotFoundError:
        return []


def remove(paths: Paths, in_use: Callable[[], bool]) -> None:
    """Remove all that were made, unless they are `in_use` or a container is being started.

    A bridge that somebody has put a device into stays.  Raises OSError.
    """
    try:
        with FileLock(paths.starting, wait=False):
            if not in_use():
                for device in devices(paths):
                    _remove(paths, device)
    except BlockingIOError:
        pass


def _remove(paths: Paths, device: str) -> None:
    if _has_members(device):
        return
    try:
        netlink.request(netlink.NETLINK_NETFILTER, nfnetlink.delete_table(device))
    except FileNotFoundError:
        pass  # somebody else has removed it
    veth.remove_device(device)
    forget(paths, device)


def _has_members(device: str) -> bool:
    try:
        index = _socket.if_nametoindex(device)
    except OSError:
        return False
    return bool(netlink.ask(netlink.NETLINK_ROUTE, netlink.members(index)))
