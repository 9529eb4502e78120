"""What one command's removals are put into; `core.trash` brings them back or empties it."""

from __future__ import annotations

import os
import time

from core.lean_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from collections.abc import Iterable, Sequence
    from typing import Any

    from core.paths import Paths


class Bin:
    """Takes the removals of one command."""

    def __init__(self, paths: Paths, batch: str, command: str) -> None:
        self._paths = paths
        self.batch = batch
        self.command = command

    def put(
        self,
        sql: Connection,
        kind: str,
        name: str,
        rows: dict[str, list[dict[str, Any]]],
        *,
        holds: Iterable[str] = (),
        size: int = 0,
        directory: str = "",
    ) -> None:
        """Keep rows by table, within the transaction that takes them away.

        `holds` are digests of layers and blobs that must stay; `directory` is moved into the
        trash and back again.
        """
        kept = os.path.basename(directory)
        document = dumps({"rows": rows, "directory": directory, "kept": kept})
        cursor = sql.execute(
            "INSERT INTO trash (batch, command, removed, kind, name, bytes, document) "
            "VALUES (?,?,?,?,?,?,?)",
            (self.batch, self.command, time.time(), kind, name, size, document),
        )
        sql.executemany(
            "INSERT OR IGNORE INTO trash_holds VALUES (?,?)",
            [(cursor.lastrowid, digest) for digest in holds],
        )
        if directory:
            os.makedirs(self._paths.trash, 0o700, exist_ok=True)
            os.rename(directory, f"{self._paths.trash}/{kept}")


def insert(sql: Connection, table: str, row: dict[str, Any], verb: str = "INSERT") -> None:
    """Put back a row that `rows_of` has returned; sqlite's IntegrityError where it cannot be."""
    columns, marks = ",".join(row), ",".join("?" * len(row))
    sql.execute(f"{verb} INTO {table} ({columns}) VALUES ({marks})", tuple(row.values()))


def rows_of(sql: Connection, table: str, where: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows as they are, by column, for `Bin.put`."""
    cursor = sql.execute(f"SELECT * FROM {table} WHERE {where}", values)  # noqa: S608 - our own words
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
