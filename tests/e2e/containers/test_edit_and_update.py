"""Containers that are changed: their limits while they run, the rest with a restart, undone."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.containers import until
from tests.e2e.command_line import limpet

TYPE_CHECKING = False


SLEEP = ("--stop-timeout", "0", "--network", "none", "starter", "sleep", "1000")


def inside(env: dict[str, str], script: str) -> str:
    return limpet(env, "exec", "web", "sh", "-c", script)


def limit(env: dict[str, str], file: str) -> str:
    controller = file.partition(".")[0]
    return inside(env, f"cat /sys/fs/cgroup/{controller}/{file}").strip()


def test_limits_change_while_it_runs(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "web", "-m", "64m", *SLEEP)
    pid = limpet(env, "inspect", "-f", "{{.State.Pid}}", "web")
    limpet(env, "update", "-m", "256m", "--memory-swap", "300m", "--cpus", "0.5", "--pids-limit",
           "33", "--cpu-shares", "512", "--cpuset-cpus", "0", "web")  # fmt: skip
    assert limit(env, "memory.limit_in_bytes") == str(256 << 20)
    assert limit(env, "memory.memsw.limit_in_bytes") == str(300 << 20)
    assert limit(env, "cpu.cfs_quota_us") == "50000"
    assert limit(env, "cpu.shares") == "512"
    assert limit(env, "pids.max") == "33"
    assert limit(env, "cpuset.cpus") == "0"
    limpet(env, "update", "-m", "32m", "--memory-swap", "-1", "--cpus", "0", "--pids-limit", "0",
           "--cpuset-cpus", "all", "web")  # fmt: skip
    assert limit(env, "memory.limit_in_bytes") == str(32 << 20)
    assert int(limit(env, "memory.memsw.limit_in_bytes")) > 1 << 60
    assert limit(env, "cpu.cfs_quota_us") == "-1"
    assert limit(env, "pids.max") == "max"
    assert limit(env, "cpuset.cpus") != ""
    assert limpet(env, "inspect", "-f", "{{.State.Pid}}", "web") == pid
    # And they hold for the next start.
    limpet(env, "restart", "-t", "0", "web")
    assert limit(env, "memory.limit_in_bytes") == str(32 << 20)
    assert limit(env, "cpu.shares") == "512"
    said = json.loads(limpet(env, "inspect", "web"))[0]["HostConfig"]
    assert (said["Memory"], said["NanoCpus"], said["MemorySwap"]) == (32 << 20, 0, -1)


def test_what_cannot_be_is_refused_whole(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "web", "-m", "64m", "--cpus", "1", *SLEEP)
    assert "nothing to change" in limpet(env, "update", "web", code=2)
    assert "below --memory" in limpet(
        env, "update", "-m", "64m", "--memory-swap", "32m", "web", code=2
    )
    refused = limpet(env, "update", "--cpus", "2", "--cpuset-cpus", "4000", "web", code=1)
    assert "--cpuset-cpus" in refused
    assert limit(env, "cpu.cfs_quota_us") == "100000"
    assert json.loads(limpet(env, "inspect", "web"))[0]["HostConfig"]["NanoCpus"] == 10**9
    inside(env, "head -c 40000000 /dev/zero > /dev/shm/x")
    assert "uses more memory" in limpet(env, "update", "-m", "16m", "web", code=4)
    assert limit(env, "memory.limit_in_bytes") == str(64 << 20)


def test_a_policy_and_limits_reach_the_monitor(env: dict[str, str], tmp_path: Path) -> None:
    limpet(env, "run", "-d", "--name", "web", "-m", "64m", "-v", f"{tmp_path}:/out", "--network",
           "none", "starter", "sh", "-c",
           "cat /sys/fs/cgroup/memory/memory.limit_in_bytes >> /out/limits; "
           "n=$(wc -l < /out/limits); [ $n = 1 ] || exec sleep 1000; "
           "while [ ! -e /out/go ]; do sleep 0.05; done; exit 1")  # fmt: skip
    limits = tmp_path / "limits"
    until(lambda: limits.exists() and limits.read_text() == f"{64 << 20}\n")
    limpet(env, "update", "-m", "128m", "--restart", "always", "web")
    (tmp_path / "go").touch()
    until(lambda: len(limits.read_text().split()) == 2)
    assert limits.read_text().split() == [str(64 << 20), str(128 << 20)]
    assert limpet(env, "inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "web") == "always\n"


def test_ports_mounts_and_environment_change_and_come_back(
    env: dict[str, str], tmp_path: Path
) -> None:
    limpet(env, "run", "-d", "--name", "web", "-e", "A=1", "-e", "B=1", "-l", "team=red",
           "-p", "127.0.0.1:18111:80", "--stop-timeout", "0", "starter", "sleep",
           "1000")  # fmt: skip
    try:
        identity = limpet(env, "inspect", "-f", "{{.Id}}", "web")
        inside(env, "echo kept > /kept")
        asked = limpet(env, "edit", "-e", "A=2", "web", code=2)
        assert "stopped and started again" in asked
        assert "--yes" in asked
        said = limpet(env, "edit", "-f", "-e", "A=2", "-e", "C=3", "--unset-env", "B",
                      "-p", "127.0.0.1:18112:80", "--unpublish", "80", "-v", f"{tmp_path}:/data",
                      "-l", "team=blue", "-m", "64m", "--hostname", "new", "web")  # fmt: skip
        assert said == "web\n"
        assert inside(env, "echo $A-$B-$C; cat /kept; hostname").split() == ["2--3", "kept", "new"]
        assert "80/tcp -> 127.0.0.1:18112" in limpet(env, "port", "web")
        assert limpet(env, "inspect", "-f", "{{.Id}}", "web") == identity
        assert limpet(env, "ps", "-q", "--filter", "label=team=blue").strip() in identity
        assert inside(env, "ls -d /data").strip() == "/data"
        limpet(env, "edit", "--undo", "-f", "web")
        assert inside(env, "echo $A-$B-$C; cat /kept").split() == ["1-1-", "kept"]
        assert "80/tcp -> 127.0.0.1:18111" in limpet(env, "port", "web")
        assert "no network" in limpet(env, "edit", "-f", "--network", "nowhere", "web", code=3)
        limpet(env, "edit", "-f", "--network", "none", "--unpublish", "80", "web")
        assert inside(env, "ls /sys/class/net").split() == ["lo"]
        limpet(env, "edit", "-f", "--undo", "web")
        limpet(env, "edit", "-f", "-m", "64m", "web")
        limpet(env, "stop", "-t", "0", "web")
        limpet(env, "edit", "--undo", "web")
        limpet(env, "edit", "--undo", "web")  # and forth; it does not run, so nobody is asked
        assert json.loads(limpet(env, "inspect", "web"))[0]["HostConfig"]["Memory"] == 64 << 20
    finally:
        limpet(env, "rm", "-f", "web")
        limpet(env, "network", "prune", "-f")


def test_a_change_that_does_not_start_is_taken_back(env: dict[str, str], tmp_path: Path) -> None:
    limpet(env, "run", "-d", "--name", "web", *SLEEP)
    gone = tmp_path / "gone"
    pid = limpet(env, "inspect", "-f", "{{.State.Pid}}", "web")
    assert "gone does not exist" in limpet(env, "edit", "-f", "-v", f"{gone}:/x", "web", code=2)
    assert limpet(env, "inspect", "-f", "{{.State.Pid}}", "web") == pid  # not even stopped
    refused = limpet(env, "edit", "-f", "-u", "nobody-here", "-v", "data:/x", "web", code=125)
    assert "unable to find user nobody-here" in refused
    assert "it runs again as it was before" in refused
    assert inside(env, "echo it runs") == "it runs\n"
    assert json.loads(limpet(env, "inspect", "web"))[0]["Mounts"] == []
    assert "no such variable" in limpet(env, "edit", "--unset-env", "X", "web", code=2)
    limpet(env, "run", "-d", "--rm", "--name", "brief", *SLEEP)
    assert "--rm" in limpet(env, "edit", "-f", "-e", "A=1", "brief", code=4)
    assert "not edited" in limpet(env, "edit", "--undo", "brief", code=3)


def test_another_image_and_back(env: dict[str, str]) -> None:
    limpet(env, "run", "-d", "--name", "web", "-v", "data:/data", *SLEEP)
    inside(env, "echo 1 > /written; echo 1 > /data/kept")
    limpet(env, "run", "--name", "maker", "--network", "none", "starter", "sh", "-c",
           "echo v2 > /version")  # fmt: skip
    limpet(env, "commit", "maker", "starter:v2")
    limpet(env, "rm", "maker")
    limpet(env, "edit", "-f", "--image", "starter:v2", "web")
    assert inside(env, "cat /version /data/kept").split() == ["v2", "1"]
    assert "No such file" in inside(env, "ls /written 2>&1; true")
    assert limpet(env, "ps", "--format", "{{.Names}} {{.Image}}").strip() == "web starter:v2"
    # An undo survives the trash, and waits for an image that is in it.
    limpet(env, "rm", "-f", "web")
    limpet(env, "undo")
    limpet(env, "start", "web")
    limpet(env, "rmi", "-f", "starter")
    assert "that image is gone" in limpet(env, "edit", "--undo", "-f", "web", code=3)
    limpet(env, "undo")
    limpet(env, "edit", "--undo", "-f", "web")
    assert inside(env, "cat /written; ls /version 2>&1; true").startswith("1\n")
    assert "No such file" in inside(env, "ls /version 2>&1; true")
    limpet(env, "edit", "-f", "-e", "A=1", "web")
    directory = limpet(env, "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "web").strip()
    assert not [name for name in os.listdir(Path(directory).parent) if "aside" in name]
    assert inside(env, "cat /written") == "1\n"


def test_the_editor_opens_with_all_that_can_be_changed(env: dict[str, str], tmp_path: Path) -> None:
    limpet(env, "run", "-d", "--name", "web", "-e", "A=1", "-m", "64m", *SLEEP)
    made = limpet(env, "container", "command", "web")
    assert "limpet run --detach --name web" in made
    assert "--memory 64m" in made
    saved = {**env, "EDITOR": f"cp /dev/stdin.none {tmp_path}/x"}
    assert "failed" in limpet(saved, "edit", "web", code=1)
    same = {**env, "EDITOR": "true"}
    pid = limpet(env, "inspect", "-f", "{{.State.Pid}}", "web")
    limpet(same, "edit", "web")
    change = {**env, "EDITOR": "sed -i -e s/A=1/A=2/ -e s/64m/32m/ -e s/1000/2000/"}
    assert "--yes" in limpet(change, "edit", "web", code=2)
    assert limpet(env, "inspect", "-f", "{{.State.Pid}}", "web") == pid
    assert limpet(change, "edit", "-f", "web") == "web\n"
    assert inside(env, "echo $A") == "2\n"
    said = json.loads(limpet(env, "inspect", "web"))[0]
    assert (said["HostConfig"]["Memory"], said["Args"]) == (32 << 20, ["2000"])
    wrong = {**env, "EDITOR": "sed -i s/--memory/--memroy/"}
    assert "did you mean --memory" in limpet(wrong, "edit", "-f", "web", code=2)
    limpet(env, "edit", "--undo", "-f", "web")
    assert inside(env, "echo $A") == "1\n"
    # What the command says makes the same.
    words = made.replace("\\\n", " ").replace("--name web", "--name twin").split()[1:]
    limpet(env, *words)
    assert limpet(env, "container", "command", "twin").replace("twin", "web") == made
