"""Containers from create to rm, through both doors."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from core.containers import repair, state, stored
from core.containers.files.root import open_stopped
from core.containers.runtime import cgroups
from core.containers.state import State, read_state, write_state
from core.engine import Engine
from core.errors import Conflict, HostError, NotFound, RunError, UsageError
from core.lean_json import dumps
from core.paths import Paths
from tests.containers import make_engine, options, reap, run, shell, spawner, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.containers.lifecycle import Containers


@pytest.fixture(params=["fork", "spawner"])
def engine(paths: Paths, request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = make_engine(paths, request.param)
    yield made
    made.close()
    reap()


def started(containers: Containers, script: str = "exec sleep 1000") -> str:
    container = containers.create(shell(script))
    containers.start(container)
    return container


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_the_exit_code_and_both_streams_arrive(containers: Containers, code: int) -> None:
    script = f"echo out; echo err >&2; exit {code}"
    assert run(containers.run(shell(script))) == (code, b"out\n", b"err\n")
    info = containers.list()[0]
    assert (info.state, info.exit_code, info.pid) == ("exited", code, 0)
    assert info.finished >= info.started > info.created > 0


def test_a_killed_program_exits_with_128_and_the_signal(containers: Containers) -> None:
    container = started(containers)
    os.kill(containers.resolve(container).pid, signal.SIGKILL)
    assert containers.wait(container) == 137


def test_output_without_end_of_line_and_with_any_bytes(containers: Containers) -> None:
    code, out, _ = run(containers.run(shell("head -c 300000 /dev/urandom | tee /f; printf end")))
    assert code == 0
    assert len(out) == 300003
    logged = b"".join(text for _, text in containers.logs(containers.list()[0].id))
    assert logged == out


def test_a_detached_container_is_seen_waited_for_and_read(containers: Containers) -> None:
    container = started(containers, "echo one; echo two >&2; sleep 0.1; exit 3")
    info = containers.resolve(container)
    assert info.state == "running"
    assert info.pid > 0
    assert containers.wait(container) == 3
    assert sorted(containers.logs(container)) == [(1, b"one\n"), (2, b"two\n")]
    containers.rm(container)
    assert containers.list() == []
    with pytest.raises(NotFound):
        containers.resolve(container)


@pytest.mark.parametrize(
    ("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)]
)
def test_a_program_that_cannot_run(
    containers: Containers, engine: Engine, command: str, code: int
) -> None:
    container = containers.create(options(command))
    with pytest.raises(RunError) as caught:
        containers.start(container)
    assert caught.value.exit_code == code
    assert command in caught.value.message
    info = containers.resolve(container)
    assert info.state == "created"
    assert command in info.error
    assert not os.path.exists(engine.paths.container_run(container))


def test_a_failed_run_with_rm_leaves_nothing(containers: Containers, engine: Engine) -> None:
    with pytest.raises(RunError):
        containers.run(options("no-such-program", auto_remove=True))
    assert containers.list() == []
    assert os.listdir(engine.paths.containers) == []


def test_an_unknown_image_makes_nothing(containers: Containers, engine: Engine) -> None:
    with pytest.raises(NotFound):
        containers.create(options().replace(image="nonesuch"))
    assert os.listdir(engine.paths.containers) == []


def test_a_taken_name_names_its_holder(containers: Containers, engine: Engine) -> None:
    first = containers.create(options("true", name="web"))
    with pytest.raises(Conflict) as caught:
        containers.create(options("true", name="web"))
    assert first[:12] in caught.value.message
    assert "rm web" in caught.value.hint
    assert len(os.listdir(engine.paths.containers)) == 1
    with pytest.raises(UsageError):
        containers.create(options("true", name="a/b"))


def test_references(containers: Containers) -> None:
    first = containers.create(options("true", name="web"))
    for reference in (first, first[:12], first[:4], "web"):
        assert containers.resolve(reference).id == first
    with pytest.raises(NotFound) as caught:
        containers.resolve("wbe")
    assert "web" in caught.value.hint
    for reference in ("", "%", "_eb", "g" * 64):
        with pytest.raises(NotFound):
            containers.resolve(reference)
    containers.rename("web", "shop")
    assert containers.resolve("shop").id == first
    containers.create(options("true", name="web"))
    with pytest.raises(Conflict):
        containers.rename("shop", "web")


def test_start_again_goes_on_with_the_same_files_and_log(containers: Containers) -> None:
    container = containers.create(shell("echo x >> /count; wc -l < /count"))
    for _ in range(3):
        containers.start(container)
        assert containers.wait(container) == 0
    assert [text.strip() for _, text in containers.logs(container)] == [b"1", b"2", b"3"]


def test_start_of_a_running_one_changes_nothing(containers: Containers) -> None:
    container = started(containers)
    before = containers.resolve(container)
    containers.start(container)
    assert containers.resolve(container) == before


def test_stop_sends_the_stop_signal(containers: Containers) -> None:
    container = started(containers, "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done")
    until(lambda: list(containers.logs(container)))
    containers.stop(container, 10)
    info = containers.resolve(container)
    assert (info.state, info.exit_code) == ("exited", 9)
    containers.stop(container)


def test_stop_kills_what_does_not_listen(containers: Containers) -> None:
    container = started(containers, "trap '' TERM; while :; do sleep 1; done")
    begun = time.monotonic()
    containers.stop(container, 1)
    assert 0.9 < time.monotonic() - begun < 5
    assert containers.resolve(container).exit_code == 137


def test_stop_with_a_signal_of_its_own(containers: Containers) -> None:
    script = "trap 'exit 4' USR1; echo up; while :; do sleep 0.01; done"
    container = containers.create(shell(script, stop_signal="SIGUSR1"))
    containers.start(container)
    until(lambda: list(containers.logs(container)))
    containers.stop(container, 10)
    assert containers.resolve(container).exit_code == 4


def test_kill(containers: Containers) -> None:
    container = started(containers, "trap 'echo got' HUP; echo up; while :; do sleep 0.01; done")
    until(lambda: list(containers.logs(container)))
    containers.kill(container, signal.SIGHUP)
    until(lambda: (1, b"got\n") in list(containers.logs(container)))
    containers.kill(container)
    assert containers.resolve(container).exit_code == 137
    with pytest.raises(Conflict) as caught:
        containers.kill(container)
    assert "start" in caught.value.hint


def test_pause_and_unpause(containers: Containers) -> None:
    container = started(containers, "while :; do echo x; sleep 0.005; done")
    containers.pause(container)
    assert containers.resolve(container).state == "paused"
    seen = [-1]

    def all_is_written() -> bool:
        time.sleep(0.05)
        seen.append(len(list(containers.logs(container))))
        return seen[-1] == seen[-2]

    until(all_is_written)
    time.sleep(0.1)
    assert len(list(containers.logs(container))) == seen[-1]
    with pytest.raises(Conflict):
        containers.pause(container)
    containers.unpause(container)
    until(lambda: len(list(containers.logs(container))) > seen[-1])
    containers.pause(container)
    containers.stop(container, 0)
    assert containers.resolve(container).exit_code == 137


def test_rm_of_a_running_one(containers: Containers, engine: Engine) -> None:
    container = started(containers)
    with pytest.raises(Conflict) as caught:
        containers.rm(container)
    assert "rm -f" in caught.value.hint
    assert containers.resolve(container).state == "running"
    containers.rm(container, force=True)
    assert containers.list() == []
    assert os.listdir(engine.paths.containers) == []
    assert os.listdir(engine.paths.run + "/containers") == []


def test_rm_of_a_paused_one(containers: Containers) -> None:
    container = started(containers)
    containers.pause(container)
    containers.rm(container, force=True)
    assert containers.list() == []


def test_foreground_rm_is_done_when_the_code_is_there(
    containers: Containers, engine: Engine
) -> None:
    assert run(containers.run(shell("exit 5", auto_remove=True)))[0] == 5
    assert containers.list() == []
    assert os.listdir(engine.paths.containers) == []
    until(lambda: not os.listdir(engine.paths.trash))  # its monitor has removed the files


def test_what_is_removed_at_its_end_need_not_be_brought_to_the_disk(
    containers: Containers,
) -> None:
    for removed in (True, False):
        _, mounts, _ = run(containers.run(shell("cat /proc/mounts", auto_remove=removed)))
        root = next(line for line in mounts.splitlines() if line.startswith(b"overlay / "))
        assert (b"volatile" in root) == removed


def test_one_whose_end_nobody_saw_and_that_is_volatile_starts_again(
    containers: Containers, engine: Engine
) -> None:
    container = containers.create(shell("echo run >>/kept; exec sleep 1000", auto_remove=True))
    containers.start(container)

    def kept() -> bytes:
        return run(containers.exec(container, ["cat", "/kept"]))[1]

    until(lambda: kept() == b"run\n")
    found = read_state(engine.paths.container(container))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: containers.resolve(container).state == "exited")
    containers.start(container)
    until(lambda: kept() == b"run\n" * 2)
    containers.kill(container)
    until(lambda: containers.list() == [])


def test_one_to_be_removed_at_its_end_is_so_when_it_cannot_start(containers: Containers) -> None:
    container = containers.create(options("/nothing", auto_remove=True))
    with pytest.raises(RunError):
        containers.start(container)
    assert containers.list() == []


def test_a_session_keeps_its_spawner(paths: Paths) -> None:
    """Also when a container ends while the spawner prepares for more of them."""
    engine = make_engine(paths, "spawner")
    container = engine.containers.create(options("true"))
    engine.containers.start(container)  # whose monitor becomes two processes
    assert engine.containers.wait(container) == 0
    served = set()
    for _ in range(4):
        engine.containers.start(container)
        assert engine.containers.wait(container) == 0
        served.add(spawner(paths))
    engine.close()
    reap()
    assert len(served) == 1


def test_background_rm_needs_nobody(containers: Containers, engine: Engine) -> None:
    container = containers.create(shell("sleep 0.1", auto_remove=True))
    containers.start(container)
    until(lambda: not containers.list())
    until(lambda: not os.listdir(engine.paths.containers))


def test_rm_when_the_front_end_hangs_up_before_the_end(
    containers: Containers, engine: Engine
) -> None:
    containers.run(shell("sleep 0.2", auto_remove=True)).close()
    until(lambda: not containers.list())
    until(lambda: not os.listdir(engine.paths.containers))


def test_usage(containers: Containers) -> None:
    container = started(containers, "while :; do :; done")
    until(lambda: (now := containers.usage(container)) and now.cpu_ns > 10_000_000)
    found = containers.usage(container)
    assert found is not None
    assert found.memory_bytes > 0
    assert found.pids >= 1
    containers.kill(container)
    assert containers.usage(container) is None
    assert containers.usage("nonesuch") is None


def test_inspect_speaks_docker(containers: Containers) -> None:
    container = containers.create(
        shell("sleep 1000", name="web", env=("A=1",), labels=(("k", "v"),), memory_bytes=64 << 20)
    )
    containers.start(container)
    found = containers.inspect("web")
    assert found["Id"] == container
    assert found["Name"] == "/web"
    assert (found["Path"], found["Args"]) == ("sh", ["-c", "sleep 1000"])
    assert found["State"]["Running"] is True
    assert found["State"]["Pid"] == containers.resolve("web").pid
    assert found["State"]["FinishedAt"].startswith("0001")
    assert "A=1" in found["Config"]["Env"]
    assert found["Config"]["Labels"]["k"] == "v"
    assert found["HostConfig"]["Memory"] == 64 << 20
    assert found["HostConfig"]["NetworkMode"] == "none"
    assert found["Mounts"] == []


def test_out_of_memory_is_told(containers: Containers) -> None:
    container = containers.create(
        shell("head -c 200000000 /dev/zero | tail -c 190000000 | wc -c", memory_bytes=16 << 20)
    )
    containers.start(container)
    containers.wait(container)
    assert containers.resolve(container).oom_killed


def test_dry_run_does_nothing(containers: Containers, engine: Engine) -> None:
    lines = containers.dry_run(options("true"))
    assert any("overlay" in line for line in lines)
    assert os.listdir(engine.paths.containers) == []


@pytest.mark.parametrize("paused", [False, True])
def test_a_killed_monitor_is_repaired(containers: Containers, engine: Engine, paused: bool) -> None:
    container = started(containers)
    if paused:
        containers.pause(container)
    found = read_state(engine.paths.container(container))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: not state.monitored(found))
    info = containers.resolve(container)
    assert (info.state, info.exit_code) == ("exited", 137)
    assert "monitor" in info.error
    until(lambda: not Path(f"/proc/{found.pid}").exists())
    assert not os.path.exists(engine.paths.container_run(container))
    assert not any(os.path.exists(path) for path in found.cgroup)
    containers.start(container)
    assert containers.resolve(container).state == "running"


def test_a_monitor_that_ends_while_somebody_looks_was_not_killed(
    containers: Containers, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = started(containers)
    real = state.monitored

    def ends_first(found: State) -> bool:
        os.kill(found.pid, signal.SIGKILL)
        until(lambda: not real(found))
        return False

    monkeypatch.setattr(state, "monitored", ends_first)
    assert repair.locked_state(engine.paths, engine.network, container).error == ""


def test_wait_ends_when_the_monitor_is_killed(containers: Containers, engine: Engine) -> None:
    container = started(containers, "sleep 0.3; kill -9 1; sleep 1000")
    found = read_state(engine.paths.container(container))
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)
        os.kill(found.monitor, signal.SIGKILL)
        os._exit(0)
    assert containers.wait(container) == 137
    os.waitpid(pid, 0)


def test_a_restart_of_the_host_ends_what_ran(containers: Containers, engine: Engine) -> None:
    container = containers.create(options("true"))
    directory = engine.paths.container(container)
    write_state(directory, State(state="running", pid=1, ticks=1, monitor=1, boot="another"))
    info = containers.resolve(container)
    assert (info.state, info.exit_code) == ("exited", 255)
    assert "restarted" in info.error


def test_a_reused_pid_is_not_taken_for_the_container(
    containers: Containers, engine: Engine
) -> None:
    container = containers.create(options("true"))
    own = os.getpid()
    wrong = State(state="running", pid=own, ticks=1, monitor=own, monitor_ticks=1,
                  boot=state.boot_id())  # fmt: skip
    write_state(engine.paths.container(container), wrong)
    assert containers.resolve(container).state == "exited"


def test_many_containers_are_listed_fast(containers: Containers, engine: Engine) -> None:
    containers.create(options("true", name="first"))
    with engine.database.write() as sql:
        row = sql.execute("SELECT * FROM containers").fetchone()
        for number in range(1000):
            name = f"{number:064x}"
            os.mkdir(engine.paths.container(name))
            sql.execute("INSERT INTO containers VALUES (?,?,?,?,?,?,?)", (name, name, *row[2:]))
    begun = time.process_time()
    assert len(containers.list()) == 1001
    assert time.process_time() - begun < 0.5  # 0.1 on a quiet machine
    with engine.database.write() as sql:
        sql.execute("DELETE FROM containers WHERE name <> 'first'")


def test_what_a_killed_start_left_goes_with_the_container(containers: Containers) -> None:
    container = containers.create(shell("exec sleep 1000"))
    left = cgroups.make_cgroup(container, {})
    cgroups.create(left)
    containers.rm(container)
    assert not any(os.path.exists(folder) for folder in left["dirs"])


def test_what_an_earlier_limpet_stored_starts(engine: Engine, containers: Containers) -> None:
    script = "ulimit -n; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || true"
    container = containers.create(shell(script, cpus=0.5))
    spec = stored.spec_of(engine.database, container)
    for key in ("rlimits", "oomScoreAdj"):
        del spec["process"][key]
    del spec["process"]["user"]["additionalGroups"], spec["linux"]["devices"], spec["domainname"]
    spec["linux"]["resources"]["cpu"] = {"cpus": 0.5}
    with engine.database.write() as sql:
        sql.execute("UPDATE containers SET spec=? WHERE id=?", (dumps(spec), container))
    containers.start(container)
    assert containers.wait(container) == 0
    lines = [text for _, text in containers.logs(container)]
    assert lines[1:] in ([], [b"50000\n"])
    assert containers.inspect(container)["State"]["ExitCode"] == 0


def test_a_layer_that_is_missing_is_named_with_what_mends_it(engine: Engine) -> None:
    box = engine.containers.create(shell("true"))
    layer = Path(engine.paths.layers, "1")
    away = layer.rename(layer.with_name("away"))
    with pytest.raises(RunError, match=rf"a layer of the image is missing: {layer}$") as caught:
        engine.containers.start(box)
    assert "image fsck --repair" in caught.value.hint
    spec, below = stored.spec_of(engine.database, box), (1,)
    with pytest.raises(HostError, match=rf"a layer of the image is missing: {layer}$") as told:
        open_stopped(spec, engine.paths.container(box), engine.paths.layers, below)
    assert "image fsck --repair" in told.value.hint
    away.rename(layer)
    engine.containers.start(box)
    assert engine.containers.wait(box) == 0
