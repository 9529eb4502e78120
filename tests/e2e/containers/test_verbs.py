"""The verbs of containers that look and copy, through the real command line."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import tarfile
import time
from pathlib import Path

from tests.containers import until
from tests.e2e.command_line import LIMPET, limpet

TYPE_CHECKING = False


def names(env: dict[str, str], *words: str) -> list[str]:
    return limpet(env, "ps", "--format", "{{.Names}}", *words).split()


def test_files_go_in_and_come_out(env: dict[str, str], tmp_path: Path) -> None:
    limpet(env, "run", "-d", "--name", "web", "--network", "none", "starter", "sleep", "1000")
    limpet(env, "create", "--name", "cold", "--network", "none", "starter", "cat", "/etc/my.conf")
    (tmp_path / "my.conf").write_text("setting")
    said = limpet(env, "cp", str(tmp_path / "my.conf"), "web:/etc")
    assert "Successfully copied 7B to web:/etc" in said
    assert limpet(env, "cp", "-q", "web:/etc/my.conf", "cold:/etc/") == ""
    assert limpet(env, "start", "-a", "cold") == "setting"
    limpet(env, "cp", "cold:/etc/my.conf", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "setting"
    with open(tmp_path / "tar", "wb") as file:
        subprocess.run([LIMPET, "cp", "web:/etc", "-"], env=env, stdout=file, check=True)
    with tarfile.open(tmp_path / "tar") as tar:
        assert "etc/my.conf" in tar.getnames()
    with open(tmp_path / "tar", "rb") as file:
        subprocess.run([LIMPET, "cp", "-q", "-", "cold:/tmp"], env=env, stdin=file, check=True)
    limpet(env, "cp", "-L", "cold:/tmp/etc/my.conf", str(tmp_path / "again"))
    assert (tmp_path / "again").read_text() == "setting"
    assert "web:/nowhere does not exist" in limpet(env, "cp", "web:/nowhere", ".", code=3)
    assert "CONTAINER:PATH" in limpet(env, "cp", "a", "b", code=2)
    assert "nobody" in limpet(env, "cp", "nobody:/x", ".", code=3)
    damaged = limpet(env, "cp", "-", "web:/tmp", text="this is no tar" * 100, code=1)
    assert "tar" in damaged


def test_changes_processes_and_sizes(env: dict[str, str]) -> None:
    script = "echo hello > /etc/new; rm /etc/passwd; sleep 1000 & exec sleep 2000"
    limpet(env, "run", "-d", "--name", "web", "--network", "none", "starter", "sh", "-c", script)
    until(lambda: limpet(env, "top", "web").count("sleep") == 2)
    assert limpet(env, "diff", "web") == "C /etc\nA /etc/new\nD /etc/passwd\n"
    table = [line.split() for line in limpet(env, "top", "web").splitlines()]
    assert table[0][:3] == ["USER", "PID", "CPID"]
    assert table[1][2] == "1"
    assert table[1][-2:] == ["sleep", "2000"]
    assert limpet(env, "top", "web", "-o", "pid,comm").splitlines()[0].split() == ["PID", "CMD"]
    assert "6B (virtual" in limpet(env, "ps", "-s")
    limpet(env, "stop", "-t", "0", "web")
    assert "not running" in limpet(env, "top", "web", code=4)


def test_ps_chooses(env: dict[str, str], tmp_path: Path) -> None:
    for name, more in (("one", ()), ("two", ("-v", f"{tmp_path}:/data", "-l", "team=red"))):
        limpet(env, "run", "-d", "--name", name, "--network", "none", *more, "starter",
               "sleep", "1000")  # fmt: skip
    limpet(env, "create", "--name", "three", "starter", "true")
    assert names(env) == ["two", "one"]
    assert names(env, "--filter", "label=team") == ["two"]
    assert names(env, "--filter", "volume=/data") == ["two"]
    assert names(env, "--filter", f"volume={tmp_path}") == ["two"]
    assert names(env, "--filter", "status=created") == ["three"]
    assert names(env, "-a", "--filter", "since=one") == ["three", "two"]
    assert names(env, "-a", "--filter", "before=two") == ["one"]
    assert names(env, "-a", "--filter", "ancestor=starter", "-n", "1") == ["three"]
    assert names(env, "--filter", "ancestor=nothing") == []
    assert "did you mean name=" in limpet(env, "ps", "--filter", "nmae=x", code=2)


def test_prune_takes_what_does_not_run(env: dict[str, str]) -> None:
    assert limpet(env, "container", "prune") == "Total reclaimed space: 0B\n"
    limpet(env, "run", "-d", "--name", "up", "--network", "none", "starter", "sleep", "1000")
    limpet(env, "run", "--name", "done", "--network", "none", "-l", "keep", "starter",
           "sh", "-c", "head -c 3000000 /dev/zero > /x")  # fmt: skip
    limpet(env, "create", "--name", "fresh", "starter", "true")
    asked = limpet(env, "container", "prune", code=2)
    assert "remove 2 containers, 3MB" in asked
    assert "--yes" in asked
    assert "reclaimed" in limpet(env, "container", "prune", "-f", "--filter", "until=1h")
    assert names(env, "-a") == ["fresh", "done", "up"]
    limpet(env, "container", "prune", "-f", "--filter", "label!=keep")
    assert names(env, "-a") == ["done", "up"]
    assert "Total reclaimed space: 3MB" in limpet(env, "container", "prune", "-f")
    assert names(env, "-a") == ["up"]
    limpet(env, "undo")
    assert names(env, "-a") == ["done", "up"]
    assert "no filter of prune" in limpet(env, "container", "prune", "--filter", "name=x", code=2)


def test_system_prune_takes_what_only_stopped_containers_use(
    env: dict[str, str], tmp_path: Path
) -> None:
    limpet(env, "tag", "starter", "base:1")
    limpet(env, "run", "--name", "maker", "--network", "none", "starter", "sh", "-c", "echo > /x")
    limpet(env, "commit", "maker")  # an image without a name
    dangling = limpet(env, "images", "-q", "--no-trunc").split()
    limpet(env, "network", "create", "used")
    limpet(env, "network", "create", "unused")
    limpet(env, "create", "--name", "old", "--network", "unused", "starter", "true")
    limpet(env, "create", "--name", "keep", "-l", "keep", "--network", "used", "starter", "true")
    limpet(env, "volume", "create", "named")
    made_up = limpet(env, "volume", "create").strip()
    asked = limpet(env, "system", "prune", "--volumes", code=2)
    assert "remove what is unused" in asked
    said = limpet(env, "system", "prune", "-f", "--volumes", "--filter", "label!=keep")
    for line in ("container old", "container maker", "network unused", f"volume {made_up}"):
        assert line in said, line
    assert "network used" not in said
    assert "it has no name" in said
    assert names(env, "-a") == ["keep"]
    assert limpet(env, "volume", "ls", "-q") == "named\n"
    left = limpet(env, "images", "-q", "--no-trunc").split()
    assert len(left) == len(dangling) - 1
    limpet(env, "undo")
    assert sorted(names(env, "-a")) == ["keep", "maker", "old"]
    (tmp_path / "Dockerfile").write_text("FROM starter\nRUN echo > /built\n")
    limpet(env, "build", "-q", "--network", "none", "-t", "built", str(tmp_path))
    assert limpet(env, "build", "cache", "-q") != ""
    limpet(env, "system", "prune", "-af")
    assert limpet(env, "images", "-q") == ""
    assert limpet(env, "build", "cache", "-q") == ""
    assert limpet(env, "network", "ls", "--format", "{{.Name}}").split() == [
        "bridge", "host", "none"]  # fmt: skip


def test_events_come_as_they_happen(env: dict[str, str]) -> None:
    command = [LIMPET, "events", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        made = 0
        while not select.select([watching.stdout], [], [], 0.1)[0]:  # it does not look yet
            made += 1
            limpet(env, "volume", "create", f"v{made}")
        told = (line.strip() for line in watching.stdout if not line.startswith("volume "))
        limpet(env, "run", "--name", "web", "--network", "none", "starter", "false", code=1)
        assert [next(told) for _ in range(3)] == [
            "container create web", "container start web", "container die web"]  # fmt: skip
        limpet(env, "rename", "web", "new")
        assert next(told) == "container rename new"
        limpet(env, "rm", "new")
        assert next(told) == "container destroy new"
        watching.terminate()
    limpet(env, "create", "--name", "late", "starter", "true")
    said = limpet(env, "events", "--since", "1h", "--until", "0s", "--filter", "event=create")
    assert "(image=starter, name=late)" in said


def test_waiting(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "web", "--network", "none", "starter",
           "sh", "-c", "sleep 0.3; exit 3")  # fmt: skip
    assert limpet(env, "wait", "web") == "3\n"
    waiting = subprocess.Popen(
        [LIMPET, "wait", "--condition", "next-exit", "web"], env=env, stdout=subprocess.PIPE
    )
    removed = subprocess.Popen(
        [LIMPET, "wait", "--condition", "removed", "web"], env=env, stdout=subprocess.PIPE
    )
    until(lambda: looks(waiting) and looks(removed))
    time.sleep(0.3)
    assert waiting.poll() is None
    while waiting.poll() is None:  # a run may be over before it is looked at
        limpet(env, "start", "web")
        limpet(env, "wait", "web")
    assert waiting.communicate()[0] == b"3\n"
    assert removed.poll() is None
    limpet(env, "rm", "web")
    assert removed.communicate(timeout=40)[0] == b"3\n"
    assert "is none of" in limpet(env, "wait", "--condition", "never", "web", code=2)


def looks(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a limpet has come as far as its database."""
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if os.readlink(link).endswith("/limpet.db"):
                return True
        except FileNotFoundError:
            continue  # closed meanwhile
    return False


