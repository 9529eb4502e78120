"""IPv4 subnets as numbers, and which container has which address.

`ipaddress` would do the first, and costs five milliseconds to import.
"""

from __future__ import annotations

import time

from core.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Container

    from core.database import Database

NETWORK = "bridge"
"""The network's name in the table of leases."""
STARTING_S = 60
"""A lease younger than this may belong to a container that is just being started."""


class Subnet:
    """A subnet such as 10.89.0.0/16; ValueError for a text that is none."""

    def __init__(self, text: str) -> None:
        address, _, length = text.partition("/")
        self.prefix = int(length) if length.isdecimal() and length.isascii() else -1
        number = parse_address(address)
        if number is None or not 0 < self.prefix <= 32:
            raise ValueError(f"{text!r} is not an IPv4 subnet such as 10.89.0.0/16")
        size = 1 << (32 - self.prefix)
        self.first = number & ~(size - 1)
        self.last = self.first + size - 1

    def __str__(self) -> str:
        return f"{dotted(self.first)}/{self.prefix}"

    @property
    def gateway(self) -> str:
        """The first address that a host can have."""
        return dotted(self.first + 1)

    @property
    def broadcast(self) -> str:
        """The last address."""
        return dotted(self.last)

    def free(self, taken: Container[str]) -> str | None:
        """Return the lowest address for a container that is not taken, None if all are."""
        for number in range(self.first + 2, self.last):
            if (address := dotted(number)) not in taken:
                return address
        return None

    def offers(self, address: str) -> bool:
        """Return whether a container can have this address."""
        number = parse_address(address)
        return number is not None and self.first + 2 <= number < self.last

    def overlaps(self, other: Subnet) -> bool:
        """Return whether the two share an address."""
        return self.first <= other.last and other.first <= self.last


def parse_address(text: str) -> int | None:
    """Return an IPv4 address in four decimal parts as a number, None for anything else."""
    parts = text.split(".")
    if len(parts) != 4:
        return None
    if not all(part.isdecimal() and part.isascii() and len(part) < 4 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return int.from_bytes(bytes(numbers), "big") if max(numbers) < 256 else None


def dotted(number: int) -> str:
    """Return an address as people write it."""
    return ".".join(map(str, number.to_bytes(4, "big")))


def lease(
    database: Database, subnet: Subnet, container: str, attached: Callable[[str], bool]
) -> str:
    """Return an address for a container: the one it had, else the lowest that is free.

    When none is, the lease that is oldest among those of containers that are not `attached`
    is taken over.  No two containers get the same, whichever process asks.  Raises Conflict
    when all are in use.
    """
    now = time.time()
    with database.write() as sql:
        leases: dict[str, str] = dict(
            sql.execute("SELECT address, container FROM addresses WHERE network=?", (NETWORK,))
        )
        own = [address for address, holder in leases.items() if holder == container]
        kept = next((address for address in own if subnet.offers(address)), None)
        address = kept or subnet.free(leases) or _take_over(sql, subnet, now, attached)
        if address is None:
            raise Conflict(
                f"no address is free in {subnet}: {len(leases)} containers have one",
                hint="limpet rm containers that are not needed, or set a larger network.subnet "
                "in config.toml",
            )
        sql.execute("DELETE FROM addresses WHERE network=? AND container=?", (NETWORK, container))
        sql.execute("INSERT INTO addresses VALUES (?,?,?,?)", (NETWORK, address, container, now))
    return address


def _take_over(
    sql: sqlite3.Connection, subnet: Subnet, now: float, attached: Callable[[str], bool]
) -> str | None:
    oldest = sql.execute(
        "SELECT address, container FROM addresses WHERE network=? AND leased<? ORDER BY leased",
        (NETWORK, now - STARTING_S),
    ).fetchall()
    for address, holder in oldest:
        if subnet.offers(address) and not attached(holder):
            sql.execute("DELETE FROM addresses WHERE network=? AND address=?", (NETWORK, address))
            return str(address)
    return None


def release(database: Database, container: str) -> None:
    """Give a container's address back, if it has one."""
    if database.query("SELECT 1 FROM addresses WHERE container=?", (container,)):
        with database.write() as sql:
            sql.execute("DELETE FROM addresses WHERE container=?", (container,))
