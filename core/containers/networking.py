"""Containers and their networks: what was asked for, checked, and what a start needs of it."""

from __future__ import annotations

from core.containers import stored
from core.errors import NotFound, UsageError
from core.model import Endpoint, Port
from core.network.definition import DEFAULT, MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.containers.stored import Row
    from core.database import Database
    from core.network.network import Network
    from core.network.ports.holders import Taken

SHARED = "container:"


def check(database: Database, network: Network, options: ContainerOptions) -> ContainerOptions:
    """Return options whose networks are there, by their names; a container whose network is
    shared is an ID.

    Raises NotFound for a network or container, UsageError for options that do not go together.
    """
    if options.network.startswith(SHARED):
        _check_shared(options)
        other = stored.find(database, options.network.removeprefix(SHARED))
        if other.options.network == "host":
            return options.replace(network="host")
        return options.replace(network=SHARED + other.id)
    if options.network in MODES:
        return options
    found: list[Endpoint] = []
    for endpoint in endpoints_of(options):
        there = network.find(endpoint.network)
        if any(one.network == there.name for one in found):
            raise UsageError(f"network {there.name} is named twice", subject=there.name)
        found.append(endpoint.replace(network=there.name))
        for pool, address in ((there.pool, endpoint.ip), (there.pool6, endpoint.ip6)):
            if address and (pool is None or not pool.offers(address)):
                subnets = " and ".join(filter(None, (there.subnet, there.subnet6)))
                raise UsageError(
                    f"{address} is no address for a container on network {there.name}",
                    hint=f"its subnet is {subnets}",
                    subject=address,
                )
        if endpoint.aliases and not there.resolves:
            raise UsageError(
                "containers on the default network are not found by name",
                hint=f"limpet network create NAME, then --network NAME "
                f"--network-alias {endpoint.aliases[0]}",
            )
    return options.replace(
        network=found[0].network, endpoints=tuple(found) if options.endpoints else ()
    )


def require_networks(sql: Connection, row: Row) -> None:
    """Raise NotFound for a network that is gone, within the transaction that stores the row.

    Removing a network looks for containers within one, too: none is left without its network.
    """
    for name in names_of(row.document):
        if name in (DEFAULT, *MODES) or name.startswith(SHARED):
            continue
        if not sql.execute("SELECT 1 FROM networks WHERE name=?", (name,)).fetchone():
            raise NotFound(
                f"network {name} was removed meanwhile",
                hint=f"limpet network create {name} makes one",
                subject=name,
            )


def _check_shared(options: ContainerOptions) -> None:
    """Refuse what belongs to the container whose network is used."""
    named = {
        "-p or -P": options.publish or options.publish_all,
        "--hostname": options.hostname,
        "--add-host": options.add_hosts,
        "--dns": options.dns or options.dns_search or options.dns_options,
    }
    for flag, given in named.items():
        if given:
            raise UsageError(
                f"{flag} does not go with --network {SHARED}NAME",
                hint="give it to the container whose network is shared",
            )


def endpoints_of(options: ContainerOptions) -> tuple[Endpoint, ...]:
    """Return the networks a container is to be on, the first one first."""
    if options.network in MODES or options.network.startswith(SHARED):
        return ()
    return options.endpoints or (Endpoint(options.network),)


def names_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a stored container's networks, or its mode."""
    found = tuple(one["network"] for one in document.get("endpoints", ()))
    return found or (document["network"],)


def exposed(options: ContainerOptions, settings: Mapping[str, Any]) -> tuple[Port, ...]:
    """Return the ports that an image's config and a person say the program listens on."""
    found = dict.fromkeys(options.expose)
    for word in settings.get("ExposedPorts") or {}:
        number, _, protocol = str(word).partition("/")
        if number.isdecimal() and 0 < int(number) < 65536 and protocol in ("", "tcp", "udp"):
            found[Port("", 0, int(number), protocol or "tcp")] = None
    return tuple(found)


def published(options: ContainerOptions) -> tuple[Port, ...]:
    """Return the ports to publish: those that were named, and with -P the exposed ones."""
    if not options.publish_all:
        return options.publish
    named = {(port.container_port, port.protocol) for port in options.publish}
    return options.publish + tuple(
        port for port in options.expose if (port.container_port, port.protocol) not in named
    )


def prepare(
    network: Network,
    row: Row,
    taken: Taken,
    monitored: Callable[[str], bool] = lambda _: False,
) -> dict[str, Any]:
    """Return what a start needs to know of the container's network, see `Network.prepare`."""
    options = row.options
    if not options.network.startswith(SHARED):
        return network.prepare(
            row.id,
            options.network,
            published(options),
            taken,
            options.endpoints,
            (row.name,),
            monitored,
        )
    return {"mode": "container", "ports": [], "attachments": []}


def hosts_of(names: tuple[tuple[str, str], ...], gateway: str) -> tuple[tuple[str, str], ...]:
    """Return --add-host's names with addresses; `host-gateway` becomes the host's.

    Raises UsageError when the container has no way to the host.
    """
    if not gateway and any(address == "host-gateway" for _, address in names):
        raise UsageError(
            "host-gateway has no address: the container has no way out of its network",
            hint=f"use --network {DEFAULT}, or a network that is not internal",
        )
    return tuple(
        (name, gateway if address == "host-gateway" else address) for name, address in names
    )
