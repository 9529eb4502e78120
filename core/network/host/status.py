"""What `limpet doctor` says of the bridge network, other firewalls above all.

nftables lets a packet through only if the chains of all tables do.  limpet changes no table
but its own, so a host whose FORWARD policy is to drop (docker and ufw set that) cuts its
containers off until the host's owner lets the bridge pass; here is how.
"""

from __future__ import annotations

import json
import os
import subprocess

from core.errors import Conflict, NotSupported
from core.model import Fact
from core.network.addresses import Subnet
from core.network.definition import PREFIX
from core.network.host import bridge, firewall
from core.network.host.sysctl import get_sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from core.network.definition import BridgeNetwork

LOW_PORTS = "net/ipv4/ip_unprivileged_port_start"
LEGACY_TABLES = "/proc/net/ip_tables_names"


def facts(networks: Sequence[BridgeNetwork]) -> Iterator[Fact]:
    """Yield what is known of bridge networks, the default one first."""
    try:
        nft = firewall.find_nft()
    except NotSupported as error:
        yield Fact("nft", False, error.message, error.hint)
        return
    there = [network for network in networks if bridge.exists(network.device)]
    # The default one is always told of, others once they are in use.
    for network in dict.fromkeys((networks[0], *there)):
        yield _bridge(network)
        yield _table(network)
    yield _forwarding("ip_forward", bridge.FORWARD, needed=bool(there))
    if any(network.subnet6 for network in there):
        yield _forwarding("ip6_forward", bridge.FORWARD6, needed=True)
    yield _low_ports()
    by_pattern: dict[str, list[BridgeNetwork]] = {}
    for network in there or networks[:1]:
        by_pattern.setdefault(_pattern(network), []).append(network)
    for name, group in by_pattern.items():
        devices = [network.device for network in group]
        ipv6 = any(network.subnet6 for network in group)
        yield from foreign_firewalls(name, devices, nft, ipv6=ipv6)


def _forwarding(name: str, setting: str, *, needed: bool) -> Fact:
    if get_sysctl(setting) == "1":
        return Fact(name, True, "packets are forwarded")
    if not needed:
        return Fact(name, True, "the first container on a bridge lets packets be forwarded")
    remedy = f"sysctl -w {setting.replace('/', '.')}=1"
    return Fact(name, False, "the kernel does not forward packets", remedy)


def _low_ports() -> Fact:
    """Tell from where on an ordinary user may publish; root may everywhere."""
    first = get_sysctl(LOW_PORTS) or "1024"
    if os.geteuid() == 0 or first == "0":
        return Fact("low ports", True, "all ports can be published")
    remedy = f"sysctl -w {LOW_PORTS.replace('/', '.')}=0, or publish from {first} on"
    return Fact("low ports", False, f"ports below {first} take root", remedy)


def _pattern(network: BridgeNetwork) -> str:
    """Return what a host's firewall is to let pass: rules for networks to come, too."""
    return f"{PREFIX}*" if network.device.startswith(PREFIX) else network.device


def foreign_firewalls(
    name: str, devices: Sequence[str], nft: str, *, ipv6: bool = False
) -> Iterator[Fact]:
    """Yield one fact for each firewall of the host that may stop the containers' packets.

    `name` is a bridge, or the beginning of several with `*` behind it, which `devices` are.
    """
    families = ("ip", "inet", "ip6") if ipv6 else ("ip", "inet")
    chains = [item["chain"] for item in _ruleset(nft) if "chain" in item]
    names = {(chain["family"], chain["table"], chain["name"]) for chain in chains}
    for chain in chains:
        place = f"{chain['family']} {chain['table']}"
        if chain.get("hook") != "forward" or chain["table"] in devices:
            continue
        rejects = chain.get("policy") == "drop" or chain["table"] == "firewalld"
        if rejects and chain["family"] in families:
            text = _output(nft, "list", "table", *place.split()) or ""
            passes = f'"{name}"' in text or all(f'"{device}"' in text for device in devices)
            remedy = _remedy(name, devices, chain, names)
            yield _stops(f"{place} {chain['name']}", passes, remedy)
    legacy = _output("iptables-legacy", "-S") if _has_legacy_filter() else None
    if legacy and "-P FORWARD DROP" in legacy:
        passes = f" {name.replace('*', '+')} " in legacy
        yield _stops("iptables-legacy FORWARD", passes, _iptables(name, "FORWARD"))


def _bridge(network: BridgeNetwork) -> Fact:
    name = network.device
    try:
        bridge.check_overlap(name, Subnet(network.subnet))
    except Conflict as error:
        return Fact("bridge", False, error.message, error.hint)
    if not bridge.exists(name):
        return Fact("bridge", True, f"{name} is made by the first container that needs it")
    if bridge.has_address(name, network.gateway):
        return Fact("bridge", True, f"{name} is up with {network.subnet}")
    return Fact("bridge", False, f"{name} is down or has another address",
                "it is mended by the next container that starts")  # fmt: skip


def _table(network: BridgeNetwork) -> Fact:
    name = network.device
    try:
        current = firewall.is_current(network)
    except OSError as error:
        return Fact("table", False, f"nftables cannot be asked: {error.strerror}", "run as root")
    if current or not bridge.exists(name):
        found = "there" if current else "not needed"
        return Fact("table", True, f"table inet {name} is {found}")
    remedy = f"start any container on {network.name}: it is made again, with all ports"
    lost = f"table inet {name} is missing: no published port answers"
    return Fact("table", False, lost, remedy)


def _stops(place: str, passes: bool, remedy: str) -> Fact:
    if passes:
        return Fact("firewall", True, f"{place} drops by default, and has rules for the bridge")
    return Fact("firewall", False, f"{place} may drop what containers send and receive", remedy)


def _remedy(
    name: str, devices: Sequence[str], chain: dict[str, Any], names: set[tuple[str, str, str]]
) -> str:
    place = (chain["family"], chain["table"])
    if chain["table"] == "firewalld":
        # It knows devices by their whole names only.
        added = " ".join(f"--add-interface={device}" for device in devices)
        return f"firewall-cmd --permanent --zone=trusted {added} && firewall-cmd --reload"
    if (*place, "DOCKER-USER") in names:
        return _iptables(name, "DOCKER-USER", chain["family"])
    if any((*place, user) in names for user in ("ufw-user-forward", "ufw6-user-forward")):
        device = name.replace("*", "+")
        return f"ufw route allow in on {device} && ufw route allow out on {device}"
    rule = f"nft insert rule {' '.join(place)} {chain['name']}"
    return f"{rule} iifname {name} accept && {rule} oifname {name} accept"


def _iptables(name: str, chain: str, family: str = "ip") -> str:
    program = "ip6tables" if family == "ip6" else "iptables"
    device = name.replace("*", "+")
    return " && ".join(f"{program} -I {chain} {way} {device} -j ACCEPT" for way in ("-i", "-o"))


def _ruleset(nft: str) -> list[dict[str, Any]]:
    text = _output(nft, "-j", "list", "chains")
    try:
        found: list[dict[str, Any]] = json.loads(text or "{}").get("nftables", [])
    except ValueError:
        return []
    return found


def _has_legacy_filter() -> bool:
    try:
        with open(LEGACY_TABLES, encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:
        return False


def _output(*command: str) -> str | None:
    """Return what a program prints, None when it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
