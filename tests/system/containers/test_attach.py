"""Terminals, attach and detach, exec, followed logs, and who survives whom."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pexpect
import pytest

from core.containers import state
from core.containers.attach.session import connect
from core.containers.state import read_state
from core.containers.supervision import protocol
from core.engine import Engine
from core.errors import Conflict, HostError, RunError
from core.paths import Paths
from tests.containers import Terminal, make_engine, options, parted, reap, run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.containers.lifecycle import Containers

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["fork", "spawner"])
def engine(paths: Paths, request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = make_engine(paths, request.param, {("container", "log_max_bytes"): 20_000})
    yield made
    made.close()
    reap()


@pytest.fixture
def threaded(paths: Paths) -> Iterator[Containers]:
    """The door for processes with threads."""
    made = make_engine(paths, "spawner")
    yield made.containers
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    made.close()


def test_stdin_reaches_the_program_and_its_end_does_too(containers: Containers) -> None:
    data = os.urandom(1_000_000)
    code, out, _ = run(containers.run(options("cat", stdin_open=True)), data)
    assert code == 0
    assert out == data


def test_stdin_is_empty_unless_it_was_asked_for(containers: Containers) -> None:
    assert run(containers.run(options("cat")), b"ignored") == (0, b"", b"")


def test_input_that_is_not_read_keeps_no_signal_back(threaded: Containers) -> None:
    session = threaded.run(
        shell("trap 'exit 6' TERM; echo up; while :; do sleep 0.01; done", stdin_open=True)
    )
    results = []
    thread = threading.Thread(target=lambda: results.append(run(session, bytes(5_000_000))[0]))
    thread.start()
    container = threaded.list()[0].id
    until(lambda: list(threaded.logs(container)))
    time.sleep(0.1)
    threaded.kill(container, signal.SIGTERM)
    thread.join(40)
    assert results == [6]


def test_stdin_ends_when_the_starter_hangs_up(containers: Containers) -> None:
    session = containers.run(shell("cat; exit 8", stdin_open=True))
    session.close()
    assert containers.wait(containers.list()[0].id) == 8


def test_a_terminal_echoes_resizes_detaches_and_takes_back(threaded: Containers) -> None:
    session = threaded.run(options("sh", tty=True, stdin_open=True))
    container = threaded.list()[0].id
    with Terminal(session) as terminal:
        termios.tcsetwinsize(terminal.slave, (31, 97))
        terminal.expect(b"# ")
        terminal.type(b"until stty size | grep '^31 97$'; do sleep 0.1; done\r")
        terminal.expect(b"31 97\r\n")  # a thread has no SIGWINCH: it looks now and then
        terminal.type(b"echo a$((1+1))b\r")
        terminal.expect(b"a2b\r\n")
        terminal.type(b"\x10\x11")
        assert terminal.end() == -1
    assert threaded.resolve(container).state == "running"
    with Terminal(threaded.attach(container)) as terminal:
        terminal.type(b"tty; exit 21\r")
        terminal.expect(b"/dev/pts/0")
        assert terminal.end() == 21


def test_two_front_ends_see_the_same(threaded: Containers) -> None:
    session = threaded.run(options("cat", tty=True, stdin_open=True))
    with Terminal(session) as first, Terminal(threaded.attach(threaded.list()[0].id)) as second:
        first.type(b"hello\r")
        first.expect(b"hello\r\nhello\r\n")
        second.type(b"x\r")
        second.expect(b"x\r\nx\r\n")
        first.expect(b"x\r\nx\r\n")
        second.type(b"\x04")
        assert first.end() == 0
        assert second.end() == 0


def test_other_detach_keys_and_half_a_sequence(threaded: Containers) -> None:
    session = threaded.run(options("cat", tty=True, stdin_open=True))
    with Terminal(session, "a,b,c") as terminal:
        terminal.type(b"aab")
        terminal.type(b"x\r")
        terminal.expect(b"aabx\r\n")
        for key in (b"a", b"b", b"c"):
            terminal.type(key)
        assert terminal.end() == -1


def test_attach_needs_a_running_container(containers: Containers) -> None:
    containers.create(options("true", name="idle"))
    with pytest.raises(Conflict) as caught:
        containers.attach("idle")
    assert "start idle" in caught.value.hint


def test_a_front_end_that_does_not_read_slows_the_container(
    containers: Containers, engine: Engine
) -> None:
    session = containers.run(shell("yes | head -c 3000000; echo >/done; sleep 1000"))
    container = containers.list()[0].id
    done = Path(engine.paths.container(container)) / "upper/done"
    time.sleep(0.3)
    assert not done.exists()
    session.close()
    until(done.exists, 60)


def test_a_front_end_that_breaks_the_rules_is_dropped(
    containers: Containers, engine: Engine
) -> None:
    container = containers.create(shell("sleep 1000", stdin_open=True))
    containers.start(container)
    for message in (b"w\0", b"k", b"?", b"k\xff", b"w" * 100):
        channel = connect(engine.paths.container_run(container))
        assert channel is not None
        channel.send(message)
        channel.close()
    channel = connect(engine.paths.container_run(container))
    assert channel is not None
    flood = (channel.send(b"0" + bytes(30000)) for _ in range(1000))
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        sum(flood)
    channel.close()
    assert containers.resolve(container).state == "running"


def test_exec_runs_beside_the_first_program(containers: Containers) -> None:
    container = containers.create(shell("echo mine > /file; exec sleep 1000"))
    containers.start(container)
    until(lambda: run(containers.exec(container, ("cat", "/file")))[1] == b"mine\n")
    script = "echo $A $PWD; id -u; cat; echo err >&2; exit 12"
    session = containers.exec(
        container, ("sh", "-c", script), stdin=True, env=("A=1",), workdir="/tmp", user="65534"
    )
    assert run(session, b"in") == (12, b"1 /tmp\n65534\nin", b"err\n")


@pytest.mark.parametrize(("command", "code"), [("no-such", 127), ("/etc", 126)])
def test_an_exec_that_cannot_run(containers: Containers, command: str, code: int) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    with pytest.raises(RunError) as caught:
        containers.exec(container, (command,))
    assert caught.value.exit_code == code
    containers.pause(container)
    with pytest.raises(Conflict):
        containers.exec(container, ("true",))
    containers.unpause(container)
    containers.stop(container, 0)
    with pytest.raises(Conflict):
        containers.exec(container, ("true",))


def test_an_exec_ends_with_its_front_end(containers: Containers) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    session = containers.exec(container, ("sleep", "999"))
    assert _pids(containers, container) == 2
    session.close()
    until(lambda: _pids(containers, container) == 1)


def test_what_the_front_end_ignores_no_program_does(threaded: Containers) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        container = threaded.create(options("sleep", "1000"))
        threaded.start(container)
    finally:
        signal.signal(signal.SIGUSR1, before)
    look = ("grep", "-h", "SigIgn", "/proc/1/status", "/proc/self/status")
    code, said, _ = run(threaded.exec(container, look))
    assert code == 0
    ignored = [int(line.rpartition(b":")[2], 16) for line in said.splitlines()]
    assert [signals >> signal.SIGUSR1 - 1 & 1 for signals in ignored] == [0, 0]


def test_a_detached_exec_goes_on(containers: Containers) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    containers.exec(container, ("sleep", "999"), detach=True).close()
    deadline = time.monotonic() + 10
    while _pids(containers, container) != 2:
        assert time.monotonic() < deadline, "the detached program is not there"
    time.sleep(0.1)
    assert _pids(containers, container) == 2


def test_an_exec_ends_with_the_container(containers: Containers) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    session = containers.exec(container, ("sleep", "999"))
    containers.kill(container, signal.SIGKILL)
    assert run(session)[0] == 137


def test_an_exec_in_what_has_just_ended_says_so(containers: Containers, paths: Paths) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    parted(paths, container)
    found = read_state(paths.container(container))
    os.kill(found.monitor, signal.SIGSTOP)  # so that it reaps nobody
    try:
        os.kill(found.pid, signal.SIGKILL)
        with pytest.raises(RunError, match="the container has ended"):
            containers.exec(container, ("true",))
    finally:
        os.kill(found.monitor, signal.SIGCONT)


def _pids(containers: Containers, container: str) -> int:
    # Without a pipe: which of its processes are there already when the shell looks is a race.
    _, out, _ = run(containers.exec(container, ("sh", "-c", "set -- /proc/[0-9]*; echo $#")))
    return int(out) - 1  # the shell itself


def test_an_exec_has_a_terminal(threaded: Containers) -> None:
    container = threaded.create(shell("exec sleep 1000"))
    threaded.start(container)
    with Terminal(threaded.exec(container, ("sh",), tty=True, stdin=True)) as terminal:
        terminal.type(b"tty && exit 33\r")
        terminal.expect(b"/dev/pts/")
        assert terminal.end() == 33
    with Terminal(threaded.exec(container, ("cat",), tty=True, stdin=True)) as terminal:
        terminal.type(b"\x03")
        assert terminal.end() == 130


def test_followed_logs_lose_nothing_over_rotations(containers: Containers) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"
    container = containers.create(shell("sleep 0.2; " + script))
    containers.start(container)
    lines = [text for _, text in containers.logs(container, follow=True)]
    assert lines[-1] == b"line 2999\n"
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == sorted(set(numbers))
    # A rotation may drop a file before the follower gets to it, but not behind its back here.
    assert len(numbers) > 500
    assert len(list(containers.logs(container))) < 3000
    assert [text for _, text in containers.logs(container, tail=2)] == lines[-2:]


def test_followed_logs_come_at_once(containers: Containers) -> None:
    container = containers.create(shell("sleep 0.2; echo one; sleep 0.5; echo two"))
    containers.start(container)
    times = [time.monotonic() for _ in containers.logs(container, follow=True)]
    assert len(times) == 2
    assert 0.3 < times[1] - times[0] < 0.8


def test_a_killed_monitor_is_told_to_who_is_attached(
    containers: Containers, engine: Engine
) -> None:
    session = containers.run(shell("exec sleep 1000"))
    found = read_state(engine.paths.container(containers.list()[0].id))
    os.kill(found.monitor, signal.SIGKILL)
    with pytest.raises(HostError, match="monitor"):
        run(session)


def test_containers_survive_front_end_and_spawner(paths: Paths) -> None:
    for door in ("fork", "spawner"):
        make_engine(paths, door).close()
        script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from core.paths import Paths
from tests.containers import make_engine, shell
containers = make_engine(Paths({paths.data!r}, {paths.run!r}), {door!r}).containers
container = containers.create(shell("exec sleep 1000"))
containers.start(container)
print(container, flush=True)
sys.stdin.read()
"""
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdin is not None
        container = child.stdout.readline().decode().strip()
        found = read_state(paths.container(container))
        assert state.monitored(found)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
        time.sleep(0.1)
        assert state.monitored(found)
        links = [os.readlink(entry) for entry in Path(f"/proc/{found.monitor}/fd").iterdir()]
        assert not [link for link in links if "limpet.db" in link or "lock" in link], links
        assert os.readlink(f"/proc/{found.monitor}/cwd") == "/"
        engine = make_engine(paths, "fork")
        engine.containers.stop(container, 0)
        assert engine.containers.resolve(container).exit_code in (137, 143)
        engine.containers.rm(container)
        engine.close()


