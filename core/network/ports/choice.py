"""From the ports that were asked for to those that a container gets."""

from __future__ import annotations

import errno

from core.errors import Conflict, HostError, NotPermitted
from core.network.addresses import parse_address, parse_address6
from core.network.ports.publishing import ANY_ADDRESS, ANY_ADDRESS6, reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.model import Port
    from core.network.ports.publishing import Published

    Held = dict[tuple[int, str], list[tuple[Published, str]]]
    """Ports and who has them, by number and protocol: there may be tens of thousands."""

LOOPBACK6 = ("::1", "0:0:0:0:0:0:0:1")
TRIES = 50
"""Free ports that may turn out to be published before we give up."""


def resolve(
    publish: Sequence[Port],
    default_ip: str,
    taken: Mapping[Published, str],
    *,
    ipv6: bool = False,
) -> list[Published]:
    """Return the ports with host addresses and, in place of 0, free host ports filled in.

    With `ipv6`, what is published on all IPv4 addresses is so on all IPv6 ones, too.
    `taken` has the published ports of running containers with the containers' names.  Raises
    Conflict naming who holds a port, HostError for an address the host does not have.
    """
    held: Held = {}
    for published, name in taken.items():
        _hold(held, published, f"container {name}")
    found: list[Published] = []
    for port in publish:
        places = _places(port.host_ip, default_ip, ipv6=ipv6)
        if port.host_last:
            ready = _first_free(places, port, held)
        elif port.host_port:
            ready = [
                _check((place, port.host_port, port.container_port, port.protocol), held)
                for place in places
            ]
        else:
            ready = _choose(places, port, held)
        for one in ready:
            _hold(held, one, "the same container")
        found += ready
    return found


def _hold(held: Held, port: Published, name: str) -> None:
    held.setdefault((port[1], port[3]), []).append((port, name))


def _holder(held: Held, port: Published) -> str:
    """Return who has a port that cannot be published beside this one, "" if nobody has."""
    near = held.get((port[1], port[3]), ())
    return next((name for other, name in near if clash(port, other)), "")


def _places(host_ip: str, default_ip: str, *, ipv6: bool) -> list[str]:
    place = host_ip or default_ip
    if parse_address(place) is None and parse_address6(place) is None:
        raise HostError(
            f"ports are published on addresses of this host, not on {place!r}",
            hint="leave the address out, or use one that ip -br addr shows",
        )
    if ":" in place and not ipv6:
        raise HostError(
            f"the container has no IPv6 address, so no port of it is published on {place}",
            hint="put it on a network made with network create --ipv6, or set network.subnet6 "
            "in config.toml for the default one",
            subject=place,
        )
    if place in LOOPBACK6:
        raise HostError(
            "the kernel redirects nothing that is sent to ::1",
            hint="publish on 127.0.0.1, or on another IPv6 address of this host",
            subject=place,
        )
    everywhere = place == ANY_ADDRESS and not host_ip and ipv6
    return [place, ANY_ADDRESS6] if everywhere else [place]


def clash(one: Published, other: Published) -> bool:
    """Return whether two ports cannot be published at the same time."""
    if (":" in one[0]) != (":" in other[0]):
        return False
    both = (one[0], other[0])
    same_place = one[0] == other[0] or ANY_ADDRESS in both or ANY_ADDRESS6 in both
    return same_place and one[1] == other[1] and one[3] == other[3]


def _check(wanted: Published, held: Held) -> Published:
    _, host_port, _, protocol = wanted
    if holder := _holder(held, wanted):
        raise Conflict(
            f"port {host_port}/{protocol} is published by {holder} already",
            hint="limpet ps shows who publishes what; choose another port, or leave it out: "
            "-p PORT takes a free one",
            subject=str(host_port),
        )
    try:
        reserve(wanted).close()
    except OSError as error:
        raise _refused(wanted, error) from error
    return wanted


def _first_free(places: Sequence[str], port: Port, held: Held) -> list[Published]:
    """Take the lowest port of a range that is free on all places."""
    for number in range(port.host_port, port.host_last + 1):
        try:
            return [_check((place, number, port.container_port, port.protocol), held)
                    for place in places]  # fmt: skip
        except Conflict:
            continue
    raise Conflict(
        f"no {port.protocol} port from {port.host_port} to {port.host_last} is free",
        hint="limpet ps and ss -lnp show who has them; leave the range out: "
        "-p PORT takes any free one",
        subject=str(port.host_port),
    )


def _choose(places: Sequence[str], port: Port, held: Held) -> list[Published]:
    """Let the kernel choose a port: it knows which are free.  The same on all places."""
    for _ in range(TRIES):
        first = (places[0], 0, port.container_port, port.protocol)
        try:
            with reserve(first) as probe:
                number = int(probe.getsockname()[1])
        except OSError as error:
            raise _refused(first, error) from error
        found = [(place, number, port.container_port, port.protocol) for place in places]
        if any(_holder(held, one) for one in found):
            continue
        try:
            for one in found[1:]:
                reserve(one).close()
        except OSError:
            continue
        return found
    raise Conflict(
        f"no free {port.protocol} port was found on {places[0]}",
        hint="name one: -p HOST-PORT:PORT",
    )


def _refused(port: Published, error: OSError) -> Conflict | HostError:
    host_ip, host_port, _, protocol = port
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"port {host_port}/{protocol} on {host_ip} is used by a program of this host",
            hint=f"ss -Hlnp{protocol[0]} 'sport = {host_port}' shows it; choose another port",
            subject=str(host_port),
        )
    code = error.errno or 0
    if error.errno == errno.EADDRNOTAVAIL:
        return HostError(
            f"{host_ip} is not an address of this host",
            errno=code,
            hint="ip -br addr shows them; 0.0.0.0 means all",
            subject=host_ip,
        )
    if error.errno == errno.EACCES:
        return NotPermitted(
            f"port {host_port} takes root",
            errno=code,
            hint="choose a port from 1024 on",
            subject=str(host_port),
        )
    return HostError(str(error.strerror), errno=code)
