"""limpet's own nftables table: published ports, NAT, and nothing of anybody else's.

The table is named after the bridge and made once; a published port is one map element.
nft(8), https://wiki.nftables.org
"""

from __future__ import annotations

import os

from core.errors import HostError, NotPermitted, NotSupported
from core.linux import nfnetlink
from core.network.hot import ANY, ANY_ADDRESS, ONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.network.hot import Published

SYSTEM_PATH = ("/usr/sbin", "/sbin", "/usr/local/sbin")
RULES = """\
add table ip {table}
delete table ip {table}
table ip {table} {{
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
    chain publish {{
        dnat ip addr . port to ip daddr . meta l4proto . th dport map @{one}
        dnat ip addr . port to meta l4proto . th dport map @{any}
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
    }}
    # The bridge routes 127.0.0.0/8 for published ports; nobody on it may make use of that.
    chain guard {{
        type filter hook prerouting priority -300; policy accept;
        iifname "{bridge}" ip daddr 127.0.0.0/8 drop
    }}
    # From outside only published ports are reachable, whatever routes others have.
    chain forward {{
        type filter hook forward priority 0; policy accept;
        oifname != "{bridge}" return
        iifname "{bridge}" return
        ct state established,related return
        ct status dnat return
        drop
    }}
}}
"""


def make_table(
    bridge: str, subnet: str, published: Sequence[tuple[str, Sequence[Published]]] = ()
) -> None:
    """Make the table, in place of one that is there, with the ports of running containers.

    `published` has container addresses with their ports.  It is one transaction: no packet
    sees half of it.  Raises NotSupported without nft, NotPermitted, HostError.
    """
    elements: dict[str, list[str]] = {ANY: [], ONE: []}
    for address, ports in published:
        for host_ip, host_port, container_port, protocol in ports:
            key = f"{protocol} . {host_port} : {address} . {container_port}"
            if host_ip == ANY_ADDRESS:
                elements[ANY].append(key)
            else:
                elements[ONE].append(f"{host_ip} . {key}")
    _nft(_script(bridge, subnet, elements))


def is_current(bridge: str, subnet: str) -> bool:
    """Return whether the table is there with these very rules; one question to the kernel.

    Raises OSError: EPERM without CAP_NET_ADMIN.
    """
    return nfnetlink.has_chain(bridge, _marker(bridge, subnet))


def remove_table(bridge: str) -> None:
    """Remove the table, if it is there."""
    _nft(f"add table ip {bridge}\ndelete table ip {bridge}\n")


def _script(bridge: str, subnet: str, elements: dict[str, list[str]], marker: str = "") -> str:
    return RULES.format(
        table=bridge,
        bridge=bridge,
        subnet=subnet,
        any=ANY,
        one=ONE,
        any_elements=_elements(elements[ANY]),
        one_elements=_elements(elements[ONE]),
        marker=marker or _marker(bridge, subnet),
    )


def _marker(bridge: str, subnet: str) -> str:
    """Return the name of a chain that only a table of these rules has."""
    from binascii import crc32

    rules = _script(bridge, subnet, {ANY: [], ONE: []}, marker="rules")
    return f"rules_{crc32(rules.encode()):08x}"


def _elements(lines: list[str]) -> str:
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
