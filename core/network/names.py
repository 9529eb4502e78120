"""Who is on a network, and the hosts files that let its containers find each other.

A network's zone is one small file in the run-time directory, a line for each container that
is on it now.  Whoever comes or goes changes the zone and, in place, that network's part of
the hosts file of every container in it: a container has those files mounted, so they keep
their inodes.  What else is in them stays as it is.

Monitors do this at a container's start and end, hence lean.
"""

from __future__ import annotations

import os

from core.network.lock import FileLock
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_BYTES = 1 << 20
"""A container can write its own hosts file.  No honest one is longer; the rest is dropped."""


class Zones(Record):
    """The zones of one limpet."""

    directory: str
    """Where they lie."""
    containers: str
    """Where the containers' directories are, with their hosts files."""

    def file(self, network: str) -> str:
        """Return a network's zone."""
        return f"{self.directory}/{network}"

    def lock(self) -> FileLock:
        """Return the right to change zones and hosts files."""
        os.makedirs(self.directory, 0o711, exist_ok=True)
        return FileLock(f"{self.directory}/.lock")


class Member(Record):
    """A container on a network."""

    container: str
    address: str
    address6: str
    device: str
    """The host's end of its cable."""
    inside: str
    """The container's end, `eth1`."""
    mac: str
    names: tuple[str, ...]


def join(zones: Zones, network: str, member: Member) -> None:
    """Put a container into a zone, in place of what is there of it.  Raises OSError."""
    _change(
        zones,
        network,
        lambda found: [*(one for one in found if one.container != member.container), member],
    )


def leave(zones: Zones, container: str, network: str = "") -> None:
    """Take a container out of one zone or of all it is in.  Raises OSError."""
    for name in [network] if network else _networks(zones):
        if any(member.container == container for member in members(zones, name)):
            _change(
                zones,
                name,
                lambda found: [one for one in found if one.container != container],
                gone=container,
            )


def rename(zones: Zones, container: str, old: str, new: str) -> None:
    """Let a container be found under another name.  Raises OSError."""
    for network in _networks(zones):
        if any(member.container == container for member in members(zones, network)):
            _change(zones, network, lambda found: [
                one.replace(names=tuple(new if name == old else name for name in one.names))
                if one.container == container else one for one in found
            ])  # fmt: skip


def members(zones: Zones, network: str) -> list[Member]:
    """Return the containers in a zone, in the order they came."""
    try:
        text = _read(zones.file(network)).decode()
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        container, address, address6, device, inside, mac, names = line.split("\t")
        found.append(
            Member(container, address, address6, device, inside, mac, tuple(names.split()))
        )
    return found


def attachments(zones: Zones, container: str) -> dict[str, Member]:
    """Return what a container is on, by network."""
    return {
        network: member
        for network in _networks(zones)
        for member in members(zones, network)
        if member.container == container
    }


def hosts_part(zones: Zones, network: str) -> str:
    """Return what a network's zone comes to in a hosts file."""
    return _part(network, members(zones, network)).decode()


def _networks(zones: Zones) -> list[str]:
    try:
        return [name for name in os.listdir(zones.directory) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _change(
    zones: Zones,
    network: str,
    change: Callable[[Sequence[Member]], list[Member]],
    gone: str = "",
) -> None:
    with zones.lock():
        now = change(members(zones, network))
        if now:
            _write(zones, network, now)
        else:
            os.unlink(zones.file(network))
        part = _part(network, now)
        for one in now:
            _rewrite(zones, one.container, network, part)
        if gone:
            _rewrite(zones, gone, network, b"")


def _write(zones: Zones, network: str, now: Sequence[Member]) -> None:
    lines = [
        "\t".join((one.container, one.address, one.address6, one.device, one.inside, one.mac,
                   " ".join(one.names)))
        for one in now
    ]  # fmt: skip
    temporary = f"{zones.directory}/.{network}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, "".join(f"{line}\n" for line in lines).encode())
    finally:
        os.close(fd)
    os.rename(temporary, zones.file(network))


def _part(network: str, found: Sequence[Member]) -> bytes:
    """Return the lines of a zone, between two that say whose they are."""
    if not found:
        return b""
    lines = [
        f"{address}\t{' '.join(one.names)}\n"
        for one in found
        for address in (one.address, one.address6)
        if address and one.names
    ]
    begin, end = _edges(network)
    return begin + "".join(lines).encode() + end


def _edges(network: str) -> tuple[bytes, bytes]:
    return f"# network {network}\n".encode(), f"# end of network {network}\n".encode()


def _rewrite(zones: Zones, container: str, network: str, part: bytes) -> None:
    """Put a network's part into a hosts file; one that is gone does not matter."""
    path = f"{zones.containers}/{container}/hosts"
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        before = os.read(fd, MOST_BYTES)
        after = replace_part(before, network, part)
        if after != before:
            # Longer first, then cut: who reads meanwhile sees blank lines, not half ones.
            os.pwrite(fd, after.ljust(len(before), b"\n"), 0)
            os.ftruncate(fd, len(after))
    finally:
        os.close(fd)


def replace_part(text: bytes, network: str, part: bytes) -> bytes:
    """Return a hosts file with a network's part replaced, or added at the end."""
    begin, end = _edges(network)
    before, found, rest = text.partition(begin)
    if not found:
        return text + (b"\n" if text and not text.endswith(b"\n") else b"") + part
    _, ended, after = rest.partition(end)
    return before + part + (after if ended else b"")


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 64 << 10):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
