"""limpet's own nftables table: published ports, NAT, and nothing of anybody else's.

The table is named after the bridge and made once; a published port is one map element.
nft(8), https://wiki.nftables.org
"""

from __future__ import annotations

import subprocess

from core.errors import HostError, NotSupported

RULES = """\
add table ip {table}
flush table ip {table}
table ip {table} {{
    map any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map at {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
    chain publish {{
        dnat ip to ip daddr . meta l4proto . th dport map @at
        dnat ip to meta l4proto . th dport map @any
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local jump publish
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        fib daddr type local jump publish
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname != "{bridge}" masquerade
        ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade
        ip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
    }}
    # route_localnet lets published ports answer on 127.0.0.1; nobody on the bridge may use it.
    chain guard {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{bridge}" ip daddr 127.0.0.0/8 drop
    }}
    # From outside only published ports are reachable, whatever routes other hosts have.
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "{bridge}" iifname != "{bridge}" ct state new ct status != dnat drop
    }}
}}
"""


def make_table(bridge: str, subnet: str) -> None:
    """Make the table, emptied if it is there; HostError when nft refuses or is missing."""
    nft(RULES.format(table=bridge, bridge=bridge, subnet=subnet))


def remove_table(bridge: str) -> None:
    """Remove the table, if it is there."""
    nft(f"add table ip {bridge}\ndelete table ip {bridge}\n")


def nft(script: str) -> None:
    """Run one nft script, all of it or nothing."""
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=script, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise NotSupported(
            "the program nft is missing, so containers cannot have a bridge network",
            hint="apt install nftables, or use --network host or none",
        ) from None
    if done.returncode:
        cause = (done.stderr.strip().splitlines() or ["unknown error"])[0]
        raise HostError(
            f"nft refused limpet's table: {cause}",
            hint="is CONFIG_NF_TABLES on? --network host and none work without it",
        )
