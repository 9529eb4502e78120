"""Who is on a network, and the hosts files that let its containers find each other.

A network's zone is one small file in the run-time directory, a line for each container that
is on it now.  Who comes adds a line to the zone and to the hosts file of every container in
it, who goes takes it away.  Hosts files are changed in place: the containers have them
mounted.  Our lines end in a comment that says whose they are; all others stay as they are.

Monitors do this at a container's start and end, hence lean.
"""

from __future__ import annotations

import errno
import os

from core.file_lock import FileLock
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES = 1 << 20
"""A container can write its own hosts file.  No honest one is longer; when lines are taken
away, what lies behind is cut off."""
SHORT_ID = 12
MARK = "\t# "
"""Comes before the network and the container that a line belongs to."""


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
    with zones.lock():
        _put_in(zones, network, member)


def leave(zones: Zones, container: str, network: str = "") -> None:
    """Take a container out of one zone or of all it is in.  Raises OSError."""
    for name in [network] if network else _networks(zones):
        if container in _containers(zones, name):
            with zones.lock():
                _take_out(zones, name, container)
                _rewrite(zones, container, f"{MARK}{name} ", b"")


def rename(zones: Zones, container: str, old: str, new: str) -> None:
    """Let a container be found under another name.  Raises OSError."""
    with zones.lock():  # a container that has ended meanwhile stays out
        for network, member in attachments(zones, container).items():
            names = tuple(new if name == old else name for name in member.names)
            _put_in(zones, network, member.replace(names=names))


def members(zones: Zones, network: str) -> list[Member]:
    """Return the containers in a zone, in the order they came."""
    return [_member(line) for line in _read(zones.file(network)).splitlines()]


def attachments(
    zones: Zones, container: str, networks: Iterable[str] | None = None
) -> dict[str, Member]:
    """Return what a container is on, by network; of some networks, or of all."""
    own = container.encode() + b"\t"
    return {
        network: _member(line)
        for network in (_networks(zones) if networks is None else networks)
        for line in _read(zones.file(network)).splitlines()
        if line.startswith(own)
    }


def hosts_part(zones: Zones, network: str, own: Member) -> str:
    """Return what a network's zone comes to in the hosts file of who is about to join it."""
    ours = _zone_line(own)
    lines = [line for line in _read(zones.file(network)).splitlines()
             if not line.startswith(own.container.encode())]  # fmt: skip
    return b"".join(_hosts_lines(network, line) for line in (*lines, ours)).decode()


def _networks(zones: Zones) -> list[str]:
    try:
        return [name for name in os.listdir(zones.directory) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _containers(zones: Zones, network: str) -> list[str]:
    return list(_column(_read(zones.file(network))))


def _column(zone: bytes) -> Iterator[str]:
    return (line.partition(b"\t")[0].decode() for line in zone.splitlines())


def _put_in(zones: Zones, network: str, member: Member) -> None:
    """Put a container's line into a zone, in place of one that is there, and into hosts files."""
    own = _zone_line(member)
    if member.container in _containers(zones, network):
        _take_out(zones, network, member.container)
    _append(zones.file(network), own, os.O_CREAT)
    # Bytes all along, one line at a time: what a monitor holds for a moment it keeps.
    zone = _read(zones.file(network))
    added = _hosts_lines(network, own)
    for container in _column(zone):
        if container != member.container:
            _append_hosts(zones, container, added)
    # Others may have come since its own file was written.
    lines = b"".join(_hosts_lines(network, line) for line in zone.splitlines())
    _rewrite(zones, member.container, f"{MARK}{network} ", lines)


def _take_out(zones: Zones, network: str, container: str) -> None:
    """Take a container's line out of a zone, and out of the others' hosts files."""
    path = zones.file(network)
    left = [one for one in members(zones, network) if one.container != container]
    if not left:
        os.unlink(path)
        return
    temporary = f"{zones.directory}/.{network}"
    _append(temporary, b"".join(map(_zone_line, left)), os.O_CREAT | os.O_TRUNC)
    os.rename(temporary, path)
    for one in left:
        _rewrite(zones, one.container, f"{MARK}{network} {container[:SHORT_ID]}", b"")


def _zone_line(one: Member) -> bytes:
    fields = (one.container, one.address, one.address6, one.device, one.inside, one.mac)
    return "\t".join((*fields, " ".join(one.names) + "\n")).encode()


def _member(line: bytes) -> Member:
    container, address, address6, device, inside, mac, names = line.decode().split("\t")
    return Member(container, address, address6, device, inside, mac, tuple(names.split()))


def _hosts_lines(network: str, line: bytes) -> bytes:
    """Return what one line of a zone comes to in a hosts file."""
    one = _member(line)
    if not one.names:
        return b""
    rest = f"\t{' '.join(one.names)}{MARK}{network} {one.container[:SHORT_ID]}\n"
    return "".join(address + rest for address in (one.address, one.address6) if address).encode()


def _append(path: str, data: bytes, flags: int = 0) -> None:
    """Append to a zone all of `data` or nothing.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        _add(fd, data)
    finally:
        os.close(fd)


def _add(fd: int, data: bytes) -> None:
    """Write all of `data` or nothing behind what a file has.  Raises OSError."""
    written = os.write(fd, data)
    if written < len(data):
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _open_hosts(zones: Zones, container: str, flags: int = 0) -> int:
    """Return a descriptor of a container's hosts file, -1 where there is none.

    It does not wait: the container may have taken a lease on it (fcntl(2)), for which the kernel
    holds up whoever opens it, 45 seconds each time.  Such a one gets no lines.
    """
    flags |= os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(f"{zones.containers}/{container}/hosts", flags)
    except OSError:
        return -1


def _append_hosts(zones: Zones, container: str, lines: bytes) -> None:
    """Add lines to a hosts file; one that is gone, or no honest one, is none."""
    fd = _open_hosts(zones, container, os.O_APPEND)
    if fd < 0:
        return
    try:
        end = os.lseek(fd, 0, os.SEEK_END)
        if end > MOST_BYTES:
            return  # no write succeeds at the end of the longest: nobody is kept out by that
        broken = end and os.pread(fd, 1, end - 1) != b"\n"
        _add(fd, b"\n" + lines if broken else lines)
    finally:
        os.close(fd)


def _rewrite(zones: Zones, container: str, mark: str, lines: bytes) -> None:
    """Put `lines` in place of those that have a mark; a hosts file that is gone is none."""
    fd = _open_hosts(zones, container)
    if fd < 0:
        return
    try:
        before = os.read(fd, MOST_BYTES)
        after = without(before, mark) + lines
        if after != before:
            # Longer first, then cut: who reads meanwhile sees blank lines, not half ones.
            written = os.pwrite(fd, after.ljust(len(before), b"\n"), 0)
            if written < len(after):
                os.ftruncate(fd, after.rfind(b"\n", 0, written) + 1)  # no half line stays
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(fd, len(after))
    finally:
        os.close(fd)


def without(text: bytes, mark: str) -> bytes:
    """Return a hosts file without the lines that have a mark, but with an end to the last."""
    found = mark.encode()
    kept = [line for line in text.splitlines(keepends=True) if found not in line]
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\n")
    return b"".join(kept)


def _read(path: str) -> bytes:
    """Return a zone, b"" for one that nobody is in."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 64 << 10):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
