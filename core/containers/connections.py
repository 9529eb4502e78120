"""Containers that are put on networks and taken off them, running or not."""

from __future__ import annotations

import marshal
from os import strerror

from core.containers import ending, networking, repair, state, stored
from core.containers.attach.session import connect
from core.containers.host import OnHost
from core.containers.starter import Starter
from core.containers.stored import Lock, Row
from core.containers.supervision import protocol
from core.errors import Conflict, HostError
from core.lean_json import dumps
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.containers.host import Host
    from core.containers.state import State
    from core.model import Endpoint
    from core.network.definition import BridgeNetwork


class Connections(OnHost):
    """Which containers are on which networks.  Safe to share between threads."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._starter = Starter(host)

    def connect(self, reference: str, endpoint: Endpoint) -> None:
        """Put a container on one more network, at once if it runs.

        Raises NotFound, Conflict, UsageError or HostError, and nothing has changed then.
        """
        require_root("connecting a container")
        row = stored.find(self._database, reference)
        with Lock(self._paths, row.id), self._network.starting():
            row = stored.find(self._database, row.id)
            found = repair.locked_state(self._paths, self._network, row.id)
            self._rewrite_resolver(row, self._connect(row, found, endpoint))

    def disconnect(self, reference: str, network: str) -> None:
        """Take a container off a network, at once if it runs; Conflict when it is not on it."""
        require_root("disconnecting a container")
        row = stored.find(self._database, reference)
        with Lock(self._paths, row.id):
            row = stored.find(self._database, row.id)
            found = repair.locked_state(self._paths, self._network, row.id)
            self._rewrite_resolver(row, self._disconnect(row, found, network))

    def users_of(self, network: str) -> Sequence[str]:
        """Return the names of the containers that are on a network, running or not."""
        return stored.users_of(self._database, "network", network)

    def users(self) -> Mapping[str, Sequence[str]]:
        """Return the names of containers, running or not, by the network that they are on."""
        return stored.users(self._database, "network")

    def _connect(self, row: Row, found: State, endpoint: Endpoint) -> dict[str, Any]:
        """Return what is different of the way out of a running container."""
        options, network = row.options, self._network
        if options.network == "host" or options.network.startswith(networking.SHARED):
            raise Conflict(
                f"container {row.name} uses the network of "
                f"{'the host' if options.network == 'host' else 'another container'}",
                hint="make it anew with --network NAME",
                subject=row.name,
            )
        target = network.find(endpoint.network)
        endpoint = endpoint.replace(network=target.name)
        before = networking.endpoints_of(options)
        if any(one.network == target.name for one in before):
            raise Conflict(f"container {row.name} is on network {target.name} already")
        after = options.replace(
            network=before[0].network if before else target.name, endpoints=(*before, endpoint)
        )
        networking.check(self._database, network, after)
        main: dict[str, Any] = {}
        if found.state in state.ALIVE and not self._is_connected(row.id, target.name):
            main = self._plug(row, before, target, endpoint)
        self._store(row, after)
        return main

    def _plug(
        self, row: Row, before: Sequence[Endpoint], target: BridgeNetwork, endpoint: Endpoint
    ) -> dict[str, Any]:
        """Let a running container's monitor plug it in; return as `_connect` does."""
        network = self._network
        network.ensure(target, self._starter.ports)
        networks = [network.find(one.network) for one in before]
        try:
            change = network.connecting(
                row.id, (row.name,), networks, target, endpoint, self._starter.monitored
            )
            told = self._tell(row, change)
        except Exception:
            network.release(row.id, (target.name,))
            raise
        if not told:  # it will be when it is started again
            network.release(row.id, (target.name,))
        return change["main"] if told else {}

    def _disconnect(self, row: Row, found: State, name: str) -> dict[str, Any]:
        """Return what is different of the way out of a running container."""
        options, network = row.options, self._network
        before = networking.endpoints_of(options)
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
            main = change["main"] if self._tell(row, change) else {}
        network.release(row.id, (target.name,))
        left = tuple(one for one in before if one.network != target.name)
        self._store(
            row, options.replace(network=left[0].network if left else "none", endpoints=left)
        )
        return main

    def _is_connected(self, container_id: str, name: str) -> bool:
        """Whether a connect that was cut short had come to its end but for the database."""
        from core.network.names import attachments

        return bool(attachments(self._network.zones, container_id, (name,)))

    def _tell(self, row: Row, change: dict[str, Any]) -> bool:
        """Let the container's monitor make a change; False when the container has ended.

        Raises HostError when it cannot be made.
        """
        change["zones"] = tuple(self._network.zones.as_dict().values())
        channel = connect(self._paths.container_run(row.id))
        if channel is not None:
            with protocol.Closing(channel):
                ending.say(channel, bytes((protocol.NETWORK,)) + marshal.dumps(change))
                while message := protocol.receive(channel):
                    if message[0] == protocol.ANSWER:
                        if message[1]:
                            raise _refused(row, message[1], message[2:].decode())
                        return True
        ending.await_gone(self._paths, row)
        return False

    def _store(self, row: Row, options: ContainerOptions) -> None:
        document = {
            **row.document,
            "network": options.network,
            "endpoints": [one.as_dict() for one in options.endpoints],
        }
        with self._database.write() as sql:
            sql.execute("UPDATE containers SET options=? WHERE id=?", (dumps(document), row.id))

    def _rewrite_resolver(self, row: Row, main: dict[str, Any]) -> None:
        """Another way out, or none, means other name servers."""
        if "gateway" in main:
            from core.containers import starting

            starting.write_resolver(self._paths, self._config, row, {"mode": "bridge", **main})


def _refused(row: Row, number: int, text: str) -> HostError:
    return HostError(
        f"the network of container {row.name} cannot be changed: {text or strerror(number)}",
        errno=number,
        hint="limpet doctor shows what the networks of this host lack",
        subject=row.name,
    )
