"""Whoever gives an order presses ctrl-c: what had begun goes on, or has never been."""

from __future__ import annotations

import os

import pytest

from core.containers import creation, state
from core.containers.connections import Connections
from core.containers.supervision import launcher
from core.model import Endpoint
from tests.containers import shell, until
from tests.system.network.own_networks.asking import network, sleeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.lifecycle import Containers
    from core.engine import Engine


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt every start as soon as the monitor has been asked for it."""

    def interrupt(report: int) -> None:
        os.close(report)
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher, "_wait_report", interrupt)


def test_a_container_that_was_stored_before_the_interrupt_is_whole(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = creation.insert

    def interrupted(*arguments: Any) -> None:
        insert(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(creation, "insert", interrupted)
        with pytest.raises(KeyboardInterrupt):
            containers.create(shell("exec sleep 1000", name="web"))
    assert containers.resolve("web").state == "created"
    containers.start("web")


@pytest.mark.usefixtures("impatient")
def test_a_start_in_the_background_goes_on(engine: Engine, containers: Containers) -> None:
    container = containers.create(shell("exec sleep 1000", network="bridge"))
    with pytest.raises(KeyboardInterrupt):
        containers.start(container)
    containers.list()  # and takes nothing back of what is just being started
    until(lambda: containers.resolve(container).state == "running")
    leased = engine.database.query("SELECT address FROM addresses WHERE container=?", (container,))
    assert leased == [(containers.resolve(container).address,)]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("auto_remove", [True, False])
def test_a_run_in_the_foreground_ends(
    engine: Engine, containers: Containers, auto_remove: bool
) -> None:
    with pytest.raises(KeyboardInterrupt):
        containers.run(shell("exec sleep 1000", name="web", auto_remove=auto_remove))
    if auto_remove:
        until(lambda: not containers.list())
        return
    container = containers.resolve("web").id
    until(lambda: state.read_state(engine.paths.container(container)).state == "exited")


def test_a_connect_that_the_monitor_has_done_keeps_its_address(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(engine, "one")
    network(engine, "two")
    web = sleeper(containers, "web", "one")
    tell = Connections._tell

    def interrupted(*arguments: Any) -> None:
        tell(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Connections, "_tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.connections.connect(web, Endpoint("two"))
    engine.connections.connect(web, Endpoint("two"))
    leased = engine.database.query("SELECT network FROM addresses WHERE container=?", (web,))
    assert sorted(leased) == [("one",), ("two",)]