def test_a_monitor_knows_nothing_of_another_container(threaded: Containers, paths: Paths) -> None:
    secret = os.urandom(16).hex()
    telling = threaded.create(shell("exec sleep 1000", env=(f"SECRET={secret}",)))
    other = threaded.create(shell("exec sleep 1000"))
    for container in (telling, other):
        threaded.start(container)
    monitor = Path(f"/proc/{read_state(paths.container(other)).monitor}")
    until(lambda: other.encode() in (monitor / "cmdline").read_bytes())
    for file in ("cmdline", "environ"):
        assert telling.encode() not in (monitor / file).read_bytes()
    assert not [fd for fd in (monitor / "fd").iterdir() if telling in os.readlink(fd)]
    with (monitor / "mem").open("rb", buffering=0) as memory:
        for line in (monitor / "maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if "w" in rights:
                start, end = (int(word, 16) for word in place.split("-"))
                memory.seek(start)
                assert secret.encode() not in memory.read(end - start), line


def test_a_killed_spawner_is_started_again(threaded: Containers, paths: Paths) -> None:
    container = threaded.create(shell("exec sleep 1000"))
    threaded.start(container)
    os.kill(parted(paths, container), signal.SIGKILL)
    other = threaded.create(shell("exec sleep 1000"))
    threaded.start(other)
    assert [info.state for info in threaded.list()] == ["running", "running"]


def waiting_networks(paths: Paths) -> set[str]:
    """Return the network namespaces of what has been forked and waits to be told what to start."""
    title, found = f"limpet: spawner at {paths.run}".encode(), set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(title):
                found.add(os.readlink(folder / "ns/net"))
    return found - {os.readlink("/proc/self/ns/net")}


def network_of(containers: Containers, container: str) -> str:
    return os.readlink(f"/proc/{containers.resolve(container).pid}/ns/net")


def test_a_network_namespace_is_made_before_it_is_wanted(
    threaded: Containers, paths: Paths
) -> None:
    assert run(threaded.run(shell("true")))[0] == 0
    until(lambda: waiting_networks(paths))
    (made,) = waiting_networks(paths)
    container = threaded.create(shell("cat /sys/class/net/lo/flags; exec sleep 1000"))
    threaded.start(container)
    assert network_of(threaded, container) == made
    until(lambda: [line for _, line in threaded.logs(container)] == [b"0x9\n"])  # it is up


def test_the_hosts_network_is_shared_though_another_was_made(
    threaded: Containers, paths: Paths
) -> None:
    assert run(threaded.run(shell("true")))[0] == 0
    until(lambda: waiting_networks(paths))
    container = threaded.create(shell("exec sleep 1000", network="host"))
    threaded.start(container)
    assert network_of(threaded, container) == os.readlink("/proc/self/ns/net")


def test_a_launch_larger_than_a_message(threaded: Containers) -> None:
    env = tuple(f"VAR{number}={'x' * 1000}" for number in range(400))
    container = threaded.create(shell("env | wc -c", env=env))
    threaded.start(container)
    assert threaded.wait(container) == 0
    assert int(next(threaded.logs(container))[1]) > 400_000


def test_starts_side_by_side(threaded: Containers) -> None:
    ids = [threaded.create(shell("exec sleep 1000")) for _ in range(8)]
    threads = [threading.Thread(target=threaded.start, args=(name,)) for name in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {info.state for info in threaded.list()} == {"running"}


def test_monitors_of_the_spawner_load_python_prctl(threaded: Containers, paths: Paths) -> None:
    container = threaded.create(shell("exec sleep 1000"))
    threaded.start(container)
    monitor = read_state(paths.container(container)).monitor
    assert "/_prctl." in Path(f"/proc/{monitor}/maps").read_text()


def program(paths: Paths, act: str) -> str:
    return f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from core.paths import Paths
from tests.containers import make_engine, options, shell
containers = make_engine(Paths({paths.data!r}, {paths.run!r}), "fork").containers
with containers.run({act}) as session:
    code = session.relay(0, 1, 2, "ctrl-p,ctrl-q")
print("code", code)
"""


def test_signals_of_a_front_end_without_terminal_reach_the_container(paths: Paths) -> None:
    act = """shell("trap 'exit 5' INT; echo up; while :; do sleep 0.01; done", auto_remove=True)"""
    make_engine(paths, "fork").close()
    child = subprocess.Popen(
        [sys.executable, "-c", program(paths, act)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.read() == b"code 5\n"
    child.stdout.close()
    assert child.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_fatal_signal_restores_the_terminal_first(paths: Paths, number: int) -> None:
    make_engine(paths, "fork").close()
    act = 'options("cat", tty=True, stdin_open=True, auto_remove=True)'
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    child = subprocess.Popen(
        [sys.executable, "-c", program(paths, act)], stdin=slave, stdout=slave, stderr=slave
    )
    until(lambda: termios.tcgetattr(slave) != before)
    os.write(master, b"hello\r")
    seen = b""
    while b"hello\r\nhello" not in seen:
        seen += os.read(master, 1000)
    child.send_signal(number)
    assert child.wait() == -number
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
    engine = make_engine(paths, "fork")
    engine.containers.rm(engine.containers.list()[0].id, force=True)
    engine.close()


def test_a_person_at_a_terminal(paths: Paths) -> None:
    make_engine(paths, "fork").close()
    act = 'options("sh", tty=True, stdin_open=True, auto_remove=True)'
    child = pexpect.spawn(
        sys.executable, ["-c", program(paths, act)], dimensions=(33, 88), timeout=40
    )
    child.expect("# ")
    child.sendline("stty size")
    child.expect("33 88")
    child.setwinsize(20, 60)
    child.expect("# ")
    child.sendline("until stty size | grep '^20 60$'; do sleep 0.1; done")
    child.expect("20 60\r\n")
    child.sendline("exit 4")
    child.expect("code 4")
    child.expect(pexpect.EOF)
    child.close()
    engine = make_engine(paths, "fork")
    assert engine.containers.list() == []
    engine.close()


def test_the_socket_is_for_its_owner_only(containers: Containers, engine: Engine) -> None:
    container = containers.create(shell("exec sleep 1000"))
    containers.start(container)
    directory = Path(engine.paths.container_run(container))
    assert directory.stat().st_mode & 0o077 == 0
    assert (directory / protocol.SOCKET_NAME).stat().st_mode & 0o077 == 0
