"""Containers and their networks: what was asked for, checked; a start's part; connecting."""

from __future__ import annotations

import marshal
from os import strerror

from core.containers import state, stored
from core.containers.attach.session import connect as connect_monitor
from core.containers.attach.session import lost
from core.containers.supervision import protocol
from core.errors import Conflict, HostError, UsageError
from core.lean_json import dumps
from core.model import Endpoint, Port
from core.network.definition import DEFAULT, MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.containers.state import State
    from core.containers.stored import Row
    from core.database import Database
    from core.network.holders import Taken
    from core.network.network import Network
    from core.paths import Paths

SHARED = "container:"


def check(database: Database, network: Network, options: ContainerOptions) -> ContainerOptions:
    """Return options whose networks are there; a container whose network is shared is an ID.

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
    found = []
    for endpoint in endpoints_of(options):
        there = network.find(endpoint.network)
        if there.name in found:
            raise UsageError(f"network {there.name} is named twice", subject=there.name)
        found.append(there.name)
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
    return options


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


def prepare(network: Network, row: Row, taken: Taken) -> dict[str, Any]:
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
        )
    return {"mode": "container", "ports": [], "attachments": []}


def connect(
    paths: Paths,
    database: Database,
    network: Network,
    row: Row,
    found: State,
    endpoint: Endpoint,
    taken: Taken,
) -> dict[str, Any]:
    """Put a container on one more network, at once if it runs; the caller holds its lock.

    Returns what is different of the way out of a running one.  Raises NotFound, Conflict,
    UsageError or HostError, and nothing has changed then.
    """
    options = row.options
    if options.network == "host" or options.network.startswith(SHARED):
        raise Conflict(
            f"container {row.name} uses the network of "
            f"{'the host' if options.network == 'host' else 'another container'}",
            hint="make it anew with --network NAME",
            subject=row.name,
        )
    target = network.find(endpoint.network)
    endpoint = endpoint.replace(network=target.name)
    before = endpoints_of(options)
    if any(one.network == target.name for one in before):
        raise Conflict(f"container {row.name} is on network {target.name} already")
    after = options.replace(
        network=before[0].network if before else target.name, endpoints=(*before, endpoint)
    )
    check(database, network, after)
    main: dict[str, Any] = {}
    if found.state in state.ALIVE and not _is_connected(network, row.id, target.name):
        network.ensure(target, taken)
        networks = [network.find(one.network) for one in before]
        try:
            change = network.connecting(row.id, (row.name,), networks, target, endpoint)
            _tell(paths, network, row, change)
            main = change["main"]
        except BaseException:
            network.release(row.id, (target.name,))
            raise
    _store(database, row, after)
    return main


def disconnect(
    paths: Paths, database: Database, network: Network, row: Row, found: State, name: str
) -> dict[str, Any]:
    """Take a container off a network, at once if it runs; the caller holds its lock.

    Returns what is different of the way out of a running one.  Raises NotFound, Conflict when
    it is not on it, HostError.
    """
    options = row.options
    before = endpoints_of(options)
    target = network.find(name)
    if all(one.network != target.name for one in before):
        raise Conflict(
            f"container {row.name} is not on network {target.name}",
            hint=f"limpet network inspect {target.name} shows who is",
            subject=row.name,
        )
    main: dict[str, Any] = {}
    if found.state in state.ALIVE:
        networks = [network.find(one.network) for one in before]
        change = network.disconnecting(row.id, networks, target)
        _tell(paths, network, row, change)
        main = change["main"]
    network.release(row.id, (target.name,))
    left = tuple(one for one in before if one.network != target.name)
    _store(
        database, row, options.replace(network=left[0].network if left else "none", endpoints=left)
    )
    return main


def _is_connected(network: Network, container_id: str, name: str) -> bool:
    """Whether a connect that was cut short had come to its end but for the database."""
    from core.network.names import attachments

    return name in attachments(network.zones, container_id)


def _tell(paths: Paths, network: Network, row: Row, change: dict[str, Any]) -> None:
    """Let the container's monitor make a change; HostError when it cannot."""
    change["zones"] = tuple(network.zones.as_dict().values())
    channel = connect_monitor(paths.container_run(row.id))
    if channel is None:
        raise lost()
    with protocol.Closing(channel):
        channel.send(bytes((protocol.NETWORK,)) + marshal.dumps(change))
        while message := protocol.receive(channel):
            if message[0] == protocol.ANSWER:
                if message[1]:
                    raise HostError(
                        f"the network of container {row.name} cannot be changed: "
                        f"{message[2:].decode() or strerror(message[1])}",
                        errno=message[1],
                        hint="limpet doctor shows what the networks of this host lack",
                        subject=row.name,
                    )
                return
    raise lost()


def _store(database: Database, row: Row, options: ContainerOptions) -> None:
    document = {
        **row.document,
        "network": options.network,
        "endpoints": [one.as_dict() for one in options.endpoints],
    }
    with database.write() as sql:
        sql.execute("UPDATE containers SET options=? WHERE id=?", (dumps(document), row.id))


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
