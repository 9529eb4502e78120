"""Gives containers their networks: none, the host's, another container's, or bridges.

What can be done ahead is done here; what must happen while the container starts is plain
data for `attachment.veth` and `ports.publishing`.  When bridge and table are there already,
`prepare` costs a few questions to the kernel and one transaction.  A container without a
network must not pay for one: what the bridge takes is imported where it is used.
"""

from __future__ import annotations

import os

from core.errors import ConfigError, Conflict, HostError, NotFound, NotPermitted, UsageError
from core.file_lock import FileLock
from core.model import Endpoint
from core.network.definition import DEFAULT, MODES, BridgeNetwork, is_device_name
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.config import Config
    from core.database import Database
    from core.model import Fact, Port
    from core.network.addresses import Subnet
    from core.network.definition import NetworkOptions
    from core.network.names import Zones
    from core.network.ports.holders import Taken
    from core.network.ports.publishing import Published
    from core.paths import Paths


class Network:
    """The networks of this host.  Safe to share between threads and between processes."""

    def __init__(self, paths: Paths, database: Database, config: Config) -> None:
        self._paths = paths
        self._database = database
        self._config = config

    # -- which networks there are ----------------------------------------------------

    @property
    def bridge(self) -> str:
        """The default bridge's device, and its table; ConfigError if it is none."""
        name: str = self._config["network", "bridge"]
        if not is_device_name(name):
            raise ConfigError(
                f"network.bridge = {name!r}: a device's name has at most 15 letters, "
                "digits and . _ -, a letter first",
            )
        return name

    @property
    def subnet(self) -> Subnet:
        """The default bridge's addresses; ConfigError for a text that is no subnet."""
        return self._subnet("subnet", 32)

    @property
    def default(self) -> BridgeNetwork:
        """The default network, as config.toml has it.  Raises ConfigError."""
        subnet, text6 = self.subnet, self._config["network", "subnet6"]
        subnet6 = self._subnet("subnet6", 128) if text6 else None
        return BridgeNetwork(
            name=DEFAULT,
            device=self.bridge,
            subnet=str(subnet),
            gateway=subnet.gateway,
            subnet6=str(subnet6 or ""),
            gateway6=subnet6.gateway if subnet6 else "",
            mtu=self._config["network", "mtu"],
        )

    @property
    def zones(self) -> Zones:
        """Who is on which network now."""
        from core.network.names import Zones

        return Zones(self._paths.networks, self._paths.containers)

    def all(self) -> list[BridgeNetwork]:
        """Return the default network and those that were made, the oldest first."""
        from core.network import stored

        return [self.default, *stored.all_networks(self._database)]

    def find(self, name: str) -> BridgeNetwork:
        """Return a network by name or ID; NotFound with names like it."""
        found = self.get(name)
        if found is None:
            raise self._unknown(name)
        return found

    def get(self, name: str) -> BridgeNetwork | None:
        """Return a network by name or ID, None if there is none."""
        if name == DEFAULT:
            return self.default
        from core.network import stored

        return stored.find(self._database, name)

    def create(self, options: NetworkOptions) -> BridgeNetwork:
        """Make a network; its bridge comes with its first container.

        Raises UsageError for options that make no sense, Conflict for a name or a subnet
        that is taken, HostError.
        """
        from core.network import stored
        from core.network.addresses import Subnet
        from core.network.definition import define
        from core.network.host import bridge

        with self._lock():
            others = self.all()
            used = [Subnet(text) for one in others for text in (one.subnet, one.subnet6) if text]
            used += [subnet for _, subnet in bridge.host_routes()]
            if is_rootless():
                from core.network.rootless import pasta

                used.append(Subnet(pasta.SUBNET))
            made = define(options, self._config["network", "pool"], used)
            if bridge.exists(made.device):
                raise Conflict(f"this host has a device {made.device} already", subject=made.device)
            stored.insert(self._database, made)
        return made

    def remove(self, name: str, users: Callable[[str], Sequence[str]]) -> None:
        """Remove a network, its bridge and its table.

        `users(name)` returns the containers that name it, asked when nobody can make one on it
        any more.  Raises InUse naming them, NotFound, Conflict for a network of limpet's own.
        """
        from core.network import stored

        if name in (DEFAULT, *MODES):
            raise Conflict(
                f"{name} is a network of limpet's own",
                hint="limpet network prune removes its bridge while nobody uses it",
            )
        found = self.find(name)
        with self._alone(), self._database.write() as sql:
            stored.delete(sql, found.name, users(found.name))
            # Cut short here, the network is there still, and a start makes its bridge again.
            self._take_away(found.device)

    # -- a container's start and end -------------------------------------------------

    def prepare(
        self,
        container_id: str,
        mode: str,
        publish: Sequence[Port],
        taken: Taken,
        endpoints: Sequence[Endpoint] = (),
        names: Sequence[str] = (),
        monitored: Callable[[str], bool] = lambda _: False,
    ) -> dict[str, Any]:
        """Return what a container's start needs to know of its network, plain data.

        `mode` is `host`, `none`, or the network of a container without `endpoints`; `names`
        are what others on its networks call it.  Makes bridges and tables when they are
        missing and leases addresses, which the container keeps until `release`.  `taken`
        tells which published ports belong to which running container, `monitored` whether a
        container has a monitor, which may be about to start it again.  Raises NotFound for an
        unknown network, Conflict for a port that is taken (naming the holder) or when no address
        is free, HostError when the host refuses.
        """
        if mode in MODES:
            if publish:
                raise Conflict(
                    f"--network {mode} has no ports to publish",
                    hint="leave -p out, or use --network bridge",
                )
            return {"mode": mode, "ports": [], "attachments": []}
        from core.network.attachment import wiring

        endpoints = endpoints or (Endpoint(mode),)
        networks = [self.find(endpoint.network) for endpoint in endpoints]
        for network in networks:
            self.ensure(network, taken)
        ports = self._resolve(wiring.way_out(networks), publish, taken) if publish else []
        places = list(zip(networks, endpoints, strict=True))
        if is_rootless():
            from core.network.rootless import user_networks

            return user_networks.prepare(
                self._database, self.zones, places, container_id, names, ports
            )
        return {
            **wiring.attach_all(
                self._database, places, container_id, names, wiring.attached_or(monitored)
            ),
            "mode": networks[0].name,
            "ports": ports,
            "zones": tuple(self.zones.as_dict().values()),
        }

    def connecting(
        self,
        container_id: str,
        called: Sequence[str],
        before: Sequence[BridgeNetwork],
        network: BridgeNetwork,
        endpoint: Endpoint,
        monitored: Callable[[str], bool],
    ) -> dict[str, Any]:
        """Return the change that puts a running container, `called` so, on one more network.

        `monitored` as in `prepare`.  Raises Conflict or UsageError for an address that cannot be
        had.
        """
        if is_rootless():
            from core.network.rootless.user_networks import connecting

            return connecting(
                self._database, self.zones, container_id, called, before, network, endpoint
            )
        from core.network.attachment import changes

        return changes.connecting(
            self._database, container_id, called, before, network, endpoint, monitored
        )

    def disconnecting(
        self, container_id: str, before: Sequence[BridgeNetwork], network: BridgeNetwork
    ) -> dict[str, Any]:
        """Return the change that takes a running container off a network."""
        if is_rootless():
            from core.network.rootless.user_networks import disconnecting

            return disconnecting(self.zones, container_id, before, network)
        from core.network.attachment import changes

        return changes.disconnecting(self.zones, container_id, before, network)

    def release(self, container_id: str, networks: Sequence[str] = ()) -> None:
        """Give a container's addresses back, on some networks or all; it may have none."""
        from core.network import addresses

        addresses.release(self._database, container_id, networks)

    def withdraw(self, container_id: str, table: str, ports: Sequence[Published]) -> None:
        """Take back what a killed monitor left: names, and ports that no living one has."""
        from core.network import names

        try:
            names.leave(self.zones, container_id)
            if ports and table:
                from core.network.ports import publishing

                publishing.unpublish(table, [port for port in ports if publishing.is_free(port)])
        except OSError:
            pass  # the table is gone, and the ports with it

    def withdraw_start(self, container_id: str) -> None:
        """Take back the names and ports of a start that was killed before it was written down."""
        self.withdraw(container_id, "", ())
        if is_rootless():
            return  # its ports were those of a pasta, which ends with the namespace
        from core.network import addresses

        for name, address in addresses.of_container(self._database, container_id):
            if network := self.get(name):
                from core.network.ports import publishing

                publishing.unpublish_address(network.device, address)

    def renamed(self, container_id: str, old: str, new: str) -> None:
        """Let a running container be found under its new name."""
        from core.network import names

        names.rename(self.zones, container_id, old, new)

    # -- bridge and table ------------------------------------------------------------

    def starting(self) -> FileLock:
        """Return the right to rely on bridges and tables, from `prepare` to the cable."""
        if not os.path.exists(self._paths.run):
            self._paths.make()
        return FileLock(self._paths.starting, shared=True)

    def ensure(self, network: BridgeNetwork, taken: Taken) -> None:
        """Make what is missing of a network's bridge, table and settings.

        An ordinary user's bridges are made by monitors: `core.network.rootless.user_bridges`.
        """
        if is_rootless():
            return
        from core.network.host import bridge, firewall, made
        from core.network.ports.holders import in_table

        if self._is_ready(network):
            return
        # Asked before the lock: whoever answers may wait for a container's lock.
        held = taken()
        with self._lock():
            if self._is_ready(network):
                return
            if not bridge.exists(network.device):
                made.note(self._paths, network.device)
            bridge.make_bridge(network)
            if not firewall.is_current(network):
                firewall.make_table(network, list(in_table(network.device, held)))

    def teardown(self, *, users: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        """Remove the default network's bridge and table; a start makes them again.

        Nothing happens while there are `users(name)` of it.
        """
        with self._alone():
            if not users(DEFAULT):
                self._take_away(self.bridge)

    def _alone(self) -> FileLock:
        """Return the right to take bridges away: nobody is starting a container meanwhile."""
        self._paths.make()
        return FileLock(self._paths.starting)

    def _take_away(self, device: str) -> None:
        if is_rootless():
            from core.network.rootless import user_bridges

            user_bridges.remove_bridge(self.zones, device)
            return
        from core.network.host import bridge, firewall, made

        with self._lock():
            bridge.remove_bridge(device)
            firewall.remove_table(device)
            made.forget(self._paths, device)

    def facts(self) -> list[Fact]:
        """Return what is known of the networks and of firewalls in their way."""
        from core.network.host import status

        return list(status.facts(self.all()))

    def _subnet(self, key: str, bits: int) -> Subnet:
        from core.network.addresses import Subnet

        text = self._config["network", key]
        try:
            subnet = Subnet(text)
        except ValueError as error:
            raise ConfigError(f"network.{key}: {error}") from None
        if subnet.bits != bits:
            raise ConfigError(f"network.{key} = {text!r} is of the other family")
        if not 8 <= subnet.prefix <= bits - 2:
            raise ConfigError(f"network.{key} = {text!r}: the prefix must be from 8 to {bits - 2}")
        return subnet

    def _unknown(self, name: str) -> NotFound:
        import difflib

        known = [*(network.name for network in self.all()), *MODES]
        near = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"networks are: {', '.join(known)}"
        return NotFound(
            f"there is no network {name!r}",
            hint=f"{hint}; limpet network create {name} makes one",
            subject=name,
        )

    def _is_ready(self, network: BridgeNetwork) -> bool:
        from core.network.host import bridge, firewall

        try:
            return bridge.ready(network) and firewall.is_current(network)
        except PermissionError as error:
            raise NotPermitted(
                "a bridge network takes root",
                hint="run limpet as root, or use --network host or none",
                errno=error.errno or 0,
            ) from error
        except OSError as error:
            raise HostError(
                f"the kernel does not tell of its nftables: {error.strerror}",
                hint="modprobe nf_tables, or use --network host or none",
                errno=error.errno or 0,
            ) from error

    def _resolve(
        self, network: BridgeNetwork | None, publish: Sequence[Port], taken: Taken
    ) -> list[Published]:
        from core.network.host import bridge
        from core.network.ports import publishing
        from core.network.ports.choice import resolve

        if network is None:
            raise UsageError(
                "ports cannot be published on an internal network",
                hint="leave -p out, or add --network bridge",
            )
        ports = resolve(
            publish,
            self._config["network", "publish_ip"],
            {port: holder.name for port, holder in taken().items()},
            ipv6=bool(network.subnet6) and not is_rootless(),
        )
        if is_rootless():
            return ports
        if any(port[0] == publishing.ANY_ADDRESS or port[0].startswith("127.") for port in ports):
            bridge.allow_loopback(network.device)
        return ports

    def _lock(self) -> FileLock:
        self._paths.make()
        return FileLock(f"{self._paths.run}/network.lock")
