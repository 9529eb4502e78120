"""kill -9 of the monitor, the spawner and the front end at each step of start, stop and rm.

A step is a function of limpet's own; the test's copy of it kills its process before or
after the real one.  Afterwards what limpet tells is true, and it can go on.
"""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from core.containers import ending, networking, removal, starting, state, stored
from core.containers.log.writer import LineWriter
from core.containers.runtime import cgroups
from core.containers.supervision import child, deputy, launcher, monitor, pump, watch
from core.engine import Engine
from core.errors import Error
from core.linux import nfnetlink
from core.model import Port
from core.network.attachment import veth
from core.network.network import Network
from core.network.ports import publishing
from core.paths import Paths
from tests.containers import make_engine, parted, shell, spawner, spawners, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from core.containers.lifecycle import Containers

SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.05; done"

MONITOR_START: tuple[tuple[Any, str], ...] = (
    (child, "tell"), (child, "see_start"), (cgroups, "create"), (monitor.Monitor, "_listen"),
    (monitor.Monitor, "_attach"), (veth, "attach"), (publishing, "publish"), (child, "_talk"),
    (state, "write_state"), (monitor, "_report"),
)  # fmt: skip
SETTLING: tuple[tuple[Any, str], ...] = (
    (monitor.Monitor, "_hand_over"), (deputy.Principal, "hand_over"), (deputy.Deputy, "attend"),
    (watch.Watch, "__init__"), (deputy.Deputy, "dismiss"), (deputy, "reap"),
    (watch.Watch, "run"),
)  # fmt: skip
"""From the deputy that has started a container to the monitor, which watches over it."""
CALLED: tuple[tuple[Any, str], ...] = (
    (deputy, "fork"), (monitor, "go_on"), (monitor.Monitor, "take_over"),
    (monitor.Monitor, "_accept"), (deputy.Principal, "wait"),
)  # fmt: skip
"""And back, as somebody connects."""
MONITOR_END: tuple[tuple[Any, str], ...] = (
    (monitor.Monitor, "_note_run"), (pump.Pump, "drain"), (LineWriter, "end_lines"),
    (cgroups, "oom_kills"), (monitor.Monitor, "_give_back"), (publishing, "unpublish"),
    (cgroups, "remove"), (monitor.Monitor, "_write_state"), (pump.Pump, "send_all"),
    (monitor.Monitor, "_linger"),
)  # fmt: skip
START: tuple[tuple[Any, str], ...] = (
    (stored.Lock, "__enter__"), (networking, "prepare"), (starting, "write_files"),
    (starting, "make_plan"), (launcher.Launcher, "_send"), (launcher, "_wait_report"),
    (stored.Lock, "__exit__"),
)  # fmt: skip
STOP: tuple[tuple[Any, str], ...] = ((ending, "say"), (ending, "_ended"))
REMOVE: tuple[tuple[Any, str], ...] = (
    (ending, "send"), (removal, "remove_tree"), (Network, "release"), (stored.Lock, "__exit__"),
)  # fmt: skip


def named(steps: tuple[tuple[Any, str], ...]) -> pytest.MarkDecorator:
    """Return the moments before each step, which is after the one before, and the last one."""
    moments = [(owner, name, "before") for owner, name in steps] + [(*steps[-1], "after")]
    ids = [f"{when}-{name}" for _, name, when in moments]
    return pytest.mark.parametrize(("owner", "name", "when"), moments, ids=ids)


def deadly(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str, dies: Callable[[], bool]
) -> None:
    """Have the process that comes to a step die there, if `dies()`."""
    real = getattr(owner, name)

    def step(*args: Any, **named: Any) -> Any:
        if dies() and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(*args, **named)
        finally:
            if dies():
                os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(owner, name, step)


@pytest.fixture
def left(paths: Paths) -> Iterator[Engine]:
    """Give another limpet, which comes later and removes what it finds."""
    engine = make_engine(paths, "spawner")
    yield engine
    for info in engine.containers.list():
        engine.containers.rm(info.id, force=True)
    engine.network.teardown()
    engine.close()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def make(engine: Engine) -> str:
    port = Port("127.0.0.1", 0, 80)
    return engine.containers.create(shell(SLEEP, network="bridge", publish=(port,)))