def test_where_a_port_is(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "web", "-p", "127.0.0.1:18099:80", "starter",
           "sleep", "1000")  # fmt: skip
    try:
        assert limpet(env, "port", "web") == "80/tcp -> 127.0.0.1:18099 (this host only)\n"
        assert limpet(env, "port", "web", "80") == "127.0.0.1:18099\n"
        assert "does not publish port 81/tcp" in limpet(env, "port", "web", "81", code=3)
        assert names(env, "--filter", "publish=18099") == ["web"]
        assert names(env, "--filter", "expose=80") == ["web"]
    finally:
        limpet(env, "rm", "-f", "web")
        limpet(env, "network", "prune", "-f")
    assert os.listdir(env["LIMPET_DATA_ROOT"] + "/containers") == []


def test_several_are_stopped_at_once_with_the_signal_that_was_asked_for(
    env: dict[str, str], tmp_path: Path
) -> None:
    # Each ends when all three have got the signal.
    all_are_there = "[ -e /out/one ] && [ -e /out/two ] && [ -e /out/three ]"
    act = f"echo > /out/$HOSTNAME; until {all_are_there}; do sleep 0.02; done; exit 7"
    script = f"trap '{act}' USR1; echo ready; while :; do sleep 0.05; done"
    for name in ("one", "two", "three"):
        limpet(env, "run", "-d", "--name", name, "--hostname", name, "-v", f"{tmp_path}:/out",
               "--network", "none", "starter", "sh", "-c", script)  # fmt: skip
    until(lambda: all(limpet(env, "logs", name) for name in ("one", "two", "three")))
    stop = ("stop", "-t", "30", "-s", "USR1", "one", "two", "three")
    assert limpet(env, *stop) == "one\ntwo\nthree\n"
    for name in ("one", "two", "three"):
        assert limpet(env, "inspect", "-f", "{{.State.ExitCode}}", name) == "7\n"
    assert "nobody" in limpet(env, "stop", "one", "nobody", "two", code=3)


