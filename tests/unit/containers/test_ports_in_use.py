"""Who has which port of the host, as a start that publishes asks."""

from __future__ import annotations

import os
import shutil

import pytest

from core.config import Config
from core.containers import state, stored
from core.containers.configuration.options import ContainerOptions
from core.containers.host import Host
from core.containers.starter import Starter
from core.engine import Engine
from core.model import Port
from core.paths import Paths

PORT = ("127.0.0.1", 8080, 80, "tcp")


@pytest.fixture
def engine(paths: Paths) -> Engine:
    return Engine(paths, Config())


def add(engine: Engine, number: int, *, runs: bool = True, **options: object) -> str:
    """Store a container; one that runs has this process for its monitor."""
    container = f"{number:064x}"
    asked = ContainerOptions("img", ("true",), network="bridge", **options)  # type: ignore[arg-type]
    with engine.database.write() as sql:
        sql.execute(
            "INSERT INTO images (digest, config_digest, media_type, platform, created, added) "
            "VALUES ('d', 'c', 'm', 'p', 0, 0) ON CONFLICT DO NOTHING"
        )
        sql.execute(
            "INSERT INTO containers (id, name, image, image_digest, created, options, spec) "
            "VALUES (?, ?, 'img', 'd', 0, ?, '{}')",
            (container, f"c{number}", stored.document_of(asked, [], {})),
        )
    os.makedirs(engine.paths.container(container))
    if runs:
        os.makedirs(engine.paths.container_run(container))
        me = os.getpid()
        state.write_state(engine.paths.container(container), state.State(
            state.RUNNING, me, state.start_ticks(me), me, state.start_ticks(me), state.boot_id(),
            ports=((PORT[0], PORT[1] + number, *PORT[2:]),), address="172.20.0.2", table="t",
        ))  # fmt: skip
    return container


def test_only_those_that_run_and_publish_are_asked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Port("127.0.0.1", 0, 80)
    add(engine, 1, publish=(port,))
    add(engine, 2, publish_all=True)
    for number in range(3, 20):
        add(engine, number)
    add(engine, 20, runs=False, publish=(port,))
    read: list[str] = []
    original = state.read_state

    def counted(directory: str) -> state.State:
        read.append(directory)
        return original(directory)

    monkeypatch.setattr(state, "read_state", counted)
    starter = Starter(Host(
        engine.paths, engine.database, lambda: engine.store, engine.network, engine.config,
        engine.launcher,
    ))  # fmt: skip
    found = starter.ports()
    assert {port[1]: holder.name for port, holder in found.items()} == {8081: "c1", 8082: "c2"}
    assert len(read) == 2
    shutil.rmtree(f"{engine.paths.run}/containers")
    assert starter.ports() == {}
