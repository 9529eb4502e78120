"""limpet's own nftables tables: published ports, NAT, and nothing of anybody else's.

Each network has one, named after its bridge and made once; a published port is one map
element.  nft(8), https://wiki.nftables.org
"""

from __future__ import annotations

import os

from core.errors import HostError, NotPermitted, NotSupported
from core.linux import nfnetlink
from core.network.ports.publishing import ANY, ANY6, ANY_ADDRESS, ANY_ADDRESS6, ONE, ONE6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.network.definition import BridgeNetwork
    from core.network.ports.publishing import Published

SYSTEM_PATH = ("/usr/sbin", "/sbin", "/usr/local/sbin")
GONE = """\
add table inet {table}
delete table inet {table}
add table ip {table}
delete table ip {table}
"""
"""The second is that of a version without IPv6, whose rules would publish what is gone."""
FRAME = """\
table inet {table} {{
    # Says that the table is this one; limpet makes it anew when it finds another.
    chain {marker} {{
    }}
    map {any} {{
        type inet_proto . inet_service : ipv4_addr . inet_service;
        {any_elements}
    }}
    map {one} {{
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;
        {one_elements}
    }}
    map {any6} {{
        type inet_proto . inet_service : ipv6_addr . inet_service;
        {any6_elements}
    }}
    map {one6} {{
        type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service;
        {one6_elements}
    }}
    # Nobody on the bridge may send from addresses that are not the bridge's, nor make use of
    # 127.0.0.0/8, which it routes for published ports.
    chain guard {{
        type filter hook prerouting priority -300; policy accept;
        iifname != "{bridge}" return
        ip daddr 127.0.0.0/8 drop
        icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit }} return
        fib saddr . iif oif missing drop
    }}
{chains}}}
"""
CONNECTED = """\
    chain publish {{
        dnat ip addr . port to ip daddr . meta l4proto . th dport map @{one}
        meta nfproto ipv4 dnat ip addr . port to meta l4proto . th dport map @{any}
        dnat ip6 addr . port to ip6 daddr . meta l4proto . th dport map @{one6}
        meta nfproto ipv6 dnat ip6 addr . port to meta l4proto . th dport map @{any6}
    }}
    # What other machines send to 127.0.0.1 must not be redirected: the kernel then drops it.
    chain prerouting {{
        type nat hook prerouting priority -100; policy accept;
        ip daddr 127.0.0.0/8 return
        fib daddr type local jump publish
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        fib daddr type local jump publish
    }}
    # Outgoing traffic; the host's own by 127.0.0.1; containers by a published port.
    chain postrouting {{
        type nat hook postrouting priority 100; policy accept;
        ip saddr {subnet} oifname != "{bridge}" masquerade
        ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade
        ip saddr {subnet} oifname "{bridge}" ct status dnat masquerade
{postrouting6}    }}
    # From outside only published ports are reachable, whatever routes others have.
    chain forward {{
        type filter hook forward priority 0; policy accept;
        oifname != "{bridge}" return
        iifname "{bridge}" return
        ct state established,related return
        ct status dnat return
        drop
    }}
"""
POSTROUTING6 = """\
        ip6 saddr {subnet6} oifname != "{bridge}" masquerade
        ip6 saddr {subnet6} oifname "{bridge}" ct status dnat masquerade
"""
INTERNAL = """\
    # Nothing is routed to or from this bridge, and nobody on it reaches the host; the host
    # reaches them.
    chain forward {{
        type filter hook forward priority 0; policy accept;
        iifname "{bridge}" oifname "{bridge}" return
        iifname "{bridge}" drop
        oifname "{bridge}" drop
    }}
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname != "{bridge}" return
        ct state established,related return
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} return
        drop
    }}
"""


