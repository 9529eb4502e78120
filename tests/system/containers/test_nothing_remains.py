"""After the last container: no bridge, no table, no parent of cgroups, no process."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from core.containers import state
from core.containers.supervision import leaving, monitor, spawner
from core.errors import Conflict, HostError
from core.linux import mount
from core.network.definition import NetworkOptions
from core.network.host import bridge, firewall, made
from tests.containers import make_engine, options, processes_named, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.engine import Engine
    from core.network.definition import BridgeNetwork
    from core.paths import Paths

CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    """An engine whose containers are removed; bridges and tables go by themselves."""
    found = make_engine(paths, "spawner")
    yield found
    for info in found.containers.list():
        found.containers.rm(info.id, force=True)
    found.close()


def is_there(network: BridgeNetwork) -> bool:
    return bridge.exists(network.device) or firewall.is_current(network)


def test_bridges_and_tables_go_a_moment_after_the_last_container(engine: Engine) -> None:
    own = engine.network.create(NetworkOptions("own"))
    networks = (engine.network.default, own)
    life = engine.containers
    one, other = (life.create(options("sleep", "100", network=name)) for name in ("bridge", "own"))
    for container in (one, other):
        life.start(container)
    assert all(map(is_there, networks))
    life.stop(one, 0)
    life.stop(other, 0)
    engine.launcher.close()  # else its spawner stays, for what this engine starts next
    until(lambda: not any(map(is_there, networks)))
    until(lambda: not processes_named(engine.paths.run))
    life.start(other)
    assert is_there(own)
    assert not is_there(engine.network.default)


def test_a_container_whose_first_monitor_loses_its_deputy_keeps_no_bridge(
    paths: Paths, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawner, "ALONE_MS", 60_000)
    monkeypatch.setattr(monitor, "SETTLE_S", 60)
    first = make_engine(paths, "fork")
    container = first.containers.create(options("sleep", "100", network="bridge"))
    first.containers.start(container)
    first.close()
    found = state.read_state(paths.container(container))
    children = Path(f"/proc/{found.monitor}/task/{found.monitor}/children").read_text().split()
    (deputy,) = {int(child) for child in children} - {found.pid}
    os.kill(deputy, signal.SIGKILL)
    until(lambda: not state.is_process(found.pid, found.ticks))
    until(lambda: not is_there(engine.network.default))
    until(lambda: not processes_named(paths.run))
    assert [info.state for info in engine.containers.list()] == ["exited"]


def test_who_looks_does_it_where_the_spawner_was_killed_at_its_end(engine: Engine) -> None:
    life = engine.containers
    container = life.create(options("true", network="bridge"))
    life.start(container)
    engine.launcher.close()

    def leaving_one() -> list[int]:
        os.utime(engine.paths.changed)  # it waits for calm
        return processes_named(f"limpet: leaving {engine.paths.run}")

    until(leaving_one)
    (victim,) = leaving_one()
    os.kill(victim, signal.SIGKILL)
    until(lambda: not processes_named(engine.paths.run))
    some = next((folder for folder in CGROUPS.iterdir() if folder.name == "blkio"), CGROUPS)
    (some / "limpet").mkdir()
    assert is_there(engine.network.default)
    assert [info.state for info in life.list()] == ["exited"]
    assert not is_there(engine.network.default)
    assert not (some / "limpet").exists()


def test_no_bridge_is_taken_from_a_container_that_is_being_started(engine: Engine) -> None:
    life, paths = engine.containers, engine.paths
    container = life.create(options("true", network="bridge"))
    done = threading.Event()

    def take_away() -> None:
        while not done.wait(0.001):
            made.remove(paths, lambda: leaving.has_monitors(paths))

    thread = threading.Thread(target=take_away)
    thread.start()
    try:
        for _ in range(12):
            life.start(container)
            until(lambda: life.resolve(container).state == "exited")
    finally:
        done.set()
        thread.join()


def test_a_bridge_that_somebody_uses_stays(engine: Engine) -> None:
    network, paths = engine.network.default, engine.paths
    life = engine.containers
    life.start(life.create(options("true", network="bridge")))
    until(lambda: not leaving.has_monitors(paths))
    subprocess.run(
        f"ip link add lpguest master {network.device} type veth peer name lpfar",
        shell=True, check=True,
    )  # fmt: skip
    made.remove(paths, lambda: False)
    assert is_there(network)
    subprocess.run(["ip", "link", "del", "lpguest"], check=True)
    made.remove(paths, lambda: False)
    assert not is_there(network)


@pytest.mark.parametrize("what", ["an immutable file", "a mount"])
def test_a_container_of_which_a_file_cannot_be_removed_stays_in_the_list(
    engine: Engine, what: str
) -> None:
    life = engine.containers
    box = life.create(shell("mkdir -p /a/b; echo kept > /a/b/c", name="box"))
    life.start(box)
    life.wait(box)
    home = engine.paths.container(box)
    place = next(Path(home).rglob("a/b"))
    if what == "a mount":
        mount.mount("tmpfs", str(place), "tmpfs")
    else:
        subprocess.run(["chattr", "+i", place / "c"], check=True)
    try:
        with pytest.raises(HostError, match=r"container box: .* cannot be removed") as caught:
            life.rm(box)
        left = next(file for file in Path(home).rglob("*") if file.name in ("b", "c"))
    finally:
        if what == "a mount":
            mount.umount2(str(next(Path(home).rglob("b"), place)))
        else:
            subprocess.run(["chattr", "-R", "-i", home], check=True)
    assert caught.value.hint.endswith(f"{home}, then limpet rm box")
    assert str(left).startswith(home)
    found = life.resolve("box")
    assert found.state == "dead"
    with pytest.raises(Conflict, match=r"box is dead: its removal was cut short: .* removed"):
        life.start(box)
    life.rm("box")
    assert not life.list()
    assert os.listdir(engine.paths.trash) == []
