"""Connections to the store's file: one for each thread, for as long as the thread lives."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from core.database import LOG_BYTES, SCHEMA, Database, _Opened
from core.paths import Paths
from core.schemas import SCHEMAS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(Paths(str(tmp_path / "data"), str(tmp_path / "run")))
    yield found
    found.close()


@pytest.fixture
def _no_search() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_the_tables_are_those_of_the_last_schema() -> None:
    assert len(SCHEMAS) == SCHEMA


def test_one_that_was_interrupted_says_nothing_as_it_goes(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    made = database.connection()

    class Interrupting(set[int]):
        def add(self, item: int, /) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _Opened(made, Interrupting())
    _Opened.__new__(_Opened)  # as where it comes before anything is known
    gc.collect()
    assert "ignored" not in capsys.readouterr().err


def descriptors(database: Database) -> int:
    """Return how often this process has the file open."""
    path = str(database.connection().execute("PRAGMA database_list").fetchone()[2])
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.path.realpath(link) == path for link in links)


@pytest.mark.usefixtures("_no_search")
def test_a_threads_connection_is_closed_with_the_thread(database: Database) -> None:
    assert descriptors(database) == 1
    seen = []

    def ask() -> None:
        database.query("SELECT name FROM containers")
        seen.append(descriptors(database))

    for _ in range(3):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert seen == [2, 2, 2]
    assert descriptors(database) == 1


@pytest.mark.usefixtures("_no_search")
def test_a_closed_connection_is_opened_again(database: Database) -> None:
    before = database.connection()
    database.close()
    assert database.connection() is not before
    assert descriptors(database) == 1


def test_the_last_connection_is_not_closed_with_its_thread(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path / "data"), str(tmp_path / "run"))
    database = Database(paths)
    thread = threading.Thread(target=database.query, args=("SELECT name FROM containers",))
    thread.start()
    thread.join()
    assert os.path.exists(f"{paths.database}-wal")  # closed, it would wait for the disk


WRITER = """
import os
from core.database import LOG_BYTES, Database
from core.paths import Paths
for number in range(200):
    if not (child := os.fork()):
        with Database(Paths({data!r}, {run!r})).write() as sql:
            sql.execute("INSERT INTO registries (host, last_used) VALUES (?, 0)", (f"h{{number}}",))
        os._exit(0)  # as every command ends
    assert os.waitpid(child, 0)[1] == 0
"""


def test_the_log_stays_short_where_each_command_opens_the_file_anew(
    tmp_path: Path, database: Database
) -> None:
    data, run = str(tmp_path / "data"), str(tmp_path / "run")
    subprocess.run([sys.executable, "-c", WRITER.format(data=data, run=run)], check=True)
    assert os.stat(f"{Paths(data, run).database}-wal").st_size < 2 * LOG_BYTES
    assert database.query("SELECT COUNT(*) FROM registries") == [(200,)]


def test_a_long_log_waits_for_no_reader(database: Database, tmp_path: Path) -> None:
    add = "INSERT INTO registries (host, last_used, last_error) VALUES (?, 0, ?)"
    with database.write() as sql:
        sql.execute(add, ("one", ""))
    reader = sqlite3.connect(tmp_path / "data/limpet.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT host FROM registries").fetchall() == [("one",)]
    before = time.monotonic()
    with database.write() as sql:
        sql.execute(add, ("two", "x" * LOG_BYTES))
    assert time.monotonic() - before < 10
    assert reader.execute("SELECT host FROM registries").fetchall() == [("one",)]
    reader.close()
    with database.write() as sql:
        sql.execute(add, ("three", ""))
    assert os.stat(tmp_path / "data/limpet.db-wal").st_size == 0


def test_threads_may_outlive_the_database(tmp_path: Path) -> None:
    database = Database(Paths(str(tmp_path / "data"), str(tmp_path / "run")))
    asked, end = threading.Barrier(3), threading.Event()

    def ask(own: list[Database]) -> None:
        own.pop().query("SELECT name FROM containers")
        asked.wait(10)
        end.wait(10)

    threads = [threading.Thread(target=ask, args=([database],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    asked.wait(10)
    del database
    gc.collect()  # an exception in a finalizer would fail this test
    end.set()
    for thread in threads:
        thread.join()
