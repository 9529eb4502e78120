"""The files that tell a container who it is and whom to ask: hosts, resolv.conf."""

from __future__ import annotations

LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\n"
KEPT = ("search", "domain", "options", "sortlist")


def hosts_file(address: str, names: tuple[str, ...]) -> str:
    """Return /etc/hosts with the container's own address, if it has one."""
    own = f"{address}\t{' '.join(names)}\n" if address else f"127.0.1.1\t{' '.join(names)}\n"
    return LOCAL + own


def resolv_conf(host_text: str, servers: tuple[str, ...], *, host_network: bool) -> str:
    """Return /etc/resolv.conf: configured servers, else the host's.

    Loopback servers are left out unless the container shares the host's network: there they
    would mean the container itself.
    """
    lines = [line for line in host_text.splitlines() if line.split()]
    found = list(servers) or [
        line.split()[1]
        for line in lines
        if line.split()[0] == "nameserver"
        and len(line.split()) > 1
        and (host_network or not line.split()[1].startswith(("127.", "::1")))
    ]
    kept = [line for line in lines if line.split()[0] in KEPT]
    return "".join(f"{line}\n" for line in [*(f"nameserver {s}" for s in found), *kept])


def host_resolv_conf() -> str:
    """Return the host's servers; systemd-resolved's real ones when its stub is in front."""
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        servers = [
            line.split()[1]
            for line in text.splitlines()
            if line.startswith("nameserver") and len(line.split()) > 1
        ]
        if any(not server.startswith("127.") for server in servers):
            return text
    return ""
