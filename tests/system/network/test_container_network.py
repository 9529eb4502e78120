"""Containers on the bridge: addresses, published ports, and giving both back."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from core.containers import networking, state
from core.containers.state import read_state
from core.engine import Engine
from core.errors import Conflict, RunError
from core.model import Port
from core.paths import Paths
from tests.containers import make_engine, options, reap, run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.containers.lifecycle import Containers


@pytest.fixture(params=["fork", "spawner"])
def engine(paths: Paths, request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = make_engine(paths, request.param, {("network", "subnet"): "10.89.0.0/24"})
    yield made
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    made.network.teardown()
    made.close()
    reap()


@pytest.fixture
def containers(engine: Engine) -> Containers:
    return engine.containers


def server(containers: Containers, port: int = 0, name: str = "") -> str:
    script = "while :; do echo hello | nc -l -p 80; done"
    container = containers.create(
        shell(script, network="bridge", publish=(Port("127.0.0.1", port, 80),), name=name)
    )
    containers.start(container)
    return container


def fetch(address: tuple[str, int]) -> bytes:
    try:
        with socket.create_connection(address, 2) as connection:
            return connection.recv(100)
    except OSError:
        return b""


def test_a_published_port_answers_until_the_container_ends(containers: Containers) -> None:
    container = server(containers)
    info = containers.resolve(container)
    (port,) = info.ports
    assert info.address == "10.89.0.2"
    until(lambda: fetch((info.address, 80)) == b"hello\n")
    containers.stop(container, 0)
    assert containers.resolve(container).ports == ()
    assert fetch((port.host_ip, port.host_port)) == b""


def test_a_taken_port_names_its_holder_and_leaves_no_half_start(
    containers: Containers, engine: Engine
) -> None:
    first = server(containers, name="first")
    port = containers.resolve(first).ports[0].host_port
    second = containers.create(
        options("true", network="bridge", publish=(Port("127.0.0.1", port, 80),))
    )
    with pytest.raises(Conflict) as caught:
        containers.start(second)
    assert "first" in caught.value.message
    info = containers.resolve(second)
    assert info.state == "created"
    assert "first" in info.error
    leases = engine.database.query("SELECT container FROM addresses")
    assert leases == [(first,)]


def test_a_failed_start_gives_the_address_back(containers: Containers, engine: Engine) -> None:
    container = containers.create(options("no-such", network="bridge"))
    with pytest.raises(RunError):
        containers.start(container)
    assert engine.database.query("SELECT * FROM addresses") == []


def test_a_chosen_port_that_somebody_takes_first_is_chosen_anew(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = networking.prepare
    taken: list[socket.socket] = []

    def prepare(*args: Any) -> dict[str, Any]:
        prepared = real(*args)
        if not taken:
            taken.append(socket.create_server(("127.0.0.1", prepared["ports"][0][1])))
        return prepared

    monkeypatch.setattr(networking, "prepare", prepare)
    container = server(containers)
    port = containers.resolve(container).ports[0].host_port
    assert port != taken[0].getsockname()[1]
    until(lambda: fetch(("127.0.0.1", port)) == b"hello\n")
    taken[0].close()


def test_a_killed_monitor_leaves_no_port_published(containers: Containers, engine: Engine) -> None:
    container = server(containers)
    port = containers.resolve(container).ports[0].host_port
    found = read_state(engine.paths.container(container))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: not state.monitored(found))
    assert containers.resolve(container).state == "exited"
    again = containers.create(
        options("sleep", "1000", network="bridge", publish=(Port("127.0.0.1", port, 80),))
    )
    containers.start(again)
    assert containers.resolve(again).state == "running"


def test_the_container_knows_its_name_and_address(containers: Containers) -> None:
    session = containers.run(
        shell("hostname; cat /etc/hostname /etc/hosts; ip addr show eth0", network="bridge",
              hostname="box", name="web")
    )  # fmt: skip
    code, out, _ = run(session)
    assert code == 0
    assert out.startswith(b"box\nbox\n")
    assert b"10.89.0.2\tbox web\n" in out
    assert b"inet 10.89.0.2/24" in out
