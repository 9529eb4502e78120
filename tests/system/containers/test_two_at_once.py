"""Two who change one container at the same time: each finds what the other has made of it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from core.containers import creation, ending, lifecycle, removal, repair, state
from core.containers.files.commit import CommitOptions
from core.containers.removal import remove_container, remove_rest
from core.containers.runtime import cgroups
from core.containers.starter import Starter
from core.containers.stored import Lock, find
from core.containers.supervision import protocol
from core.errors import Conflict, InUse, NotFound
from core.file_lock import FileLock
from core.model import Endpoint
from core.network import names
from core.network.host import bridge
from tests.containers import parted, shell, until
from tests.system.network.own_networks.asking import network, sleeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.lifecycle import Containers
    from core.engine import Engine


class Beside:
    """Something that is done in a thread, as another process would."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._do)
        self._thread.start()

    def _do(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - for the test to look at
            self._error = error

    def end(self) -> None:
        """Wait for its end, and raise what it has raised."""
        self._thread.join(40)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


def is_waited_for(path: str) -> bool:
    """Return whether somebody waits for the lock of a file."""
    inode, lines = f":{os.stat(path).st_ino} ", Path("/proc/locks").read_text().splitlines()
    return any("->" in line and inode in line for line in lines)


def lock_of(engine: Engine, container: str) -> str:
    return f"{engine.paths.container(container)}/lock"


@pytest.mark.parametrize("order", ["start", "rm", "rename"])
@pytest.mark.parametrize("kept", [True, False])
def test_one_that_is_removed_while_another_waits_for_it(
    engine: Engine, containers: Containers, order: str, kept: bool
) -> None:
    container = containers.create(shell("true", name="web"))
    orders: dict[str, Callable[[], None]] = {
        "start": lambda: containers.start("web"),
        "rm": lambda: containers.rm("web"),
        "rename": lambda: containers.rename("web", "other"),
    }
    with Lock(engine.paths, container):
        waiting = Beside(orders[order])
        until(lambda: is_waited_for(lock_of(engine, container)))
        bin_ = engine.trash.open("limpet rm web") if kept else None
        remove_container(engine.paths, engine.database, engine.network, container, bin_)
    with pytest.raises(NotFound, match=container[:12]):
        waiting.end()
    assert not os.path.exists(engine.paths.container(container))


def left_by_its_monitor(engine: Engine, containers: Containers) -> str:
    """Return a container that is to be started again, and whose monitor has been killed."""
    container = containers.create(shell("exec sleep 1000", restart="always"))
    containers.start(container)
    monitor = state.read_state(engine.paths.container(container)).monitor
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{monitor}/ns/pid").exists())
    return container


def test_a_stop_while_another_revives_what_a_killed_monitor_left(
    engine: Engine, containers: Containers
) -> None:
    container = left_by_its_monitor(engine, containers)
    with FileLock(engine.paths.starting):
        reviving = Beside(containers.list)
        until(lambda: is_waited_for(engine.paths.starting))
        stopping = Beside(lambda: containers.stop(container, 0))
        until(lambda: is_waited_for(lock_of(engine, container)))
    reviving.end()
    stopping.end()
    found = state.read_state(engine.paths.container(container))
    assert (found.state, found.stopped) == ("exited", True)


def test_a_kill_while_another_revives_what_a_killed_monitor_left(
    engine: Engine, containers: Containers
) -> None:
    container = left_by_its_monitor(engine, containers)
    starter, row = Starter(engine._host), find(engine.database, container)
    with Lock(engine.paths, container) as lock:
        killing = Beside(lambda: containers.kill(container))
        until(lambda: is_waited_for(lock_of(engine, container)))
        found = repair.locked_state(engine.paths, engine.network, container)
        starter._launch_with_ports(row, -1, found, lock)
    killing.end()
    assert state.read_state(engine.paths.container(container)).state == "exited"


def test_a_kill_of_one_that_another_has_paused_meanwhile(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    seen = containers._state(container)
    containers.pause(container)
    monkeypatch.setattr(containers, "_state", lambda _: seen)
    containers.kill(container)
    assert state.read_state(engine.paths.container(container)).state == "exited"


@pytest.mark.parametrize("seen", ["running", "paused"])
def test_a_pause_of_one_that_has_ended_meanwhile_and_waits_for_its_next_run(
    engine: Engine, containers: Containers, seen: str
) -> None:
    container = containers.create(shell("exit 1", restart="always"))
    containers.start(container)
    until(lambda: containers.resolve(container).state == "crash-looping")
    with pytest.raises(Conflict, match="but crash-looping"):
        ending.freeze(engine.paths, find(engine.database, container), frozen=seen == "running")
    assert containers.resolve(container).state == "crash-looping"


def test_a_commit_of_one_that_ends_meanwhile(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = containers.create(shell("touch /made; exit 1", restart="always"))
    containers.start(container)
    until(lambda: containers.resolve(container).state == "crash-looping")
    seen = containers._state(container).replace(state="running")
    monkeypatch.setattr(repair, "locked_state", lambda *_: seen)
    made = engine.images.commit(container, CommitOptions()).result()
    assert made.layers == 2


def test_a_container_that_ends_while_it_is_renamed_is_on_no_network(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    container = sleeper(containers, "web", "shop")
    zones = engine.network.zones
    with zones.lock():
        renaming = Beside(lambda: containers.rename(container, "api"))
        until(lambda: is_waited_for(f"{zones.directory}/.lock"))
        os.unlink(zones.file("shop"))  # as its monitor does
    renaming.end()
    assert names.members(zones, "shop") == []


def test_the_address_of_one_that_waits_for_its_next_run_is_not_given_away(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    place = {"network": "shop", "endpoints": (Endpoint("shop", ip="10.90.0.50"),)}
    first = containers.create(shell("exit 1", name="first", restart="always", **place))
    containers.start(first)
    until(lambda: containers.resolve(first).state == "crash-looping")
    with engine.database.write() as sql:  # it has had it for long
        sql.execute("UPDATE addresses SET leased=0")
    second = containers.create(shell("sleep 1000", **place))
    with pytest.raises(Conflict, match="is the address of container first"):
        containers.start(second)


def test_one_that_is_being_removed_is_nobody_elses(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = containers.create(shell("true"))
    remove_tree, seen = removal.remove_tree, []

    def halfway(path: str) -> None:
        for name in os.listdir(path):
            (remove_tree if os.path.isdir(f"{path}/{name}") else os.unlink)(f"{path}/{name}")
        try:
            with Lock(engine.paths, container, wait=False):
                seen.append("there")
        except NotFound:
            seen.append("gone")
        remove_tree(path)

    monkeypatch.setattr(removal, "remove_tree", halfway)
    containers.rm(container)
    assert seen == ["gone"]
    assert os.listdir(engine.paths.trash) == []


def test_one_that_somebody_has_brought_back_is_no_rest_of_a_removal(
    engine: Engine, containers: Containers
) -> None:
    container = containers.create(shell("true"))
    assert not remove_rest(engine.paths, engine.database, engine.network, container)
    containers.start(container)
    assert containers.wait(container) == 0


def test_one_that_ends_while_it_is_connected_is_so_when_it_starts_again(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(engine, "one")
    network(engine, "two")
    web = sleeper(containers, "web", "one")
    seen = containers._state(web)
    containers.stop(web, 0)
    with monkeypatch.context() as patch:
        patch.setattr(repair, "locked_state", lambda *_: seen)
        engine.connections.connect(web, Endpoint("two"))
        assert containers.resolve(web).networks == ("one", "two")
        engine.connections.disconnect(web, "one")
    containers.start(web)
    assert [one.container for one in names.members(engine.network.zones, "two")] == [web]
    assert names.members(engine.network.zones, "one") == []


def test_an_attach_to_one_that_ends_meanwhile(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = containers.create(shell("true"))

    def connect(_: str) -> object:
        ours, theirs = protocol.pair()
        theirs.close()
        return ours

    monkeypatch.setattr(lifecycle, "connect", connect)
    with pytest.raises(Conflict, match="is not running"):
        containers.attach(container)


def test_a_network_that_is_removed_while_a_container_is_made_on_it(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    made = containers._prepare(shell("true", network="shop"))
    engine.network.remove("shop", engine.connections.users_of)
    with pytest.raises(NotFound, match="network shop was removed meanwhile"):
        creation.insert(engine.database, made)


def test_a_network_whose_first_container_starts_while_it_is_removed(
    engine: Engine, containers: Containers
) -> None:
    device = network(engine, "shop")
    with engine.network.starting():
        removing = Beside(lambda: engine.network.remove("shop", engine.connections.users_of))
        until(lambda: is_waited_for(engine.paths.starting))
        sleeper(containers, "web", "shop")
    with pytest.raises(InUse, match="used by web"):
        removing.end()
    assert bridge.exists(device)


def test_the_default_bridge_of_one_that_starts_while_it_is_taken_away(
    engine: Engine, containers: Containers
) -> None:
    users = engine.connections.users_of
    with engine.network.starting():
        pruning = Beside(lambda: engine.network.teardown(users=users))
        until(lambda: is_waited_for(engine.paths.starting))
        container = containers.create(shell("exec sleep 1000", network="bridge"))
        containers.start(container)
    pruning.end()
    assert bridge.exists(engine.network.bridge)
    containers.rm(container, force=True)
    engine.network.teardown(users=users)
    assert not bridge.exists(engine.network.bridge)


def test_limits_for_what_has_just_ended_are_for_its_next_start(engine: Engine) -> None:
    one = engine.containers.create(shell("exec sleep 1000", pids_limit=50))
    engine.containers.start(one)
    parted(engine.paths, one)
    found = state.read_state(engine.paths.container(one))
    os.kill(found.monitor, signal.SIGSTOP)  # so that it says later that it has ended
    try:
        os.kill(found.pid, signal.SIGKILL)
        cgroups.remove(found.cgroup)
        row = find(engine.database, one)
        engine.editing.update(one, row.options.replace(pids_limit=60))
    finally:
        os.kill(found.monitor, signal.SIGCONT)
    assert find(engine.database, one).options.pids_limit == 60
    until(lambda: engine.containers.resolve(one).state == "exited")
    engine.containers.start(one)
    usage = engine.containers.usage(one)
    assert usage is not None
    assert usage.pids_limit == 60
