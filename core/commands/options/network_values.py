"""Words to values for networks: endpoints, addresses, names, ports.

Every function takes one word and raises ValueError saying what was expected, but for
`networks`, which puts them together.
"""

from __future__ import annotations

from core.errors import UsageError
from core.model import Endpoint, Port
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODES = ("host", "none")
SHARED = "container:"
MOST_NAME = 253
"""RFC 1035, 2.3.4"""
ENDPOINT_FIELDS = {"name": "network", "ip": "ip", "ip6": "ip6", "mac-address": "mac"}


class Wishes(Record):
    """What --network-alias, --ip, --ip6 and --mac-address say of the first network."""

    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac: str = ""


def endpoint(word: str) -> Endpoint:
    """Parse NAME, or docker's name=NAME,alias=NAME,ip=IP,ip6=IP,mac-address=MAC."""
    if "=" not in word:
        if not word:
            raise ValueError("an empty name of a network")
        return Endpoint(word)
    found: dict[str, str] = {}
    aliases = []
    for part in word.split(","):
        key, _, value = part.partition("=")
        if key == "alias":
            aliases.append(host_name(value))
        elif key in ENDPOINT_FIELDS:
            found[ENDPOINT_FIELDS[key]] = ENDPOINT_CHECKS[key](value)
        else:
            raise ValueError(f"{key!r} is none of {', '.join(ENDPOINT_FIELDS)}, alias")
    if not found.get("network"):
        raise ValueError(f"{word!r} names no network: name=NAME,…")
    return Endpoint(aliases=tuple(aliases), **found)


def networks(
    named: Sequence[Endpoint], wishes: Wishes, default: str
) -> tuple[str, tuple[Endpoint, ...]]:
    """Return a container's mode or first network, and its networks.

    Raises UsageError for what does not go together.
    """
    first = named[0] if named else Endpoint(default)
    modes = [one.network for one in named or (first,)]
    single = next((m for m in modes if m in MODES or m.startswith(SHARED)), "")
    wished = wishes != Wishes()
    if single:
        if len(modes) > 1:
            raise UsageError(f"--network {single} goes with no other network")
        if wished or first != Endpoint(single):
            raise UsageError(
                f"--network {single} has no aliases and addresses of the container's own",
                hint="limpet network create NAME, then --network NAME",
            )
        return single, ()
    if not named and not wished:
        return default, ()
    joined = first.replace(
        aliases=(*first.aliases, *wishes.aliases),
        ip=wishes.ip or first.ip,
        ip6=wishes.ip6 or first.ip6,
        mac=wishes.mac or first.mac,
    )
    return joined.network, (joined, *named[1:])


def host_name(word: str) -> str:
    """Check a name for /etc/hosts: letters, digits and . _ -."""
    plain = word.replace("-", "").replace(".", "").replace("_", "")
    if not (plain.isalnum() and word.isascii() and len(word) <= MOST_NAME):
        raise ValueError(f"{word!r} is no host name: letters, digits and . _ -")
    return word


def address(word: str) -> str:
    """Check an IPv4 or IPv6 address."""
    return ipv6(word) if ":" in word else ipv4(word)


def ipv4(word: str) -> str:
    """Check an IPv4 address."""
    from core.network.addresses import dotted, parse_address

    number = parse_address(word)
    if number is None:
        raise ValueError(f"{word!r} is not an IPv4 address")
    return dotted(number)


def ipv6(word: str) -> str:
    """Check an IPv6 address and return its shortest form."""
    from core.network.addresses import Subnet, parse_address6

    number = parse_address6(word)
    if number is None:
        raise ValueError(f"{word!r} is not an IPv6 address")
    return Subnet("::/64").write(number)


def mac(word: str) -> str:
    """Check a MAC address."""
    from core.network.attachment.wiring import parse_mac

    try:
        return parse_mac(word).hex(":")
    except UsageError as error:
        raise ValueError(error.message) from None


def domain(word: str) -> str:
    """Check a domain to search, or `.` for none."""
    return word if word == "." else host_name(word)


def one_word(word: str) -> str:
    """Check that something is one word."""
    if not word or not word.isprintable() or " " in word:
        raise ValueError(f"{word!r} is not one word")
    return word


def add_host(word: str) -> tuple[str, str]:
    """Parse NAME:IP or NAME=IP; the address may be `host-gateway`, or in brackets."""
    name, separator, where = word.partition("=") if "=" in word else word.partition(":")
    if not separator:
        raise ValueError(f"{word!r} is not NAME:IP")
    if where != "host-gateway":
        where = address(where.removeprefix("[").removesuffix("]"))
    return host_name(name), where


def publish(word: str) -> tuple[Port, ...]:
    """Parse [HOST-IP:][HOST-PORT:]PORT[/tcp|udp]; ports may be ranges FIRST-LAST.

    A range for one port of the container means any free one of it.  An IPv6 address is
    written in brackets.
    """
    body, protocol = _protocol(word)
    host, _, inside = body.rpartition(":")
    host_ip, host_ports = "", host
    if host.startswith("["):
        host_ip, _, host_ports = host[1:].partition("]")
        host_ports = host_ports.removeprefix(":")
        host_ip = ipv6(host_ip)
    elif ":" in host:
        host_ip, _, host_ports = host.rpartition(":")
    elif host.count(".") == 3:
        host_ip, host_ports = host, ""
    if host_ip and ":" not in host_ip:
        host_ip = ipv4(host_ip)
    elif host_ip and not host.startswith("["):
        raise ValueError(f"{word!r}: write an IPv6 address in brackets: [::]:8080:80")
    ports = _ports(word, inside)
    hosts = _ports(word, host_ports) if host_ports else [0] * len(ports)
    if len(ports) == 1 and len(hosts) > 1:
        return (Port(host_ip, hosts[0], ports[0], protocol, hosts[-1]),)
    if len(hosts) != len(ports):
        raise ValueError(f"{word!r}: the two ranges differ in length")
    return tuple(
        Port(host_ip, outer, inner, protocol) for outer, inner in zip(hosts, ports, strict=True)
    )


def expose(word: str) -> tuple[Port, ...]:
    """Parse PORT[/tcp|udp]; it may be a range FIRST-LAST."""
    body, protocol = _protocol(word)
    return tuple(Port("", 0, number, protocol) for number in _ports(word, body))


def _protocol(word: str) -> tuple[str, str]:
    body, _, protocol = word.partition("/")
    if protocol not in ("", "tcp", "udp"):
        raise ValueError(f"{protocol!r} is neither tcp nor udp")
    return body, protocol or "tcp"


def _ports(word: str, part: str) -> list[int]:
    first, dash, last = part.partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"{word!r} is not [HOST-IP:][HOST-PORT:]PORT[/tcp|udp]")
    low, high = int(first), int(last)
    if not 0 < low <= high < 65536:
        raise ValueError(f"{part!r}: ports go from 1 to 65535")
    return list(range(low, high + 1))


ENDPOINT_CHECKS: dict[str, Callable[[str], str]] = {
    "name": str, "ip": ipv4, "ip6": ipv6, "mac-address": mac,
}  # fmt: skip
