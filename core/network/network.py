"""Gives containers a network: none, the host's, or an address on the bridge.

What can be done ahead is done here; what must happen while the container starts is plain
data for `core.network.hot`.  When bridge and table are there already, `prepare` costs two
looks at /sys and one transaction.
"""

from __future__ import annotations

import os

from core.errors import Conflict, NotFound
from core.linux.sockets import Socket
from core.network import bridge, firewall, hot
from core.network.addresses import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.config import Config
    from core.database import Database
    from core.model import Port
    from core.paths import Paths

    Resolved = tuple[str, int, int, str]

MTU = 1500


class Network:
    """The networks of this host."""

    def __init__(self, paths: Paths, database: Database, config: Config) -> None:
        self._paths = paths
        self._database = database
        self._config = config
        self.bridge: str = config["network", "bridge"]

    @property
    def subnet(self) -> Subnet:
        """The default network's addresses."""
        return Subnet(self._config["network", "subnet"])

    def prepare(
        self,
        container_id: str,
        mode: str,
        publish: Sequence[Port],
        taken: Callable[[], dict[Resolved, str]],
    ) -> dict[str, Any]:
        """Return what a container's start needs to know of its network.

        `taken` tells which published ports belong to which running container.  Raises
        NotFound for an unknown network, Conflict for a port that is taken (naming the
        holder) or when no address is free, HostError when the host refuses.
        """
        if mode in ("none", "host"):
            if publish:
                raise Conflict(
                    f"--network {mode} has no ports to publish",
                    hint="leave -p out, or use --network bridge",
                )
            return {"mode": mode, "ports": []}
        if mode != "bridge":
            raise NotFound(f"there is no network {mode!r}", hint="networks are: none, host, bridge")
        self._make()
        subnet = self.subnet
        ports = self._resolve_ports(publish, taken) if publish else []
        address = self._lease(container_id, subnet)
        packed = bytes(map(int, address.split(".")))
        return {
            "mode": mode,
            "ports": ports,
            "table": self.bridge,
            "address": address,
            "gateway": subnet.gateway,
            "attachment": {
                "device": "lp" + container_id[:12],
                "bridge": self.bridge,
                "mac": b"\x02\x42" + packed,
                "mtu": MTU,
                "address": address,
                "prefix": subnet.prefix,
                "gateway": subnet.gateway,
            },
        }

    def release(self, container_id: str) -> None:
        """Give a container's address back."""
        if self._database.query("SELECT 1 FROM addresses WHERE container=?", (container_id,)):
            with self._database.write() as sql:
                sql.execute("DELETE FROM addresses WHERE container=?", (container_id,))

    def unpublish(self, address: str, ports: Sequence[Resolved]) -> None:
        """Take ports back that a killed monitor left published."""
        if ports:
            hot.unpublish(self.bridge, address, list(ports))

    def teardown(self) -> None:
        """Remove bridge and table; they are made again by the next container."""
        bridge.remove_bridge(self.bridge)
        firewall.remove_table(self.bridge)
        if os.path.exists(self._marker):
            os.unlink(self._marker)

    @property
    def _marker(self) -> str:
        """A file of this boot (it lies on a tmpfs) that says the table has been made."""
        return f"{self._paths.run}/network-{self.bridge}"

    def _make(self) -> None:
        subnet = self.subnet
        wanted = f"{subnet.text} {bridge.exists(self.bridge)}"
        if wanted.endswith("True") and _read(self._marker) == wanted:
            return
        for route in bridge.host_routes():
            if subnet.overlaps(Subnet(route)) and not bridge.exists(self.bridge):
                raise Conflict(
                    f"the subnet {subnet.text} overlaps {route} of this host",
                    hint="set network.subnet in config.toml to a free one",
                )
        bridge.make_bridge(self.bridge, subnet.gateway, subnet.prefix)
        firewall.make_table(self.bridge, subnet.text)
        with open(self._marker, "w", encoding="ascii") as file:
            file.write(f"{subnet.text} True")

    def _lease(self, container_id: str, subnet: Subnet) -> str:
        """Take a free address, the container's last one if it can be had."""
        with self._database.write() as sql:
            rows = sql.execute("SELECT address, container FROM addresses WHERE network='bridge'")
            leases = dict(rows.fetchall())
            for address, holder in leases.items():
                if holder == container_id:
                    return str(address)
            found = subnet.free(leases)
            if found is None:
                raise Conflict(
                    f"no address is free in {subnet.text}",
                    hint="remove stopped containers, or set a larger network.subnet",
                )
            sql.execute(
                "INSERT INTO addresses (network, address, container) VALUES ('bridge',?,?)",
                (found, container_id),
            )
            return found

    def _resolve_ports(
        self, publish: Sequence[Port], taken: Callable[[], dict[Resolved, str]]
    ) -> list[Resolved]:
        """Fill in host addresses and free ports; Conflict names who holds a taken one."""
        holders = {(ip, port, kind): name for (ip, port, _, kind), name in taken().items()}
        found: list[Resolved] = []
        for port in publish:
            ip = port.host_ip or self._config["network", "publish_ip"]
            number = port.host_port or _free_port(ip, port.protocol)
            for (other, held, kind), name in holders.items():
                same_place = ip == other or "0.0.0.0" in (ip, other)
                if held == number and kind == port.protocol and same_place:
                    raise Conflict(
                        f"port {number}/{kind} is published by container {name}",
                        hint=f"stop {name}, or publish another port",
                    )
            _check_free(ip, number, port.protocol)
            holders[ip, number, port.protocol] = "this one, twice"
            found.append((ip, number, port.container_port, port.protocol))
        return found


def _check_free(ip: str, number: int, protocol: str) -> None:
    """Bind for a moment: a program of the host that listens there would lose its traffic."""
    import _socket

    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    with Socket(_socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, number))
        except OSError as error:
            raise Conflict(
                f"port {number}/{protocol} on {ip} cannot be published: {error.strerror}",
                hint=f"ss -lnp shows who listens; or publish another port: -p {number + 1}:PORT",
            ) from error


def _free_port(ip: str, protocol: str) -> int:
    import _socket

    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    with Socket(_socket.AF_INET, kind) as probe:
        probe.bind((ip, 0))
        return int(probe.getsockname()[1])


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
