"""The networks that people made, as rows of the database."""

from __future__ import annotations

from core.errors import Conflict, InUse, NotFound
from core.lean_json import dumps, loads
from core.lean_sqlite import IntegrityError
from core.network.definition import BridgeNetwork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Sequence

    from core.database import Database


def all_networks(database: Database) -> list[BridgeNetwork]:
    """Return every network but the default one, the oldest first."""
    rows = database.query("SELECT config FROM networks")
    return sorted((_read(text) for (text,) in rows), key=lambda network: network.created)


def find(database: Database, name: str) -> BridgeNetwork | None:
    """Return the network of this name, this ID, or the only one whose ID begins so."""
    found = database.query("SELECT config FROM networks WHERE name=?", (name,))
    if found:
        return _read(found[0][0])
    by_id = [network for network in all_networks(database) if name and network.id.startswith(name)]
    return by_id[0] if len(by_id) == 1 else None


def insert(database: Database, network: BridgeNetwork) -> None:
    """Store a new network.  Raises Conflict when its name or its device is taken."""
    values = network.as_dict()
    with database.write() as sql:
        for (text,) in sql.execute("SELECT config FROM networks").fetchall():
            other = _read(text)
            if other.device == network.device:
                raise Conflict(f"the device {network.device} belongs to network {other.name}")
        try:
            sql.execute("INSERT INTO networks VALUES (?,?)", (network.name, dumps(values)))
        except IntegrityError:
            raise Conflict(
                f"there is a network {network.name!r} already",
                hint=f"limpet network rm {network.name}, or choose another name",
                subject=network.name,
            ) from None


def delete(sql: Connection, name: str, users: Sequence[str]) -> None:
    """Forget a network and the addresses on it.  Raises NotFound, InUse naming its `users`."""
    if users:
        raise InUse(
            f"network {name} is used by {', '.join(users)}",
            hint=f"limpet network disconnect {name} {users[0]}, or limpet rm {' '.join(users)}",
            subject=name,
        )
    if not sql.execute("DELETE FROM networks WHERE name=?", (name,)).rowcount:
        raise NotFound(f"there is no network {name!r}", subject=name)
    sql.execute("DELETE FROM addresses WHERE network=?", (name,))


def _read(text: str) -> BridgeNetwork:
    values = loads(text)
    for name in ("labels", "options"):
        values[name] = tuple((key, value) for key, value in values.get(name, ()))
    return BridgeNetwork(**{name: values[name] for name in BridgeNetwork.fields if name in values})
