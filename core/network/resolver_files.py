"""The files that tell a container who it is and whom to ask: hosts, resolv.conf."""

from __future__ import annotations

LOCAL_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

HOST_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
"""The second has the servers behind systemd-resolved's stub, which listens on loopback."""
KEPT = frozenset(("search", "domain", "options", "sortlist"))
CUT_OFF = """\
# None of this container's networks leads out, so it reaches no name server.
"""
"""Where no server is named, one on loopback is asked: there is none, and it is known at once."""
NO_SERVERS = """\
# This host has no name server that a container can reach; name some in limpet's config.toml:
# [network] dns = ["192.0.2.53"]
"""


def hosts_file(
    addresses: Sequence[str], names: Sequence[str], others: Sequence[tuple[str, str]] = ()
) -> str:
    """Return /etc/hosts as docker writes it: `others`, then the container's own names.

    A container without an address has its names on loopback.  `others` are names with
    addresses.
    """
    own = [address for address in addresses if address] or ["127.0.1.1"]
    lines = [f"{address}\t{name}\n" for name, address in others]
    lines += [f"{address}\t{' '.join(names)}\n" for address in own]
    return LOCAL_HOSTS + "".join(lines)


def zone_parts(network: dict[str, Any]) -> str:
    """Return the names on the networks that a start has been prepared for, its own at the end."""
    if not network.get("members"):
        return ""
    from core.network.names import Member, Zones, hosts_part

    zones = Zones(*network["zones"])
    return "".join(hosts_part(zones, name, Member(*own)) for name, own in network["members"])


def resolv_conf(
    host_text: str,
    servers: Sequence[str],
    *,
    host_network: bool,
    ipv6: bool = False,
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> str:
    """Return /etc/resolv.conf: the configured `servers`, else those of the host's text.

    Unless the container shares the host's network, loopback servers are left out, which
    would be the container itself, and IPv6 ones if it has no IPv6.  When none is left a
    comment says what to do.  Search domains and options are kept where none are given; the
    domain `.` means none at all (docker run --dns-search).
    """
    found = tuple(servers) or tuple(
        server for server in _servers(host_text) if host_network or _reachable(server, ipv6=ipv6)
    )
    given = {*(("search", "domain") if search else ()), *(("options",) if options else ())}
    words = KEPT - given
    kept = [line for line in host_text.splitlines() if words.intersection(line.split()[:1])]
    if search and tuple(search) != (".",):
        kept.append(f"search {' '.join(search)}")
    if options:
        kept.append(f"options {' '.join(options)}")
    lines = [*(f"nameserver {server}" for server in found), *kept]
    return ("" if found else NO_SERVERS) + "".join(f"{line}\n" for line in lines)


def host_resolv_conf() -> str:
    """Return the first of the host's files with a server that containers can reach.

    When no file has one: /etc/resolv.conf as it is, "" without it.
    """
    texts = [_read(path) for path in HOST_FILES]
    usable = (text for text in texts if any(map(_reachable, _servers(text))))
    return next(usable, texts[0])


def _servers(text: str) -> list[str]:
    words = [line.split() for line in text.splitlines()]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def _reachable(server: str, *, ipv6: bool = False) -> bool:
    if ":" in server:
        return ipv6 and server != "::1" and not server.lower().startswith("fe80")
    return not server.startswith("127.")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
