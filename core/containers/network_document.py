"""The parts of docker's inspect document that tell of a container's networks and ports."""

from __future__ import annotations

from core.containers import networking, state
from core.network import names
from core.network.names import Zones

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.containers.state import State
    from core.model import Port
    from core.paths import Paths


def settings(
    paths: Paths, options: ContainerOptions, found: State, container_id: str
) -> dict[str, Any]:
    """Return `NetworkSettings`: where the container is now."""
    ports: dict[str, list[dict[str, str]]] = {
        key: [] for key in exposed_ports(options.expose) if found.state in state.ALIVE
    }
    for host_ip, host_port, inner, protocol in found.ports:
        host = {"HostIp": host_ip, "HostPort": str(host_port)}
        ports.setdefault(f"{inner}/{protocol}", []).append(host)
    endpoints = networking.endpoints_of(options)
    zones = Zones(paths.networks, paths.containers)
    places = names.attachments(zones, container_id, [one.network for one in endpoints])
    networks = {}
    for endpoint in endpoints:
        # One on the default network is in no zone: it has no names there.
        place = places.get(endpoint.network)
        alone = found.address if len(endpoints) == 1 or not place else ""
        address = place.address if place else alone
        networks[endpoint.network] = {
            "IPAMConfig": {"IPv4Address": endpoint.ip, "IPv6Address": endpoint.ip6},
            "Aliases": list(endpoint.aliases),
            "DNSNames": list(place.names) if place else [],
            "MacAddress": place.mac if place else endpoint.mac,
            "IPAddress": address,
            "Gateway": found.gateway if address and address == found.address else "",
            "GlobalIPv6Address": place.address6 if place else found.address6,
        }
    return {
        "Ports": ports,
        "IPAddress": found.address,
        "Gateway": found.gateway,
        "GlobalIPv6Address": found.address6,
        "Networks": networks or {options.network: {"IPAddress": "", "Gateway": ""}},
    }


def wishes(options: ContainerOptions) -> dict[str, Any]:
    """Return the part of `HostConfig` that says what was asked for."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in options.publish:
        wanted = str(port.host_port or "") + (f"-{port.host_last}" if port.host_last else "")
        host = {"HostIp": port.host_ip, "HostPort": wanted}
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(host)
    return {
        "NetworkMode": options.network,
        "PortBindings": bindings,
        "PublishAllPorts": options.publish_all,
        "Dns": list(options.dns),
        "DnsSearch": list(options.dns_search),
        "DnsOptions": list(options.dns_options),
        "ExtraHosts": [f"{name}:{address}" for name, address in options.add_hosts] or None,
    }


def exposed_ports(ports: Iterable[Port]) -> dict[str, dict[str, Any]]:
    """Return `ExposedPorts`."""
    return {f"{port.container_port}/{port.protocol}": {} for port in ports}
