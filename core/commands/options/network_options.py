"""The options of `run` and `create` that say how a container is connected."""

from __future__ import annotations

from core.commands.grammar import flag, option
from core.commands.options import network_values as values
from core.commands.options.monitor_options import Monitored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.model import Endpoint, Port


class Networked(Monitored):
    """Networks, ports, and whom to ask for names."""

    network: tuple[Endpoint, ...] = option(
        "--network", "--net", help="a network, none, host, or container:NAME", many=True,
        metavar="NETWORK", convert=values.endpoint, complete="network",
    )  # fmt: skip
    network_alias: tuple[str, ...] = option(
        "--network-alias", "--net-alias", help="one more name on the network", many=True,
        metavar="NAME", convert=values.host_name,
    )  # fmt: skip
    ip: str = option("--ip", help="its IPv4 address", metavar="IP", convert=values.ipv4)
    ip6: str = option("--ip6", help="its IPv6 address", metavar="IP", convert=values.ipv6)
    mac_address: str = option(
        "--mac-address", help="its MAC address", metavar="MAC", convert=values.mac
    )
    publish: tuple[tuple[Port, ...], ...] = option(
        "-p", "--publish", help="reach a port from outside", many=True,
        metavar="[[IP:]HOST:]PORT", convert=values.publish,
    )  # fmt: skip
    publish_all: bool = flag("-P", "--publish-all", help="publish all exposed ports")
    expose: tuple[tuple[Port, ...], ...] = option(
        "--expose", help="a port the program listens on", many=True, metavar="PORT",
        convert=values.expose,
    )  # fmt: skip
    dns: tuple[str, ...] = option(
        "--dns", help="name server", many=True, metavar="IP", convert=values.address
    )
    dns_search: tuple[str, ...] = option(
        "--dns-search", help="domain to search; . for none", many=True, metavar="DOMAIN",
        convert=values.domain,
    )  # fmt: skip
    dns_option: tuple[str, ...] = option(
        "--dns-option", "--dns-opt", help="a word for resolv.conf's options", many=True,
        metavar="OPTION", convert=values.one_word,
    )  # fmt: skip
    add_host: tuple[tuple[str, str], ...] = option(
        "--add-host", help="a line for /etc/hosts; the address may be host-gateway", many=True,
        metavar="NAME:IP", convert=values.add_host,
    )  # fmt: skip


def network_options(args: Networked, default: str) -> dict[str, Any]:
    """Return the fields of ContainerOptions that these options set; UsageError for a clash."""
    wishes = values.Wishes(args.network_alias, args.ip, args.ip6, args.mac_address)
    network, endpoints = values.networks(args.network, wishes, default)
    return {
        "network": network,
        "endpoints": endpoints,
        "publish": tuple(port for ports in args.publish for port in ports),
        "publish_all": args.publish_all,
        "expose": tuple(port for ports in args.expose for port in ports),
        "dns": args.dns,
        "dns_search": args.dns_search,
        "dns_options": args.dns_option,
        "add_hosts": args.add_host,
    }
