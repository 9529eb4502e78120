"""The one SQLite file: names, digests, containers, networks.

WAL mode, so that several limpets read while one writes.  Every change is one
transaction; after it, `Paths.changed` is touched so that other processes look again.
Connections belong to a thread, hence `Database.connection()` keeps one per thread.
"""

from __future__ import annotations

import os
import time
from _thread import _local as _Local  # threading's own local, without the rest of threading

from core import lean_sqlite, reserve
from core.errors import FREE_SPACE, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.paths import Paths

OPEN_TRIES = 500
"""Each after a hundredth of a second."""
WAIT_S = 30
LOG_BYTES = 400_000
"""The log's length.  Whoever opens the file first reads all of it: the ten times that SQLite lets
it grow to cost every command three milliseconds."""

SCHEMA = 16
"""Which of `core.schemas` the tables are: the last."""


class _Opened:
    """The connection of a thread, closed as the thread ends while this process has another.

    By itself it would stay open until somebody searches for garbage: what remembers its
    statements refers to it.  The last one does: closed, it would bring the log into the file and
    wait for the disk, at the end of a command whose work was done in a thread.
    """

    _all: set[int] = set()  # of nobody: ctrl-c may come before `__init__` has any
    connection: lean_sqlite.Connection

    def __init__(self, connection: lean_sqlite.Connection, all_opened: set[int]) -> None:
        self.connection = connection
        self._all = all_opened
        self._all.add(id(self))

    def __del__(self) -> None:
        self._all.discard(id(self))
        try:
            if self._all:
                self.connection.close()
        except lean_sqlite.Error:
            pass  # the database goes before a thread that has used it; only that thread may close


class Database:
    """Opens the store's SQLite file; safe to share between threads.

    Each thread has a connection of its own, until it ends or closes it.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._local = _Local()
        self._opened: set[int] = set()

    def connection(self) -> lean_sqlite.Connection:
        """Return this thread's connection, in autocommit mode.

        Raises HostError if the file cannot be opened or was written by a newer limpet.
        """
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = _Opened(self._open(), self._opened)
        return opened.connection

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one SELECT and return its rows; HostError when the disk or the file fails."""
        try:
            return self.connection().execute(sql, values).fetchall()
        except lean_sqlite.DatabaseError as error:
            _tell(error, self._paths)
            raise

    def write(self) -> Transaction:
        """Return a context: one immediate transaction, rolled back on an exception.

        HostError when the disk or the file fails.
        """
        return Transaction(self.connection(), self._paths)

    def sync(self) -> None:
        """Return when all that was committed is on the disk: a power cut may undo it until then."""
        try:
            fd = os.open(f"{self._paths.database}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # SQLite has brought it into the file, and waited for that
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close this thread's connection."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is not None:
            opened.connection.close()
            self._local.opened = None

    def _open(self) -> lean_sqlite.Connection:
        path = self._paths.database
        try:
            if not os.path.exists(path):
                self._paths.make()
            reserve.see_to(self._paths)
            connection = lean_sqlite.connect(path, timeout=WAIT_S, isolation_level=None)
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, lean_sqlite.Error) as error:
            raise HostError(
                f"cannot open the database {path}: {error}",
                hint="run as root, or point LIMPET_DATA_ROOT at a directory of your own",
            ) from error
        return connection

    def _set_up(self, connection: lean_sqlite.Connection) -> None:
        connection.executescript(
            "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0;"
        )
        # A new file's tables do not go to the log, which the next few writes would fill.
        self._migrate(connection)
        _use_log(connection)

    def _migrate(self, connection: lean_sqlite.Connection) -> None:
        version = _version(connection)
        if version == SCHEMA:
            return
        if version > SCHEMA:
            raise HostError(
                f"{self._paths.database} was written by a newer limpet (schema {version})",
                hint="update limpet on this host",
            )
        from core.schemas import SCHEMAS

        with Transaction(connection, self._paths) as sql:
            for script in SCHEMAS[_version(sql) : SCHEMA]:  # another process may have been faster
                for statement in script.split(";\n"):
                    sql.execute(statement)
            sql.execute(f"PRAGMA user_version={SCHEMA}")


def _use_log(connection: lean_sqlite.Connection) -> None:
    """Turn to WAL; of several that do so with a new file at once SQLite lets only one wait."""
    for attempt in range(OPEN_TRIES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except lean_sqlite.OperationalError:
            if attempt == OPEN_TRIES - 1:
                raise
            time.sleep(0.01)
        else:
            return


def _empty_log(connection: lean_sqlite.Connection, path: str) -> None:
    """Bring a long log into the file and cut it off, unless somebody else is at it now.

    What SQLite does by itself is known to open connections alone: where each command opens the
    file anew, its log grows for ever.
    """
    try:
        if os.stat(path).st_size < LOG_BYTES:
            return
    except FileNotFoundError:
        return  # while a new file gets its tables
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except lean_sqlite.Error:
        pass  # what was committed is; the next transaction tries again
    finally:
        connection.execute(f"PRAGMA busy_timeout={WAIT_S * 1000}")


def _version(connection: lean_sqlite.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


class Transaction:
    """One write transaction; touches `Paths.changed` when it has been committed."""

    def __init__(self, connection: lean_sqlite.Connection, paths: Paths) -> None:
        self._connection = connection
        self._paths = paths

    def __enter__(self) -> lean_sqlite.Connection:
        reserve.see_to(self._paths)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except lean_sqlite.DatabaseError as error:
            _tell(error, self._paths)
            raise
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except lean_sqlite.DatabaseError as failed:
                self._roll_back()
                _tell(failed, self._paths)
                raise
            self._paths.touch_changed()
            _empty_log(self._connection, f"{self._paths.database}-wal")
            return
        self._roll_back()
        if isinstance(error, lean_sqlite.DatabaseError):
            _tell(error, self._paths)

    def _roll_back(self) -> None:
        # After some errors SQLite has done it.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _tell(error: lean_sqlite.DatabaseError, paths: Paths) -> None:
    """Raise HostError where the disk or the file is the cause; a bug is none."""
    name = getattr(error, "sqlite_errorname", "")
    if type(error) not in (lean_sqlite.OperationalError, lean_sqlite.DatabaseError) or (
        name == "SQLITE_ERROR"
    ):
        return
    hint = {
        "SQLITE_FULL": FREE_SPACE, "SQLITE_BUSY": "another limpet is writing: try again",
    }.get(name, "df and dmesg show what the disk lacks")  # fmt: skip
    raise HostError(f"{paths.database}: {error}", hint=hint, subject=paths.database) from error