def check(engine: Engine, container: str) -> None:
    """What limpet tells is true, nothing is left of what ended, and the container works."""
    containers = engine.containers
    with stored.Lock(engine.paths, container):
        pass  # a start whose front end was killed is over
    containers.resolve(container)  # puts right what a killed monitor left
    until(lambda: _is_true(engine, container))
    info = containers.resolve(container)
    if info.state == "running":
        containers.stop(container, 1)
    else:
        assert info.state in ("created", "exited")
        assert info.pid == 0
    assert not _cgroups(container)
    containers.start(container)
    assert containers.resolve(container).state == "running"
    containers.stop(container, 1)
    info = containers.resolve(container)
    assert (info.state, info.error) == ("exited", "")


def _is_true(engine: Engine, container: str) -> bool:
    """Whether what is written runs; a monitor takes a moment to write down that it has ended."""
    found = state.read_state(engine.paths.container(container))
    if found.state != "running":
        return True
    return state.is_process(found.pid, found.ticks) and state.monitored(found)


def _cgroups(container: str) -> list[str]:
    """Return the cgroups of a container, once a monitor that is ending has had its time."""
    dirs = cgroups.make_cgroup(container, {})["dirs"]
    with contextlib.suppress(AssertionError):
        until(lambda: not any(map(os.path.exists, dirs)))
    return [folder for folder in dirs if os.path.exists(folder)]


