"""Gives containers a network: none, the host's, or an address on the bridge.

What can be done ahead is done here; what must happen while the container starts is plain
data for `core.network.hot`.  When bridge and table are there already, `prepare` costs a few
questions to the kernel and one transaction.  A container without a network must not pay for
one: what the bridge takes is imported where it is used.
"""

from __future__ import annotations

import fcntl
import os

from core.errors import ConfigError, Conflict, HostError, NotFound, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.config import Config
    from core.database import Database
    from core.model import Fact, Port
    from core.network.addresses import Subnet
    from core.network.hot import Published
    from core.paths import Paths

    Taken = Callable[[], Mapping[Published, str]]

MODES = ("bridge", "host", "none")
MTU = 1500
NAME_BYTES = 15
"""Of a network device: IFNAMSIZ without the zero byte."""


class Network:
    """The networks of this host.  Safe to share between threads and between processes."""

    def __init__(self, paths: Paths, database: Database, config: Config) -> None:
        self._paths = paths
        self._database = database
        self._config = config

    @property
    def bridge(self) -> str:
        """The bridge's device, and the name of the nftables table; ConfigError if it is none."""
        name: str = self._config["network", "bridge"]
        plain = name.replace("_", "").replace(".", "").replace("-", "")
        if len(name) > NAME_BYTES or not (plain.isalnum() and name.isascii() and name[0].isalpha()):
            raise ConfigError(
                f"network.bridge = {name!r}: a device's name has at most {NAME_BYTES} letters, "
                "digits and . _ -, a letter first",
            )
        return name

    @property
    def subnet(self) -> Subnet:
        """The bridge's addresses; ConfigError for a text that is no subnet."""
        from core.network.addresses import Subnet

        text = self._config["network", "subnet"]
        try:
            subnet = Subnet(text)
        except ValueError as error:
            raise ConfigError(f"network.subnet: {error}") from None
        if not 8 <= subnet.prefix <= 30:
            raise ConfigError(f"network.subnet = {text!r}: the prefix must be from 8 to 30")
        return subnet

    def prepare(
        self, container_id: str, mode: str, publish: Sequence[Port], taken: Taken
    ) -> dict[str, Any]:
        """Return what a container's start needs to know of its network, plain data.

        Makes the bridge and its table when they are missing and leases an address, which the
        container keeps until `release`.  `taken` tells which published ports belong to which
        running container (by name).  Raises NotFound for an unknown network, Conflict for a
        port that is taken (naming the holder) or when no address is free, HostError when the
        host refuses.
        """
        if mode not in MODES:
            raise NotFound(
                f"there is no network {mode!r}", hint=f"networks are: {', '.join(MODES)}"
            )
        if mode != "bridge":
            if publish:
                raise Conflict(
                    f"--network {mode} has no ports to publish",
                    hint="leave -p out, or use --network bridge",
                )
            return {"mode": mode, "ports": []}
        from core.network import addresses, bridge

        name, subnet = self.bridge, self.subnet
        self._ensure(name, subnet, taken)
        ports = self._resolve(name, publish, taken) if publish else []
        address = addresses.lease(self._database, subnet, container_id, _is_attached)
        attachment = {
            "device": device_name(container_id),
            "bridge": name,
            "mac": bridge.mac_address(address),
            "mtu": MTU,
            "address": address,
            "prefix": subnet.prefix,
            "broadcast": subnet.broadcast,
            "gateway": subnet.gateway,
        }
        return {
            "mode": mode,
            "ports": ports,
            "table": name,
            "address": address,
            "gateway": subnet.gateway,
            "attachment": attachment,
        }

    def release(self, container_id: str) -> None:
        """Give a container's address back; nothing happens when it has none."""
        from core.network import addresses

        addresses.release(self._database, container_id)

    def unpublish(self, address: str, ports: Sequence[Published]) -> None:
        """Take ports back that a killed monitor left published.  Raises OSError."""
        if ports:
            from core.network import hot

            hot.unpublish(self.bridge, address, ports)

    def teardown(self) -> None:
        """Remove bridge and table; they are made again by the next container."""
        from core.network import bridge, firewall

        with self._lock():
            bridge.remove_bridge(self.bridge)
            firewall.remove_table(self.bridge)

    def facts(self) -> list[Fact]:
        """Return what is known of the bridge network and of firewalls in its way."""
        from core.network import status

        return list(status.facts(self.bridge, self.subnet))

    def _ensure(self, name: str, subnet: Subnet, taken: Taken) -> None:
        """Make what is missing of bridge, table and settings."""
        from core.network import bridge, firewall

        if self._is_ready(name, subnet):
            return
        # Asked before the lock: whoever answers may wait for a container's lock.
        ports = taken()
        with self._lock():
            if self._is_ready(name, subnet):
                return
            bridge.make_bridge(name, subnet)
            if not firewall.is_current(name, str(subnet)):
                firewall.make_table(name, str(subnet), list(self._published(ports)))

    def _is_ready(self, name: str, subnet: Subnet) -> bool:
        from core.network import bridge, firewall

        try:
            return bridge.ready(name, subnet.gateway) and firewall.is_current(name, str(subnet))
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

    def _resolve(self, name: str, publish: Sequence[Port], taken: Taken) -> list[Published]:
        from core.network import bridge, hot
        from core.network.ports import resolve

        ports = resolve(publish, self._config["network", "publish_ip"], taken())
        if any(port[0] == hot.ANY_ADDRESS or port[0].startswith("127.") for port in ports):
            bridge.allow_loopback(name)
        return ports

    def _published(self, ports: Mapping[Published, str]) -> Iterator[tuple[str, list[Published]]]:
        """Yield the addresses of running containers with the ports they have published."""
        from core.network import addresses

        rows = self._database.query(
            "SELECT name, address FROM addresses JOIN containers ON id=container WHERE network=?",
            (addresses.NETWORK,),
        )
        for name, address in rows:
            own = [port for port, holder in ports.items() if holder == name]
            if own:
                yield address, own

    def _lock(self) -> _FileLock:
        self._paths.make()
        return _FileLock(f"{self._paths.run}/network.lock")


class _FileLock:
    """One process at a time: flock(2) on a file, as a context."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        # Unlocked by name: a process forked meanwhile shares the lock until it closes it.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


def device_name(container_id: str) -> str:
    """Return the host's end of a container's cable: `veth`, so that other programs let it be."""
    return "veth" + container_id[: NAME_BYTES - 4]


def _is_attached(container_id: str) -> bool:
    from core.network import bridge

    return bridge.exists(device_name(container_id))