def test_signals_are_passed_on_or_kept(env: dict[str, str], tmp_path: Path) -> None:
    script = "trap 'exit 5' INT; while :; do echo x; sleep 0.05; done"
    limpet(env, "run", "-d", "--name", "web", "--network", "none", "starter", "sh", "-c", script)
    for words, code in (("--sig-proxy=false",), 130), ((), 5):
        command = [LIMPET, "attach", "--no-stdin", *words, "web"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as attached:
            assert attached.stdout
            assert attached.stdout.read(1)
            attached.send_signal(2)
            assert attached.wait(40) == code
    (tmp_path / "file").write_text("A=1\nB=two words\n")
    limpet(env, "start", "web")
    assert limpet(env, "exec", "--env-file", str(tmp_path / "file"), "-e", "A=2", "web",
                  "sh", "-c", "echo $A $B") == "2 two words\n"  # fmt: skip


def test_inspect_finds_whatever_has_the_name(env: dict[str, str]) -> None:
    limpet(env, "network", "create", "front")
    limpet(env, "volume", "create", "data")
    limpet(env, "run", "--name", "web", "--network", "none", "starter", "sh", "-c", "echo > /x")
    names_ = limpet(env, "inspect", "-f", "{{.Name}}", "web", "front", "data").split()
    assert names_ == ["/web", "front", "data"]
    assert limpet(env, "inspect", "-s", "-f", "{{.SizeRw}}", "web") == "1\n"
    assert limpet(env, "container", "inspect", "-s", "-f", "{{.SizeRw}}", "web") == "1\n"
    assert "no volume is called 'web'" in limpet(env, "inspect", "--type", "volume", "web", code=3)
    assert "no container and no image" in limpet(env, "inspect", "nothing", code=3)
    limpet(env, "network", "rm", "front")


def test_what_was_to_be_removed_at_its_end_is_so_when_it_cannot_start(
    env: dict[str, str], tmp_path: Path
) -> None:
    for words in ((), ("-d",), ("--cidfile", str(tmp_path / "id"))):
        words = ("run", "--rm", *words, "--network", "none", "starter", "/nothing")
        assert "/nothing" in limpet(env, *words, code=127)
    limpet(env, "create", "--rm", "--name", "odd", "--network", "none", "starter", "/nothing")
    assert limpet(env, "inspect", "-f", "{{.HostConfig.AutoRemove}}", "odd") == "true\n"
    limpet(env, "start", "odd", code=127)
    limpet(env, "create", "--rm", "--name", "good", "--network", "none", "starter", "echo", "hi")
    assert limpet(env, "start", "-a", "good") == "hi\n"
    assert names(env, "-a") == []


def test_forced_removal_of_what_is_not_there_is_no_error(env: dict[str, str]) -> None:
    limpet(env, "create", "--name", "one", "starter", "true")
    assert "nobody" in limpet(env, "rm", "one", "nobody", code=3)
    assert limpet(env, "rm", "-f", "nobody", "one", "nothing") == "one\n"
    assert limpet(env, "rm", "-f", "one") == ""


def test_what_containers_use_is_shown_once_or_until_ctrl_c(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "busy", "-m", "32m", "--network", "none", "starter",
           "sh", "-c", "while :; do :; done")  # fmt: skip
    limpet(env, "create", "--name", "idle", "starter", "true")
    assert "nobody" in limpet(env, "stats", "nobody", code=3)
    rows = limpet(env, "stats", "--no-stream", "-a").splitlines()
    assert [line.split()[1] for line in rows] == ["ID", "idle", "busy"]
    form = "{{.Name}} {{.CPUPerc}} {{.MemLimit}} {{.NetIO}}"
    name, cpu, limit, *_ = limpet(env, "stats", "--format", form).split()
    assert (name, limit) == ("busy", "33.6MB")
    assert float(cpu[:-1]) > 0
    person, program = pty.openpty()
    with subprocess.Popen([LIMPET, "stats"], env=env, stdout=program, stdin=program) as shown:
        os.close(program)
        said = b""
        while said.count(b"\x1b[H") < 2:
            said += os.read(person, 4096)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(40) == 0
    os.close(person)
    assert said.count(b"busy") >= 2


def test_what_docker_s_templates_ask_for(env: dict[str, str], tmp_path: Path) -> None:
    limpet(env, "create", "--name", "one", "-v", f"{tmp_path}:/host", "-v", "data:/data",
           "starter", "true")  # fmt: skip
    form = "{{.Names}}|{{.Mounts}}|{{.LocalVolumes}}|{{.RunningFor}}|{{.Size}}"
    name, mounts, volumes, age, size = limpet(env, "ps", "-a", "--format", form).split("|")
    assert (name, mounts, volumes) == ("one", f"{tmp_path},data", "1")
    assert age.endswith("ago")
    assert size.startswith("0B")
    client = limpet(env, "version", "-f", "{{.Client.Version}}")
    assert limpet(env, "version") == f"limpet {client}"
    assert limpet(env, "info", "-f", "{{.ServerVersion}} {{.ContainersStopped}}") == (
        f"{client.strip()} 1\n"
    )
