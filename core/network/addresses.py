"""Subnets as numbers, and which container has which address.

`ipaddress` would do the first, and costs five milliseconds to import.
"""

from __future__ import annotations

import _socket
import time

from core.errors import Conflict, UsageError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Container, Sequence

    from core.database import Database

STARTING_S = 60
"""A lease younger than this may belong to a container that is just being started."""


class Subnet:
    """A subnet such as 10.89.0.0/16 or fd00::/64; ValueError for a text that is none."""

    def __init__(self, text: str) -> None:
        address, _, length = text.partition("/")
        self.bits = 128 if ":" in address else 32
        self.prefix = int(length) if length.isdecimal() and length.isascii() else -1
        number = parse_address6(address) if self.bits == 128 else parse_address(address)
        if number is None or not 0 < self.prefix <= self.bits:
            raise ValueError(f"{text!r} is not a subnet such as 10.89.0.0/16 or fd00::/64")
        size = 1 << (self.bits - self.prefix)
        self.first = number & ~(size - 1)
        self.last = self.first + size - 1

    def __str__(self) -> str:
        return f"{self.write(self.first)}/{self.prefix}"

    def __contains__(self, address: str) -> bool:
        number = self.read(address)
        return number is not None and self.first <= number <= self.last

    @property
    def gateway(self) -> str:
        """The first address that a host can have."""
        return self.write(self.first + 1)

    @property
    def broadcast(self) -> str:
        """The last address."""
        return self.write(self.last)

    def read(self, address: str) -> int | None:
        """Return an address of this family as a number, None for anything else."""
        return parse_address6(address) if self.bits == 128 else parse_address(address)

    def write(self, number: int) -> str:
        """Return an address of this family as people write it."""
        if self.bits == 32:
            return dotted(number)
        return _socket.inet_ntop(_socket.AF_INET6, number.to_bytes(16, "big"))

    def overlaps(self, other: Subnet) -> bool:
        """Return whether the two share an address."""
        same_family = self.bits == other.bits
        return same_family and self.first <= other.last and other.first <= self.last


class Pool(Record):
    """The addresses that containers on one network get."""

    network: str
    """As the leases name it."""
    subnet: Subnet
    gateway: str
    span: Subnet
    """The part of the subnet that those come from who ask for none in particular."""

    def free(self, taken: Container[str]) -> str | None:
        """Return the lowest address for a container that is not taken, None if all are."""
        for number in range(self.span.first, self.span.last + 1):
            address = self.subnet.write(number)
            if address not in taken and self._usable(number, address):
                return address
        return None

    def offers(self, address: str) -> bool:
        """Return whether a container can have this address."""
        number = self.subnet.read(address)
        return number is not None and self._usable(number, address)

    def _usable(self, number: int, address: str) -> bool:
        """The first and the last are a subnet's own: network and broadcast, or anycast."""
        return self.subnet.first < number < self.subnet.last and address != self.gateway


def make_pool(network: str, subnet: str, gateway: str = "", span: str = "") -> Pool:
    """Return a pool; ValueError for texts that are no subnets."""
    whole = Subnet(subnet)
    return Pool(network, whole, gateway or whole.gateway, Subnet(span) if span else whole)