def make_table(
    network: BridgeNetwork, published: Sequence[tuple[str, str, Sequence[Published]]] = ()
) -> None:
    """Make the table, in place of one that is there, with the ports of running containers.

    `published` has containers' IPv4 and IPv6 addresses with their ports.  It is one
    transaction: no packet sees half of it.  Raises NotSupported without nft, NotPermitted,
    HostError.
    """
    elements: dict[str, list[str]] = {name: [] for name in (ANY, ONE, ANY6, ONE6)}
    for address, address6, ports in published:
        for host_ip, host_port, container_port, protocol in ports:
            key = f"{protocol} . {host_port}"
            if ":" in host_ip:
                entry = f"{key} : {address6} . {container_port}"
                place = ANY6 if host_ip == ANY_ADDRESS6 else ONE6
            else:
                entry = f"{key} : {address} . {container_port}"
                place = ANY if host_ip == ANY_ADDRESS else ONE
            elements[place].append(entry if place in (ANY, ANY6) else f"{host_ip} . {entry}")
    _nft(GONE.format(table=network.device) + _script(network, elements))


def is_current(network: BridgeNetwork) -> bool:
    """Return whether the table is there with these very rules; one question to the kernel.

    Raises OSError: EPERM without CAP_NET_ADMIN.
    """
    return nfnetlink.has_chain(network.device, marker(network))


def remove_table(device: str) -> None:
    """Remove the table, if it is there."""
    _nft(GONE.format(table=device))


def _script(network: BridgeNetwork, elements: dict[str, list[str]], mark: str = "") -> str:
    words = {
        "table": network.device, "bridge": network.device, "subnet": network.subnet,
        "subnet6": network.subnet6, "any": ANY, "one": ONE, "any6": ANY6, "one6": ONE6,
    }  # fmt: skip
    postrouting6 = POSTROUTING6.format(**words) if network.subnet6 else ""
    chains = (INTERNAL if network.internal else CONNECTED).format(
        **words, postrouting6=postrouting6
    )
    return FRAME.format(
        **words,
        chains=chains,
        any_elements=_elements(elements.get(ANY)),
        one_elements=_elements(elements.get(ONE)),
        any6_elements=_elements(elements.get(ANY6)),
        one6_elements=_elements(elements.get(ONE6)),
        marker=mark or marker(network),
    )


def marker(network: BridgeNetwork) -> str:
    """Return the name of a chain that only a table of this network's rules has."""
    from binascii import crc32

    return f"rules_{crc32(_script(network, {}, mark='rules').encode()):08x}"


def _elements(lines: Sequence[str] | None) -> str:
    return f"elements = {{ {', '.join(lines)} }}" if lines else ""


def find_nft() -> str:
    """Return where nft is; NotSupported when it is not installed.

    It is also looked for where only root's PATH goes: `su` keeps that of the user.
    """
    for directory in (*os.environ.get("PATH", "").split(":"), *SYSTEM_PATH):
        if os.access(f"{directory}/nft", os.X_OK):
            return f"{directory}/nft"
    raise NotSupported(
        "the program nft is missing; a bridge network needs it",
        hint="apt install nftables, or use --network host or none",
    )


def _nft(script: str) -> None:
    code, said = _run_nft(find_nft(), script)
    if not code:
        return
    cause = next(iter(said.strip().splitlines()), f"exit code {code}")
    if os.geteuid() != 0 or "not permitted" in cause:
        raise NotPermitted(
            f"nft may not make limpet's table: {cause}",
            hint="run limpet as root, or use --network host or none",
        )
    raise HostError(
        f"nft refused limpet's table: {cause}",
        hint="nf_tables and nft_nat must be in the kernel; --network host and none work without",
    )


def _run_nft(program: str, script: str) -> tuple[int, str]:
    """Return nft's exit code and what it says, without the cost of importing subprocess."""
    with (
        open(os.memfd_create("rules"), "w+b", buffering=0) as rules,
        open(os.memfd_create("errors"), "w+b", buffering=0) as errors,
    ):
        rules.write(script.encode())
        rules.seek(0)
        streams = ((rules, 0), (errors, 1), (errors, 2))
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for file, number in streams]
        arguments = [program, "-f", "-"]
        pid = os.posix_spawn(program, arguments, os.environ, file_actions=actions)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        errors.seek(0)
        return code, errors.read().decode("utf-8", "replace")