@named(MONITOR_START)
def test_the_monitor_is_killed_while_it_starts_a_container(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own = make(left), os.getpid()
    deadly(monkeypatch, owner, name, when, lambda: os.getpid() != own)
    dying = make_engine(paths, "fork")
    with contextlib.suppress(Error):
        dying.containers.start(container)
    dying.close()
    monkeypatch.undo()
    until(lambda: not spawners(paths))  # what it forked would die, too
    check(left, container)


@named(MONITOR_END)
def test_the_monitor_is_killed_while_its_container_ends(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own, ending_ = make(left), os.getpid(), str(paths.data) + "/ending"
    deadly(monkeypatch, owner, name, when, lambda: os.getpid() != own and os.path.exists(ending_))
    dying = make_engine(paths, "fork")
    dying.containers.start(container)
    with open(ending_, "w"):
        pass
    with contextlib.suppress(Error):
        dying.containers.stop(container, 1)
    dying.close()
    monkeypatch.undo()
    until(lambda: not spawners(paths))
    info = left.containers.resolve(container)
    assert info.state == "exited"
    assert info.exit_code in (0, 137)
    check(left, container)


def is_settled(paths: Paths, container: str) -> bool:
    """Return whether the monitor of a container has no child but that."""
    found = state.read_state(paths.container(container))
    try:
        file = f"/proc/{found.monitor}/task/{found.monitor}/children"
        return state.read_file(file).split() == [b"%d" % found.pid]
    except OSError:
        return False


@named(SETTLING)
def test_the_monitor_is_killed_while_its_container_settles(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own = make(left), os.getpid()
    monkeypatch.setattr(monitor, "SETTLE_S", 0.05)
    deadly(monkeypatch, owner, name, when, lambda: os.getpid() != own)
    dying = make_engine(paths, "fork")
    with contextlib.suppress(Error):
        dying.containers.start(container)
    dying.close()
    monkeypatch.undo()
    with contextlib.suppress(AssertionError):  # it watches, and nothing is wanted of it
        until(lambda: not state.monitored(state.read_state(paths.container(container))), 2)
    check(left, container)


@named(CALLED)
def test_the_monitor_is_killed_when_its_settled_container_is_stopped(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own, ending_ = make(left), os.getpid(), str(paths.data) + "/ending"
    monkeypatch.setattr(monitor, "SETTLE_S", 0.05)
    deadly(monkeypatch, owner, name, when, lambda: os.getpid() != own and os.path.exists(ending_))
    dying = make_engine(paths, "fork")
    dying.containers.start(container)
    until(lambda: is_settled(paths, container))
    with open(ending_, "w"):
        pass
    with contextlib.suppress(Error):
        dying.containers.stop(container, 1)
    dying.close()
    monkeypatch.undo()
    until(lambda: not spawners(paths))
    assert left.containers.resolve(container).state == "exited"
    check(left, container)


def in_a_front_end(paths: Paths, act: Callable[[Containers], object]) -> None:
    """Do something in a process that is to die of it."""
    pid = os.fork()
    if pid == 0:
        try:
            engine = make_engine(paths, "fork")
            act(engine.containers)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@named(START)
def test_the_front_end_is_killed_while_it_starts_a_container(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own = make(left), os.getpid()
    deadly(monkeypatch, owner, name, when, lambda: os.getppid() == own)
    in_a_front_end(paths, lambda containers: containers.start(container))
    monkeypatch.undo()
    check(left, container)


@pytest.mark.parametrize("in_use", [False, True], ids=["idle", "in-use"])
def test_no_cgroup_stays_where_the_spawner_is_killed(paths: Paths, *, in_use: bool) -> None:
    engine = make_engine(paths, "spawner")
    parents = set(map(os.path.dirname, cgroups.make_cgroup("any", {})["dirs"]))
    container = make(engine)
    engine.containers.start(container)
    victim = parted(paths, container)
    if in_use:
        os.kill(victim, signal.SIGKILL)
    engine.containers.stop(container, 1)
    assert any(map(os.path.exists, parents)) or in_use
    if not in_use:
        os.kill(victim, signal.SIGKILL)
    engine.containers.rm(container)
    engine.network.teardown()
    engine.close()
    until(lambda: not any(map(os.path.exists, parents)))


@named(STOP)
def test_the_front_end_is_killed_while_it_stops_a_container(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own = make(left), os.getpid()
    left.containers.start(container)
    deadly(monkeypatch, owner, name, when, lambda: os.getppid() == own)
    in_a_front_end(paths, lambda containers: containers.stop(container, 1))
    monkeypatch.undo()
    check(left, container)


@named(REMOVE)
def test_the_front_end_is_killed_while_it_removes_a_container(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    container, own = make(left), os.getpid()
    left.containers.start(container)
    deadly(monkeypatch, owner, name, when, lambda: os.getppid() == own)
    in_a_front_end(paths, lambda containers: containers.rm(container, force=True))
    monkeypatch.undo()
    for info in left.containers.list():
        assert info.state in ("running", "exited", "dead")
        assert (info.pid > 0) == (info.state == "running")
        left.containers.rm(container, force=True)
    assert left.containers.list() == []
    assert os.listdir(paths.containers) == []
    assert not _cgroups(container)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_spawner_is_killed(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    container, dying = make(left), make_engine(paths, "fork")
    real, victim = launcher.Launcher._try_send, spawner(paths)

    def send(own: launcher.Launcher, *values: Any) -> int:
        if when == "after":
            answer = real(own, *values)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return real(own, *values) if when == "before" else answer

    monkeypatch.setattr(launcher.Launcher, "_try_send", send)
    with contextlib.suppress(Error):
        dying.containers.start(container)
    monkeypatch.undo()
    dying.close()
    check(left, container)


@pytest.mark.parametrize("again", ["ps", "start"])
def test_all_who_start_a_container_are_killed_as_its_port_is_published(
    paths: Paths, left: Engine, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    container, real = make(left), state.write_state
    starting_ = f"{paths.data}/starting"

    def step(directory: str, found: state.State) -> None:
        if found.state == "running":
            with open(starting_) as file:
                os.kill(int(file.read()), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        real(directory, found)

    def start(containers: Containers) -> None:
        with open(starting_, "w") as file:
            file.write(str(os.getpid()))
        containers.start(container)

    monkeypatch.setattr(state, "write_state", step)
    in_a_front_end(paths, start)
    monkeypatch.undo()
    until(lambda: not spawners(paths))  # what it forked would die, too
    assert len(published_ports()) == 1
    if again == "ps":
        assert [info.state for info in left.containers.list()] == ["created"]
        assert published_ports() == []
    else:
        left.containers.start(container)
        info = left.containers.resolve(container)
        assert (info.state, info.error) == ("running", "")
        (port,) = info.ports
        assert published_ports() == [port.host_port]


def published_ports() -> list[int]:
    """Return the ports of 127.0.0.1 that lead into containers."""
    found = nfnetlink.elements("limpet0", publishing.ONE)
    return [int.from_bytes(key[8:10], "big") for key, _ in found]
