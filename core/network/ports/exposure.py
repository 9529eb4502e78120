"""From where a published port can be reached, in words."""

from __future__ import annotations

EVERYWHERE = ("", "0.0.0.0", "::")


def exposure(host_ip: str) -> str:
    """Return from where a port published on this address can be reached, in a few words."""
    if host_ip.startswith("127."):
        return "this host only"
    if host_ip in EVERYWHERE:
        return "all networks of this host"
    return f"networks that reach {host_ip}"


def reach(host_ip: str) -> str:
    """Return the same in two words."""
    if host_ip.startswith("127."):
        return "this host"
    return "anywhere" if host_ip in EVERYWHERE else f"via {host_ip}"