def parse_address(text: str) -> int | None:
    """Return an IPv4 address in four decimal parts as a number, None for anything else."""
    parts = text.split(".")
    if len(parts) != 4:
        return None
    if not all(part.isdecimal() and part.isascii() and len(part) < 4 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return int.from_bytes(bytes(numbers), "big") if max(numbers) < 256 else None


def parse_address6(text: str) -> int | None:
    """Return an IPv6 address as a number, None for anything else."""
    try:
        return int.from_bytes(_socket.inet_pton(_socket.AF_INET6, text), "big")
    except (OSError, ValueError):
        return None


def dotted(number: int) -> str:
    """Return an address as people write it."""
    return ".".join(map(str, number.to_bytes(4, "big")))


def lease(
    database: Database,
    pool: Pool,
    container: str,
    attached: Callable[[str], bool],
    wanted: str = "",
) -> str:
    """Return an address for a container: the wanted one, the one it had, or the lowest free.

    When none is, the lease that is oldest among those of containers that are not `attached`
    is taken over.  No two containers get the same, whichever process asks.  Raises Conflict
    when all are in use or the wanted one is, UsageError when the network does not offer it.
    """
    if wanted and not pool.offers(wanted):
        raise UsageError(
            f"{wanted} is no address for a container on network {pool.network}",
            hint=f"its subnet is {pool.subnet}, and {pool.gateway} the gateway",
            subject=wanted,
        )
    now = time.time()
    with database.write() as sql:
        leases: dict[str, tuple[str, float]] = {
            address: (holder, leased)
            for address, holder, leased in sql.execute(
                "SELECT address, container, leased FROM addresses WHERE network=?",
                (pool.network,),
            )
            if (":" in address) == (pool.subnet.bits == 128)
        }
        own = [address for address, (holder, _) in leases.items() if holder == container]
        if wanted:
            _check_free(sql, pool, wanted, container, leases, attached)
            address: str | None = wanted
        else:
            kept = next((address for address in own if pool.offers(address)), None)
            address = kept or pool.free(leases) or _oldest(pool, leases, now, attached)
        if address is None:
            raise Conflict(
                f"no address is free in {pool.span}: containers that have one: {len(leases)}",
                hint="limpet rm containers that are not needed, or use a larger subnet: "
                "network.subnet in config.toml, or network create --subnet",
            )
        for gone in {*own, address}:
            sql.execute("DELETE FROM addresses WHERE network=? AND address=?", (pool.network, gone))
        sql.execute(
            "INSERT INTO addresses VALUES (?,?,?,?)", (pool.network, address, container, now)
        )
    return address


def _oldest(
    pool: Pool, leases: dict[str, tuple[str, float]], now: float, attached: Callable[[str], bool]
) -> str | None:
    """Return the address that has been leased longest by a container which is not attached."""
    for address, (holder, leased) in sorted(leases.items(), key=lambda item: item[1][1]):
        if not _is_young(leased, now) and pool.offers(address) and not attached(holder):
            return address
    return None


def _is_young(leased: float, now: float) -> bool:
    """Return whether a lease's container may just be starting; no lease is of a time to come.

    One that seems so is from before the clock was set back.
    """
    return 0 <= now - leased <= STARTING_S


def _check_free(
    sql: sqlite3.Connection,
    pool: Pool,
    wanted: str,
    container: str,
    leases: dict[str, tuple[str, float]],
    attached: Callable[[str], bool],
) -> None:
    """Raise Conflict when a running container has an address; a stopped one gives it up."""
    holder, leased = leases.get(wanted, (container, 0.0))
    if holder == container or not (attached(holder) or _is_young(leased, time.time())):
        return
    found = sql.execute("SELECT name FROM containers WHERE id=?", (holder,)).fetchone()
    name = found[0] if found else holder[:12]
    raise Conflict(
        f"{wanted} on network {pool.network} is the address of container {name}",
        hint=f"choose another, leave --ip out, or limpet rm {name}",
        subject=wanted,
    )


def of_container(database: Database, container: str) -> list[tuple[str, str]]:
    """Return networks, by name, and the addresses that a container has leased there."""
    return database.query("SELECT network, address FROM addresses WHERE container=?", (container,))


def release(database: Database, container: str, networks: Sequence[str] = ()) -> None:
    """Give a container's addresses back, those on some networks or all it has."""
    held = database.query("SELECT network FROM addresses WHERE container=?", (container,))
    gone = {network for (network,) in held if not networks or network in networks}
    if gone:
        with database.write() as sql:
            for network in gone:
                sql.execute(
                    "DELETE FROM addresses WHERE network=? AND container=?", (network, container)
                )
