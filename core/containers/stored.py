"""Containers as the database knows them: rows, references to them, and their locks."""

from __future__ import annotations

import fcntl
import os

from core.containers.configuration.options import ContainerOptions, Mount
from core.errors import Conflict, NotFound
from core.lean_json import dumps, loads
from core.model import Endpoint, Port
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Iterator
    from typing import Any, Self

    from core.database import Database
    from core.paths import Paths

COLUMNS = "id, name, image, image_digest, created, options"
HEX = frozenset("0123456789abcdef")


class Row(Record):
    """One container's row but for its specification."""

    id: str
    name: str
    image: str
    image_digest: str
    created: float
    document: dict[str, Any]
    """The options as asked for, and what they came to: `args`, `all_labels`, `health`."""

    @property
    def options(self) -> ContainerOptions:
        """What was asked for."""
        values = {
            name: self.document[name] for name in ContainerOptions.fields if name in self.document
        }
        values = {name: _tuples(value) for name, value in values.items()}
        values["mounts"] = tuple(Mount(**mount) for mount in values.get("mounts", ()))
        values["publish"] = tuple(Port(**port) for port in values.get("publish", ()))
        values["log_opts"] = tuple((name, value) for name, value in values.get("log_opts", ()))
        values["expose"] = tuple(Port(**port) for port in values.get("expose", ()))
        values["endpoints"] = tuple(Endpoint(**{**one, "aliases": tuple(one["aliases"])})
                                    for one in values.get("endpoints", ()))  # fmt: skip
        return ContainerOptions(**values)

    @property
    def volumes(self) -> tuple[str, ...]:
        """The names of the named volumes that it uses."""
        return tuple(
            mount["source"]
            for mount in self.document["mounts"]
            if mount.get("kind") == "volume" and mount["source"]
        )


def document_of(
    options: ContainerOptions,
    args: list[str],
    labels: dict[str, str],
    health: dict[str, Any] | None = None,
) -> str:
    """Return the JSON that is stored for a new container."""
    values = options.as_dict()
    values["mounts"] = [mount.as_dict() for mount in options.mounts]
    for name in ("publish", "expose", "endpoints"):
        values[name] = [one.as_dict() for one in values[name]]
    return dumps({**values, "args": args, "all_labels": labels, "health": health})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def all_rows(database: Database) -> Iterator[Row]:
    """Return every container as it is now, the newest first; each is made when it is asked for.

    Options that were read take ten times what a front end keeps of a container.
    """
    found = database.query(f"SELECT {COLUMNS} FROM containers ORDER BY created DESC, id")  # noqa: S608
    return map(_row, found)


def find(database: Database, reference: str) -> Row:
    """Return the container with this ID, this name, or the only one whose ID begins so.

    Raises NotFound, with names like it; Conflict when several IDs begin so.
    """
    found = database.query(
        f"SELECT {COLUMNS} FROM containers WHERE id=? OR name=?"  # noqa: S608
        " OR (id>? AND id<?) ORDER BY id=? DESC, name=? DESC LIMIT 3",
        (reference, reference, *_prefix(reference), reference, reference),
    )
    if not found:
        raise _unknown(database, reference)
    if len(found) > 1 and reference not in found[0][:2]:
        shown = ", ".join(f"{values[0][:12]} ({values[1]})" for values in found)
        raise Conflict(
            f"{reference!r} is the beginning of several IDs: {shown}",
            hint="give more of the ID, or the name",
            subject=reference,
        )
    return _row(found[0])


def using(database: Database, kind: str, name: str) -> list[Row]:
    """Return the containers that name a `network` or a `volume`, the newest first."""
    found = database.query(
        f"SELECT {COLUMNS} FROM containers WHERE id IN "  # noqa: S608
        "(SELECT container FROM container_uses WHERE kind=? AND name=?) ORDER BY created DESC, id",
        (kind, name),
    )
    return [_row(values) for values in found]


