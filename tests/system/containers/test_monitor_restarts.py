"""Restart policies in real containers: by the monitor, after its death, after a boot."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from core.containers.runtime import cgroups
from core.containers.state import monitored, read_state, write_state
from core.containers.supervision import monitor
from core.engine import Engine
from core.errors import Conflict, RunError, UsageError
from core.model import Port
from tests.containers import make_engine, options, reap, run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.lifecycle import Containers
    from core.model import ContainerInfo
    from core.paths import Paths

COUNT = 'n=$(($(cat /n 2>/dev/null) + 1)); echo $n > /n; echo "run $n"; '
"""Counts its runs in a file of its own and says which one it is."""


def start(containers: Containers, script: str, restart: str, **more: object) -> str:
    container = containers.create(shell(script, restart=restart, **more))
    containers.start(container)
    return container


def info_of(containers: Containers, container: str) -> ContainerInfo:
    return next(info for info in containers.list() if info.id == container)


def wait_state(containers: Containers, container: str, *states: str) -> ContainerInfo:
    until(lambda: containers.resolve(container).state in states)
    return containers.resolve(container)


def output(containers: Containers, container: str) -> bytes:
    return b"".join(text for _, text in containers.logs(container))


def test_a_failure_is_tried_again_as_often_as_asked(containers: Containers) -> None:
    container = start(containers, COUNT + "exit 7", "on-failure:2")
    info = wait_state(containers, container, "exited")
    assert (info.exit_code, info.restarts) == (7, 2)
    assert output(containers, container) == b"run 1\nrun 2\nrun 3\n"
    document = containers.inspect(container)
    assert document["RestartCount"] == 2
    assert document["HostConfig"]["RestartPolicy"] == {
        "Name": "on-failure", "MaximumRetryCount": 2,
    }  # fmt: skip
    runs = document["State"]["Runs"]
    assert [(r["ExitCode"], r["Output"]) for r in runs] == [(7, [f"run {n}"]) for n in (1, 2, 3)]


def test_a_success_ends_on_failure(containers: Containers) -> None:
    container = start(containers, COUNT + "test $n = 2", "on-failure")
    info = wait_state(containers, container, "exited")
    assert (info.exit_code, info.restarts) == (0, 1)


def test_a_crash_loop_is_told_and_left(containers: Containers) -> None:
    container = start(containers, COUNT + "sleep 0.01; exit $n", "always")
    info = wait_state(containers, container, "crash-looping")
    assert info.next_start > info.finished > 0
    assert info.run_codes[:3] == ((1, False), (2, False), (3, False))
    with pytest.raises(Conflict, match="crash-looping"):
        containers.exec(container, ["true"])
    containers.stop(container)
    info = containers.resolve(container)
    assert (info.state, info.next_start) == ("exited", 0)
    assert read_state(containers._paths.container(container)).stopped


def test_a_crash_loop_recovers(containers: Containers) -> None:
    script = COUNT + "[ $n -lt 4 ] && exit 1; exec sleep 1000"
    container = start(containers, script, "unless-stopped")
    until(lambda: info_of(containers, container).restarts == 3)
    info = wait_state(containers, container, "running")
    assert info.pid > 0
    assert 0 < info.finished < info.started
    with containers.exec(container, ["cat", "/n"]) as session:
        assert run(session)[1] == b"4\n"


@pytest.mark.parametrize("act", ["stop", "kill", "rm"])
@pytest.mark.parametrize("moment", ["running", "waiting"])
def test_orders_end_it_at_any_moment(containers: Containers, act: str, moment: str) -> None:
    script = "exec sleep 1000" if moment == "running" else "exit 1"
    container = start(containers, script, "always")
    if moment == "waiting":
        until(lambda: info_of(containers, container).restarts >= 4)
        wait_state(containers, container, "crash-looping")
    began = time.monotonic()
    if act == "rm":
        containers.rm(container, force=True)
        assert containers.list() == []
    else:
        {"stop": lambda: containers.stop(container, 0), "kill": lambda: containers.kill(container)}[
            act
        ]()
        time.sleep(0.3)
        assert containers.resolve(container).state == "exited"
    assert time.monotonic() - began < 8


def test_a_signal_that_is_no_stop_counts_as_a_crash(containers: Containers) -> None:
    container = start(containers, "exec sleep 1000", "always")
    containers.kill(container, signal.SIGHUP)  # sleep does not handle it, but is pid 1
    first = containers.resolve(container).pid
    os.kill(first, signal.SIGKILL)
    until(lambda: containers.resolve(container).pid not in (0, first))
    containers.kill(container, signal.SIGTERM)
    assert containers.resolve(container).state == "running"
    os.kill(containers.resolve(container).pid, signal.SIGKILL)
    until(lambda: containers.resolve(container).state == "exited")


def test_start_does_not_wait_for_the_next_run(containers: Containers) -> None:
    container = start(containers, COUNT + "[ $n -lt 6 ] && exit 1; exec sleep 1000", "always")
    until(lambda: info_of(containers, container).restarts == 5)
    began = time.monotonic()
    containers.start(container)
    wait_state(containers, container, "running")
    assert time.monotonic() - began < 3  # the next was due in 3.2 s


def test_address_and_ports_stay(containers: Containers) -> None:
    port = Port("127.0.0.1", 0, 80)
    container = start(containers, "exec sleep 1000", "always", network="bridge", publish=(port,))
    before = containers.resolve(container)
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: containers.resolve(container).pid not in (0, before.pid))
    after = containers.resolve(container)
    assert (after.address, after.ports) == (before.address, before.ports)
    with containers.exec(container, ["ip", "addr", "show", "dev", "eth0"]) as session:
        assert before.address.encode() in run(session)[1]
    containers.stop(container, 0)
    containers._network.teardown()


def test_memory_of_one_run_is_not_that_of_the_last(containers: Containers) -> None:
    eat = COUNT + "[ $n = 1 ] && exec tail /dev/zero; exec sleep 1000"
    container = start(containers, eat, "always", memory_bytes=32 << 20)
    until(lambda: info_of(containers, container).restarts == 1)
    info = wait_state(containers, container, "running")
    assert info.run_codes == ((137, True),)
    containers.kill(container)
    assert not containers.resolve(container).oom_killed


def test_a_front_end_hears_of_each_run(containers: Containers) -> None:
    session = containers.run(shell(COUNT + "exit 3", restart="on-failure:1"))
    assert run(session) == (3, b"run 1\n", b"")
    container = containers.list()[0].id
    wait_state(containers, container, "exited")
    assert output(containers, container) == b"run 1\nrun 2\n"


def test_a_terminal_is_made_anew(containers: Containers) -> None:
    script = COUNT + "tty; [ $n = 2 ] && exec sleep 1000; exit 1"
    container = start(containers, script, "always", tty=True, stdin_open=True)
    until(lambda: info_of(containers, container).restarts == 1)
    wait_state(containers, container, "running")
    until(lambda: output(containers, container).count(b"/dev/pts/0") == 2)


def test_a_run_that_cannot_start_is_a_failed_one(containers: Containers) -> None:
    container = start(containers, "rm /bin/sh; exit 1", "on-failure:2")
    info = wait_state(containers, container, "exited")
    assert (info.exit_code, info.restarts) == (127, 2)
    assert "sh" in info.error


def test_one_that_ends_just_as_it_settles_keeps_its_exit_code(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = monitor.Monitor._reap

    def reap_and_settle(self: monitor.Monitor) -> None:
        real(self)
        self._loop.later(0, self._settle)

    monkeypatch.setattr(monitor.Monitor, "_reap", reap_and_settle)
    engine = make_engine(paths, "fork")
    life = engine.containers
    container = life.create(shell("exit 7"))
    life.start(container)
    assert wait_state(life, container, "exited").exit_code == 7
    life.rm(container)
    engine.close()
    reap()


def test_the_first_start_is_not_tried_again(containers: Containers) -> None:
    container = containers.create(options("no-such-program", restart="always"))
    with pytest.raises(RunError):
        containers.start(container)
    time.sleep(0.2)
    assert containers.resolve(container).state == "created"


def test_rm_and_restart_exclude_each_other(containers: Containers) -> None:
    with pytest.raises(UsageError, match="--restart always"):
        containers.create(shell("true", auto_remove=True, restart="always"))


def kill_monitor(engine: Engine, container: str) -> None:
    found = read_state(engine.paths.container(container))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: not monitored(found))


@pytest.mark.parametrize("moment", ["running", "waiting"])
def test_the_next_limpet_starts_what_a_killed_monitor_left(
    containers: Containers, engine: Engine, moment: str
) -> None:
    script = COUNT + ("[ $n -lt 6 ] && exit 1; " * (moment == "waiting")) + "exec sleep 1000"
    container = start(containers, script, "unless-stopped")
    count = 5 if moment == "waiting" else 0
    until(lambda: info_of(containers, container).restarts == count)
    kill_monitor(engine, container)
    info = info_of(containers, container)
    assert (info.state, info.restarts) == ("running", count + 1)
    assert info.run_codes[-1] == ((1, False) if moment == "waiting" else (137, False))


@pytest.mark.parametrize("act", ["stop", "kill", "rm"])
def test_orders_to_what_a_killed_monitor_left(
    containers: Containers, engine: Engine, act: str
) -> None:
    container = start(containers, "exec sleep 1000", "always")
    kill_monitor(engine, container)
    if act == "stop":
        containers.stop(container)
        assert info_of(containers, container).state == "exited"
    elif act == "rm":
        containers.rm(container)
        assert containers.list() == []
    else:
        with pytest.raises(Conflict):
            containers.kill(container)


def test_what_cannot_be_started_again_is_tried_once(containers: Containers, engine: Engine) -> None:
    container = start(containers, "rm /bin/sh; exec sleep 1000", "always")
    until(lambda: not os.path.exists(f"/proc/{containers.resolve(container).pid}/root/bin/sh"))
    kill_monitor(engine, container)
    info = info_of(containers, container)
    assert (info.state, info.exit_code) == ("exited", 127)
    stamp = Path(engine.paths.container(container), "state.json").stat().st_mtime_ns
    assert info_of(containers, container) == info
    assert Path(engine.paths.container(container), "state.json").stat().st_mtime_ns == stamp


def test_boot_starts_what_is_to_run(containers: Containers, engine: Engine) -> None:
    scripts = {
        "always": ("always", False), "stays": ("unless-stopped", False),
        "stopped": ("unless-stopped", True), "again": ("always", True), "none": ("", False),
        "fails": ("on-failure", False),
    }  # fmt: skip
    for name, (policy, stop) in scripts.items():
        start(containers, "exec sleep 1000", policy, name=name)
        if stop:
            containers.stop(name, 0)
    containers.create(shell("exec sleep 1000", restart="always", name="never"))
    for info in containers.list():  # the host goes down: all monitors die, another boot begins
        if info.state == "running":
            kill_monitor(engine, info.id)
        directory = engine.paths.container(info.id)
        if info.state != "created":
            found = read_state(directory)
            cgroups.remove(found.cgroup)
            write_state(directory, found.replace(boot="another"))
    assert not [info for info in containers.list() if info.state == "running"]
    assert sorted(engine.boot.start()) == ["again", "always", "stays"]
    running = sorted(info.name for info in containers.list() if info.state == "running")
    assert running == ["again", "always", "stays"]
    assert engine.boot.start() == ()


def test_what_the_disk_refuses_keeps_no_other_from_starting_or_being_listed(
    containers: Containers, engine: Engine
) -> None:
    for name in ("first", "second"):
        start(containers, "exec sleep 1000", "always", name=name)
    own = Path(engine.paths.container(containers.resolve("first").id), "hosts")
    own.unlink()
    own.mkdir()  # cannot be written, as nothing can on a full disk
    kill_monitor(engine, containers.resolve("first").id)
    found = {info.name: info for info in containers.list()}
    assert found["second"].state == "running"
    assert "hosts" in found["first"].error
    containers.stop("second", 0, by_host=True)
    directory = engine.paths.container(found["first"].id)
    write_state(directory, read_state(directory).replace(stopped=False))
    with pytest.raises(IsADirectoryError):
        engine.boot.start()
    assert containers.resolve("second").state == "running"


def test_stopping_with_the_host_is_no_persons_stop(engine: Engine, containers: Containers) -> None:
    container = start(containers, "exec sleep 1000", "unless-stopped")
    containers.stop(container, 0, by_host=True)
    assert containers.resolve(container).state == "exited"
    assert engine.boot.start() == (containers.resolve(container).name,)


def test_all_are_stopped_side_by_side_when_the_host_goes_down(
    engine: Engine, containers: Containers
) -> None:
    names = [f"c{number}" for number in range(4)]
    for name in names:
        start(containers, "exec sleep 1000", "always", name=name, stop_timeout_s=2)
    began = time.monotonic()
    assert sorted(engine.boot.stop()) == names
    assert time.monotonic() - began < 7
    assert sorted(engine.boot.start()) == names


TRAP = 'trap "echo ends; exit 5" TERM; echo begins; while :; do sleep 0.05; done'


@pytest.mark.parametrize("moment", ["running", "paused", "waiting"])
def test_a_monitor_that_is_asked_to_end_stops_its_container_until_the_next_boot(
    engine: Engine, containers: Containers, moment: str
) -> None:
    """As systemd does with what is left of a login, and with everything at the host's end."""
    script = COUNT + "exit 1" if moment == "waiting" else TRAP
    container = start(containers, script, "unless-stopped", name="kept")
    if moment == "waiting":
        until(lambda: info_of(containers, container).restarts == 5)
    else:
        until(lambda: output(containers, container) == b"begins\n")
    if moment == "paused":
        containers.pause(container)
    os.kill(read_state(engine.paths.container(container)).monitor, signal.SIGTERM)
    info = wait_state(containers, container, "exited")
    assert info.exit_code == (1 if moment == "waiting" else 5)
    if moment != "waiting":
        assert output(containers, container) == b"begins\nends\n"
    assert engine.boot.would_start() == ("kept",)


def test_such_a_container_is_killed_when_its_time_is_over(
    engine: Engine, containers: Containers
) -> None:
    container = start(containers, "exec sleep 1000", "always", stop_timeout_s=1)
    began = time.monotonic()
    os.kill(read_state(engine.paths.container(container)).monitor, signal.SIGTERM)
    assert wait_state(containers, container, "exited").exit_code == 137
    assert 1 <= time.monotonic() - began < 8


def test_a_program_can_still_be_told_to_end(containers: Containers) -> None:
    """Its monitor holds this signal up; what it starts must not."""
    container = start(containers, "grep SigBlk /proc/self/status; exit 1", "on-failure:1")
    wait_state(containers, container, "exited")
    assert output(containers, container).decode().split() == ["SigBlk:", "0" * 16] * 2
