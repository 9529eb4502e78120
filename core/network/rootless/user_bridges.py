"""The bridges of an ordinary user: in a network namespace that his containers' monitors share.

The first monitor with a container on a network makes the namespace, and each keeps it open:
the kernel ends it, with its bridges and cables, when the last of them has gone, however it
ended.  Nothing leads out of it.  What a container sends elsewhere goes through a pasta of its
own (`core.network.rootless.pasta`), so nothing is routed or translated here.

Lean: a monitor loads it.  A process that is root of a user namespace only cannot come back
from another network namespace, so all work is done by forks that stay there.
"""

from __future__ import annotations

import _socket
import marshal
import os

from core.linux import netlink, process
from core.network.attachment import rewire, veth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.network.names import Zones

FILE = ".namespace"
"""Beside the zones: a line for each process that keeps it open, PID, start ticks, descriptor."""


def hold(zones: Zones, ticks: int) -> int:
    """Return a descriptor of the namespace that this process then keeps; made if there is none.

    `ticks` is when this process started.  Raises OSError.
    """
    return keep(zones, ticks, -1)


def keep(zones: Zones, ticks: int, space: int) -> int:
    """Do the same as `hold` with a descriptor that this process has already, or -1."""
    path = f"{zones.directory}/{FILE}"
    with zones.lock():
        lines = [line for line in _lines(path) if _is_held(line)]
        if space < 0:
            space = _open(lines[0]) if lines else _make()
        lines.append(f"{os.getpid()} {ticks} {space}")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.write(fd, "\n".join(lines).encode())
        os.close(fd)
    return space


def attach(space: int, netns_fd: int, attachments: Sequence[dict[str, Any]]) -> None:
    """Plug a container's network namespace into its bridges, made if missing.  Raises OSError."""

    def work() -> None:
        for attachment in attachments:
            _ensure_bridge(attachment)
            veth.attach(netns_fd, attachment)

    _inside(space, work)


def apply(space: int, pid: int, network: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Carry out a change as `rewire.apply` does; there are no ports here.  Raises OSError."""

    def work() -> dict[str, Any]:
        if change["plug"]:
            _ensure_bridge(change["plug"])
        return rewire.apply(pid, network, (), change)

    after: dict[str, Any] = _inside(space, work)
    return after


def remove_bridge(zones: Zones, device: str) -> None:
    """Remove a network's bridge while containers of other networks run.  Raises OSError."""
    path = f"{zones.directory}/{FILE}"
    with zones.lock():
        held = next(filter(_is_held, _lines(path)), "")
        if held:
            space = _open(held)
            try:
                _inside(space, lambda: veth.remove_device(device))
            finally:
                os.close(space)


def _ensure_bridge(attachment: dict[str, Any]) -> None:
    """Make a bridge without an address: there is nobody behind it to be asked."""
    name = attachment["bridge"]
    try:
        # A MAC of its own: it would else take frames for the container that has it.
        made = netlink.bridge(name, b"\x06" + os.urandom(5), attachment["mtu"])
        netlink.request(netlink.NETLINK_ROUTE, [made])
    except FileExistsError:
        return
    netlink.request(netlink.NETLINK_ROUTE, [netlink.link_up(_socket.if_nametoindex(name))])


def _lines(path: str) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return os.read(fd, 1 << 20).decode().splitlines()
    finally:
        os.close(fd)


def _is_held(line: str) -> bool:
    try:
        os.close(_open(line))
    except OSError:
        return False
    return True


def _open(line: str) -> int:
    pid, ticks, fd = map(int, line.split())
    folder = process.open_process(pid, ticks)
    try:
        return os.open(f"fd/{fd}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _make() -> int:
    """Return a new network namespace."""
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            process.unshare(process.CLONE_NEWNET)
            theirs.send(b"1")
            theirs.recv(1)
        finally:
            os._exit(0)
    theirs.close()
    try:
        if not ours.recv(1):
            raise OSError(0, "no network namespace could be made")
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        ours.close()
        _reap(pid)


def _inside(space: int, work: Callable[[], Any]) -> Any:
    """Have a fork do something in the namespace, and return what it returns: plain values."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            process.setns(space, process.CLONE_NEWNET)
            os.write(write, marshal.dumps((0, "", work())))
        except OSError as error:
            os.write(write, marshal.dumps((error.errno or 255, str(error), None)))
        finally:
            os._exit(0)
    os.close(write)
    parts = []
    while part := os.read(read, 1 << 16):
        parts.append(part)
    os.close(read)
    _reap(pid)
    if not parts:
        raise OSError(0, "the network of the user's containers cannot be entered")
    number, text, value = marshal.loads(b"".join(parts))  # noqa: S302 - our own child
    if number:
        raise OSError(number, text)
    return value


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