def users_of(database: Database, kind: str, name: str) -> list[str]:
    """Return the names of the containers that name a `network` or a `volume`, newest first."""
    found = database.query(
        "SELECT name FROM containers WHERE id IN "
        "(SELECT container FROM container_uses WHERE kind=? AND name=?) ORDER BY created DESC, id",
        (kind, name),
    )
    return [container for (container,) in found]


def users(database: Database, kind: str) -> dict[str, list[str]]:
    """Return the names of containers by each `network`, or each `volume`, that they name."""
    found: dict[str, list[str]] = {}
    for name, container in database.query(
        "SELECT u.name, c.name FROM container_uses u JOIN containers c ON c.id = u.container "
        "WHERE u.kind=? ORDER BY c.created DESC, c.id",
        (kind,),
    ):
        found.setdefault(name, []).append(container)
    return found


def require_image(sql: Connection, row: Row) -> None:
    """Raise NotFound for an image that is gone, within the transaction that stores the row.

    Removing an image looks for containers within one, too: none is left without its image.
    """
    if not sql.execute("SELECT 1 FROM images WHERE digest=?", (row.image_digest,)).fetchone():
        raise NotFound(
            f"image {row.image} was removed meanwhile", hint=f"pull {row.image}", subject=row.image
        )


def spec_of(database: Database, container_id: str) -> dict[str, Any]:
    """Return a container's runtime configuration."""
    found = database.query("SELECT spec FROM containers WHERE id=?", (container_id,))
    if not found:
        raise NotFound(f"container {container_id[:12]} has been removed")
    spec: dict[str, Any] = loads(found[0][0])
    if "additionalGroups" in spec["process"]["user"]:
        return spec
    from core.containers.configuration.spec_form import bring_up_to_date

    return bring_up_to_date(spec)


def _row(values: tuple[Any, ...]) -> Row:
    container_id, name, image, image_digest, created, document = values
    return Row(container_id, name, image, image_digest, created, loads(document))


def _prefix(reference: str) -> tuple[str, str]:
    """Return bounds between which all IDs lie that begin so, if it can begin an ID."""
    return (reference, reference + "g") if reference and HEX.issuperset(reference) else ("", "")


def _unknown(database: Database, reference: str) -> NotFound:
    near: list[str] = []
    if names := [name for (name,) in database.query("SELECT name FROM containers")]:
        import difflib

        near = difflib.get_close_matches(reference, names, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "limpet ps -a lists them all"
    return NotFound(f"there is no container {reference!r}", hint=hint, subject=reference)


def is_known(database: Database, container_id: str) -> bool:
    """Return whether a container has its row."""
    return bool(database.query("SELECT 1 FROM containers WHERE id=?", (container_id,)))


def is_there(paths: Paths, container_id: str) -> bool:
    """Return whether a container still has its directory, which goes before its row."""
    return os.path.isdir(paths.container(container_id))


class Lock:
    """The right to change one container, across processes and threads: flock(2).

    Taken as a context.  Raises NotFound when the container has been removed; with
    `wait=False` BlockingIOError when somebody else has the lock.  Who is interrupted lets go of
    it alone: a monitor that he has given a copy, and that goes on, keeps it.
    """

    def __init__(self, paths: Paths, container_id: str, *, wait: bool = True) -> None:
        self._path = f"{paths.container(container_id)}/lock"
        self._id = container_id
        self._wait = wait
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise self._removed() from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if self._wait else fcntl.LOCK_NB))
            # Whoever held it before us may have removed the container, or put it in the trash.
            if not self._is_in_place():
                raise self._removed()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def fileno(self) -> int:
        """Return the descriptor; a copy of it in another process holds the lock, too."""
        return self._fd

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            # Unlocked by name: a process forked meanwhile shares the lock until it closes it.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _removed(self) -> NotFound:
        return NotFound(f"container {self._id[:12]} has been removed", subject=self._id)
