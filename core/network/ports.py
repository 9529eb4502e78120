"""From the ports that were asked for to those that a container gets."""

from __future__ import annotations

import errno

from core.errors import Conflict, HostError, NotPermitted
from core.network.addresses import parse_address
from core.network.hot import ANY_ADDRESS, reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.model import Port
    from core.network.hot import Published

TRIES = 50
"""Free ports that may turn out to be published before we give up."""


def resolve(
    publish: Sequence[Port], default_ip: str, taken: Mapping[Published, str]
) -> list[Published]:
    """Return the ports with host addresses and, in place of 0, free host ports filled in.

    `taken` has the published ports of running containers with the containers' names.  Raises
    Conflict naming who holds a port, HostError for an address the host does not have.
    """
    held = [(published, f"container {name}") for published, name in taken.items()]
    found = []
    for port in publish:
        wanted = (port.host_ip or default_ip, port.host_port, port.container_port, port.protocol)
        if parse_address(wanted[0]) is None:
            raise HostError(
                f"ports are published on IPv4 addresses, not on {wanted[0]!r}",
                hint="leave the address out, or use one that ip -4 addr shows",
            )
        ready = _check(wanted, held) if wanted[1] else _choose(wanted, held)
        held.append((ready, "the same container"))
        found.append(ready)
    return found


def exposure(host_ip: str) -> str:
    """Return from where a port published on this address can be reached, in a few words."""
    if host_ip.startswith("127."):
        return "this host only"
    if host_ip in ("", ANY_ADDRESS):
        return "all networks of this host"
    return f"networks that reach {host_ip}"


def clash(one: Published, other: Published) -> bool:
    """Return whether two ports cannot be published at the same time."""
    same_place = one[0] == other[0] or ANY_ADDRESS in (one[0], other[0])
    return same_place and one[1] == other[1] and one[3] == other[3]


def _check(wanted: Published, held: Sequence[tuple[Published, str]]) -> Published:
    _, host_port, _, protocol = wanted
    holder = next((name for other, name in held if clash(wanted, other)), "")
    if holder:
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


def _choose(wanted: Published, held: Sequence[tuple[Published, str]]) -> Published:
    """Let the kernel choose a port: it knows which are free."""
    host_ip, _, container_port, protocol = wanted
    for _ in range(TRIES):
        try:
            with reserve(wanted) as probe:
                found = (host_ip, int(probe.getsockname()[1]), container_port, protocol)
        except OSError as error:
            raise _refused(wanted, error) from error
        if not any(clash(found, other) for other, _ in held):
            return found
    raise Conflict(
        f"no free {protocol} port was found on {host_ip}", hint="name one: -p HOST-PORT:PORT"
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
            hint="ip -4 addr shows them; 0.0.0.0 means all",
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
