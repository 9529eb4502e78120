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
HOST_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
"""The second has the servers behind systemd-resolved's stub, which listens on loopback."""
KEPT = frozenset(("search", "domain", "options", "sortlist"))
NO_SERVERS = """\
# This host has no name server that a container can reach; name some in limpet's config.toml:
# [network] dns = ["192.0.2.53"]
"""


def hosts_file(address: str, names: tuple[str, ...]) -> str:
    """Return /etc/hosts as docker writes it, with the container's own names at the end.

    A container without an address has its names on loopback.
    """
    return f"{LOCAL_HOSTS}{address or '127.0.1.1'}\t{' '.join(names)}\n"


def resolv_conf(host_text: str, servers: tuple[str, ...], *, host_network: bool) -> str:
    """Return /etc/resolv.conf: the configured `servers`, else those of the host's text.

    Unless the container shares the host's network, loopback servers are left out, which
    would be the container itself, and IPv6 ones, which it cannot reach.  When none is left
    a comment says what to do.  Search domains and options are kept.
    """
    found = servers or tuple(
        server for server in _servers(host_text) if host_network or _reachable(server)
    )
    kept = [line for line in host_text.splitlines() if KEPT.intersection(line.split()[:1])]
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


def _reachable(server: str) -> bool:
    return ":" not in server and not server.startswith("127.")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
