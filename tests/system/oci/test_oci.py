"""The OCI runtime: its verbs, its states, and that a bundle's configuration comes true."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.containers.runtime import cgroups
from core.containers.state import start_ticks
from tests.bundles import PROGRAM, Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    made = Bundle(tmp_path)
    yield made
    made.call("delete", "--force", "one")


def namespace(bundle: Bundle, kind: str, **more: Any) -> None:
    spaces = [s for s in bundle.spec["linux"]["namespaces"] if s["type"] != kind]
    bundle.spec["linux"]["namespaces"] = [*spaces, {"type": kind, **more}]


def without(bundle: Bundle, kind: str) -> None:
    spaces = bundle.spec["linux"]["namespaces"]
    bundle.spec["linux"]["namespaces"] = [s for s in spaces if s["type"] != kind]


def test_a_life_as_the_specification_tells_it(bundle: Bundle, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    bundle.spec["process"]["args"] = ["sleep", "100"]
    bundle.spec["annotations"] = {"a": "b"}
    bundle.save()
    bundle.call("create", "--bundle", str(bundle.path), "--pid-file", str(pid_file), "one")
    created = bundle.state()
    assert created["status"] == "created"
    assert created["pid"] == int(pid_file.read_text())
    assert created["annotations"] == {"a": "b"}
    assert b"python" in Path(f"/proc/{created['pid']}/cmdline").read_bytes()
    bundle.spec["process"]["args"] = ["changed"]
    bundle.save()  # what is changed after `create` means nothing
    bundle.call("start", "one")
    assert bundle.state() == {**created, "status": "running"}
    assert Path(f"/proc/{created['pid']}/comm").read_text() == "sleep\n"
    for words in (("create", "one"), ("start", "one"), ("delete", "one")):
        assert bundle.call(*words, check=False).returncode == 1
    assert [c["id"] for c in json.loads(bundle.call("list", "-f", "json").stdout)] == ["one"]
    bundle.call("kill", "one", "KILL")
    bundle.until("stopped")
    assert "pid" not in bundle.state()
    assert bundle.call("kill", "one", check=False).returncode == 1
    bundle.call("delete", "one")
    assert "does not exist" in bundle.call("state", "one", check=False).stderr
    assert bundle.call("list", "-q").stdout == ""


def test_a_start_that_was_killed_has_started_what_it_asked_to(bundle: Bundle) -> None:
    bundle.spec["process"]["args"] = ["sleep", "100"]
    bundle.save()
    bundle.call("create", "--bundle", str(bundle.path), "one")
    assert bundle.state()["status"] == "created"
    waiting = bundle.root / "one/start"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(str(waiting))
        channel.send(b"start")
        assert channel.recv(1) == b""  # execve has closed it
    assert waiting.exists()
    assert bundle.state()["status"] == "running"
    bundle.call("pause", "one")
    assert bundle.state()["status"] == "paused"
    bundle.call("resume", "one")
    assert "it is running" in bundle.call("start", "one", check=False).stderr
    bundle.call("delete", "--force", "one")
    assert bundle.call("list", "-q").stdout == ""


def test_a_container_that_waits_can_be_paused_and_resumed(bundle: Bundle) -> None:
    bundle.spec["process"]["args"] = ["sleep", "100"]
    bundle.save()
    bundle.call("create", "--bundle", str(bundle.path), "one")
    bundle.call("pause", "one")
    assert bundle.state()["status"] == "paused"
    bundle.call("resume", "one")
    assert [bundle.state()["status"] for _ in range(4)] == ["created"] * 4
    bundle.call("start", "one")
    assert bundle.state()["status"] == "running"


def test_run_returns_the_programs_code(bundle: Bundle) -> None:
    assert bundle.run("sh", "-c", "exit 7", check=False).returncode == 7
    without(bundle, "pid")
    assert bundle.run("sh", "-c", "kill -9 $$", check=False).returncode == 137
    assert bundle.call("list", "-q").stdout == ""


@pytest.mark.parametrize(
    ("program", "said"),
    [("nosuch", "executable file not found in $PATH"), ("/etc/passwd", "permission denied")],
)
def test_what_cannot_be_run_fails_at_create_and_leaves_nothing(
    program: str, said: str, bundle: Bundle, tmp_path: Path
) -> None:
    bundle.spec["process"]["args"] = [program]
    bundle.save()
    log = tmp_path / "log"
    ran = bundle.call(
        "--log", str(log), "--log-format", "json", "create", "one", check=False
    )  # fmt: skip
    assert (ran.returncode, said in ran.stderr) == (1, True)
    entry = json.loads(log.read_text())
    assert (entry["level"], said in entry["msg"]) == ("error", True)
    assert bundle.call("list", "-q").stdout == ""


def test_exec_pause_update_and_ps(bundle: Bundle, tmp_path: Path) -> None:
    bundle.start("sleep", "100")
    ran = bundle.call("exec", "--env", "A=b", "--cwd", "/tmp", "one", "sh", "-c",
                      "echo $A $PWD $(id -u); exit 5", check=False)  # fmt: skip
    assert (ran.returncode, ran.stdout) == (5, "b /tmp 0\n")
    file = tmp_path / "process.json"
    file.write_text(json.dumps({"args": ["sleep", "50"], "cwd": "/", "user": {"uid": 7, "gid": 8}}))
    pid_file = tmp_path / "pid"
    bundle.call("exec", "--process", str(file), "--detach", "--pid-file", str(pid_file), "one")
    pid = int(pid_file.read_text())
    assert os.stat(f"/proc/{pid}").st_uid == 7
    found = json.loads(bundle.call("ps", "--format", "json", "one").stdout)
    assert found == sorted([bundle.state()["pid"], pid])
    assert "sleep 50" in bundle.call("ps", "one").stdout
    bundle.call("pause", "one")
    assert bundle.state()["status"] == "paused"
    assert "paused" in bundle.call("exec", "one", "true", check=False).stderr
    bundle.call("resume", "one")
    limits = json.dumps({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}})
    bundle.call("update", "--resources", "-", "one", stdin=None, text=True, input=limits)
    assert bundle.call("exec", "one", "cat", "/sys/fs/cgroup/pids/pids.max").stdout == "20\n"
    bundle.call("delete", "--force", "one")
    assert not Path(f"/proc/{pid}").exists()


def test_a_terminal_comes_through_the_console_socket(bundle: Bundle, tmp_path: Path) -> None:
    bundle.spec["process"].update(
        terminal=True, args=["sh", "-c", "tty; stty size"], consoleSize={"height": 20, "width": 70}
    )
    bundle.save()
    refused = bundle.call("create", "one", check=False)
    assert "--console-socket" in refused.stderr
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "console"))
        listener.listen()
        bundle.call("create", "--console-socket", str(tmp_path / "console"), "one")
        connection, _ = listener.accept()
        with connection:
            _, fds, _, _ = socket.recv_fds(connection, 100, 1)
    bundle.call("start", "one")
    bundle.until("stopped")
    said = os.read(fds[0], 1000)
    os.close(fds[0])
    assert said.split() == [b"/dev/pts/0", b"20", b"70"]


def test_a_process_gets_all_its_properties(bundle: Bundle) -> None:
    bundle.all_capabilities("CAP_NET_RAW", "CAP_CHOWN")
    bundle.spec["process"].update(
        user={"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o27},
        cwd="/tmp", env=["A=b", "PATH=/bin"], oomScoreAdj=321,
        rlimits=[{"type": "RLIMIT_CORE", "soft": 5, "hard": 6}],
        scheduler={"policy": "SCHED_BATCH", "nice": 3},
        ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0},
    )  # fmt: skip
    said = bundle.shell(
        "id; umask; pwd; env | sort; cat /proc/self/oom_score_adj; grep -E 'Cap|NoNew' "
        "/proc/self/status; grep core /proc/self/limits; cut -d' ' -f 19,41 /proc/self/stat"
    )
    caps = f"{1 << 13 | 1:016x}"
    expected = (
        "uid=1000(user) gid=1001 groups=5,6", "0027", "/tmp", "HOME=/tmp", "321", "A=b",
        f"CapInh:\t{caps}", f"CapPrm:\t{caps}", f"CapEff:\t{caps}", f"CapBnd:\t{caps}",
        f"CapAmb:\t{caps}", "NoNewPrivs:\t1", "3 3",
    )  # fmt: skip
    assert set(expected) <= set(said.splitlines()), said
    assert "5                    6" in said


def test_mounts_take_their_options(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_text("from the host\n")
    (bundle.rootfs / "etc/kept").write_text("kept\n")
    subprocess.run(["mount", "-t", "tmpfs", "below", source / "below"], check=True)
    try:
        bundle.spec["mounts"] += [
            {"destination": "/ro", "source": str(source), "options": ["rbind", "ro"]},
            {"destination": "/rro", "source": str(source), "options": ["rbind", "rro", "nosuid"]},
            {"destination": "/one", "source": str(source), "options": ["bind"]},
            {"destination": "/deep/file", "source": f"{source}/file", "options": ["bind", "ro"]},
            {"destination": "/etc", "type": "tmpfs", "source": "tmpfs",
             "options": ["tmpcopyup", "ro", "size=1m", "mode=700"]},
        ]  # fmt: skip
        said = bundle.shell(
            "touch /ro/a /rro/a /rro/below/a /etc/a; touch /ro/below/a && echo open;"
            "ls /one/below; cat /deep/file /etc/kept; grep -E ' /(ro|rro|etc) ' /proc/mounts 2>&1"
        )
    finally:
        subprocess.run(["umount", source / "below"], check=True)
    lines = said.splitlines()
    assert lines[:3] == ["open", "from the host", "kept"], said
    options = {line.split()[1]: line.split()[3].split(",") for line in lines[3:]}
    assert "ro" in options["/ro"]
    assert {"ro", "nosuid"} <= set(options["/rro"])
    assert {"ro", "size=1024k", "mode=700"} <= set(options["/etc"])
    assert not (source / "a").exists()


@pytest.mark.parametrize("word", ["rslave", "rprivate", "rshared"])
def test_mounts_of_the_host_arrive_as_propagation_says(
    word: str, bundle: Bundle, tmp_path: Path
) -> None:
    source = tmp_path / "shared"
    (source / "late").mkdir(parents=True)
    subprocess.run(["mount", "--bind", source, source], check=True)
    subprocess.run(["mount", "--make-shared", source], check=True)
    try:
        bundle.spec["mounts"].append(
            {"destination": "/shared", "source": str(source), "options": ["rbind", word]}
        )
        bundle.all_capabilities("CAP_SYS_ADMIN")
        bundle.start("sleep", "100")
        subprocess.run(["mount", "-t", "tmpfs", "late", source / "late"], check=True)
        seen = " /shared/late " in bundle.call("exec", "one", "cat", "/proc/mounts").stdout
        bundle.call("exec", "one", "mkdir", "/shared/inner")
        bundle.call("exec", "one", "mount", "-t", "tmpfs", "inner", "/shared/inner")
        leaked = f"{source}/inner" in Path("/proc/self/mountinfo").read_text()
        bundle.call("delete", "--force", "one")
    finally:
        subprocess.run(["umount", "-R", source], check=True)
    assert (seen, leaked) == (word != "rprivate", word == "rshared")


def test_a_mount_with_ids_of_its_own(bundle: Bundle, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1000, 1000)
    maps = [{"containerID": 1000, "hostID": 2000, "size": 10}]
    bundle.spec["mounts"].append(
        {"destination": "/mapped", "source": str(source), "options": ["rbind", "idmap"],
         "uidMappings": maps, "gidMappings": maps}
    )  # fmt: skip
    assert bundle.shell("stat -c %u:%g /mapped/file") == "2000:2000\n"


def test_a_user_namespace_with_maps(bundle: Bundle) -> None:
    for place in (bundle.rootfs, *bundle.rootfs.rglob("*")):
        os.chown(place, 100000, 100000, follow_symlinks=False)
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.spec["linux"].update(uidMappings=maps, gidMappings=maps)
    namespace(bundle, "user")
    said = bundle.shell("cat /proc/self/uid_map; id -u; touch /made; echo a > /dev/null")
    assert said.split() == ["0", "100000", "65536", "0"]
    assert (bundle.rootfs / "made").stat().st_uid == 100000
    bundle.start("sleep", "100")
    assert bundle.call("exec", "one", "id", "-u").stdout == "0\n"


def test_maps_that_the_kernel_refuses_are_named(bundle: Bundle) -> None:
    twice = [{"containerID": 0, "hostID": start, "size": 10} for start in (100000, 200000)]
    bundle.spec["linux"].update(uidMappings=twice, gidMappings=twice)
    namespace(bundle, "user")
    ran = bundle.run("true", check=False)
    assert ran.returncode == 1
    assert "uidMappings" in ran.stderr
    assert os.listdir(bundle.root) == []


def test_a_first_process_that_is_quicker_than_who_tells_its_pid(bundle: Bundle) -> None:
    bundle.spec["process"]["args"] = ["true"]
    bundle.save()
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(PROGRAM).parents[1])!r})
from cli.main import main
from core.oci import stage
class Late(bytes):
    def __add__(self, other):
        time.sleep(0.2)
        return bytes(self) + other
stage.PID = Late(stage.PID)
sys.exit(main(["oci", "--root", {str(bundle.root)!r}, "create", "--pid-file", "pid", "one"]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=bundle.path, env=bundle.env)
    created = bundle.state()
    assert (created["status"], str(created["pid"])) == (
        "created",
        (bundle.path / "pid").read_text(),
    )
    bundle.call("start", "one")
    bundle.until("stopped")


def test_namespaces_are_made_joined_or_left(bundle: Bundle, tmp_path: Path) -> None:
    bundle.start("sleep", "100")
    pid = bundle.state()["pid"]
    joined = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("uts", "ipc", "net")}
    other = Bundle(tmp_path / "other")
    for kind, name in (("uts", "uts"), ("ipc", "ipc"), ("network", "net")):
        namespace(other, kind, path=f"/proc/{pid}/ns/{name}")
    namespace(other, "time")
    other.spec["linux"]["cgroupsPath"] = "other"
    del other.spec["hostname"]
    other.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}}
    without(other, "pid")
    said = other.shell("for n in uts ipc net; do readlink /proc/self/ns/$n; done; hostname;"
                       "cut -d. -f1 /proc/uptime; echo $$")  # fmt: skip
    *links, name, uptime, own_pid = said.split()
    assert links == list(joined.values())
    assert name == "limpet"
    assert int(uptime) > 1000000
    assert int(own_pid) > 1


def test_names_and_kernel_parameters(bundle: Bundle) -> None:
    bundle.spec.update(hostname="here", domainname="there")
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000"}
    said = bundle.shell("hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward "
                        "/proc/sys/kernel/msgmax")  # fmt: skip
    assert said.split() == ["here", "there", "1", "9000"]
    bundle.spec["linux"]["sysctl"] = {"kernel.pid_max": "70000"}
    assert "would change the host" in bundle.run("true", check=False).stderr


def test_devices_are_made_and_others_refused(bundle: Bundle) -> None:
    bundle.all_capabilities("CAP_MKNOD")
    bundle.spec["linux"]["devices"] = [
        {"path": "/dev/mine/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o640,
         "gid": 5},
        {"path": "/pipe", "type": "p", "fileMode": 0o600},
    ]  # fmt: skip
    bundle.spec["linux"]["resources"]["devices"] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
    ]
    said = bundle.shell(
        "stat -c '%a %g %t:%T' /dev/mine/full; cd /tmp; mknod kmsg c 1 11; mknod fuse c 10 229;"
        "head -c 1 kmsg; head -c 1 /dev/zero | wc -c; ls -l /dev | wc -l"
    )
    assert said.split()[:3] == ["640", "5", "1:7"]
    err = (bundle.path / "err").read_text()
    assert "kmsg: Operation not permitted" in err
    assert stat.S_ISFIFO((bundle.rootfs / "pipe").stat().st_mode)


def test_limits_hold(bundle: Bundle) -> None:
    bundle.spec["linux"]["cgroupsPath"] = "nested/one"
    bundle.spec["linux"]["resources"].update(
        memory={"limit": 32 << 20, "swap": 32 << 20}, pids={"limit": 10},
        cpu={"shares": 512, "quota": 50000, "period": 100000},
    )  # fmt: skip
    said = bundle.shell(
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares "
        "cpu/cpu.cfs_quota_us; tail -c 100m /dev/zero >/dev/null; echo $?"
    )
    assert said.split() == [str(32 << 20), "10", "512", "50000", "137"]


def test_a_system_call_filter(bundle: Bundle) -> None:
    bundle.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}],
    }  # fmt: skip
    for privileges in (True, False):
        bundle.spec["process"]["noNewPrivileges"] = privileges
        said = bundle.shell("mkdir /x 2>&1; grep Seccomp: /proc/self/status")
        assert "Resource temporarily unavailable" in said
        assert "Seccomp:\t2" in said


def test_somebody_else_decides_about_system_calls(bundle: Bundle, tmp_path: Path) -> None:
    place = tmp_path / "agent"
    told: list[dict[str, Any]] = []
    agent = socket.socket(socket.AF_UNIX)
    agent.bind(str(place))
    agent.listen()
    bundle.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "listenerPath": str(place), "listenerMetadata": "of mine",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    }  # fmt: skip

    def decide(times: int) -> None:
        """Take the listeners of processes, and answer the first call of each with EDQUOT."""
        for _ in range(times):
            channel, _ = agent.accept()
            message, fds, _, _ = socket.recv_fds(channel, 1 << 16, 1)
            told.append(json.loads(message))
            call = bytearray(80)
            fcntl.ioctl(fds[0], 0xC0502100, call)  # SECCOMP_IOCTL_NOTIF_RECV
            answer = bytearray(call[:8] + bytes(8) + struct.pack("=iI", -errno.EDQUOT, 0))
            fcntl.ioctl(fds[0], 0xC0182101, answer)  # SECCOMP_IOCTL_NOTIF_SEND
            os.close(fds[0])
            channel.close()

    thread = threading.Thread(target=decide, args=(3,))
    thread.start()
    assert "quota exceeded" in bundle.shell("mkdir /x 2>&1")
    bundle.start("sh", "-c", "mkdir /y; sleep 1000")
    ran = bundle.call("exec", "one", "mkdir", "/z", check=False)
    assert "quota exceeded" in ran.stderr
    thread.join(40)
    agent.close()
    assert [one["fds"] for one in told] == [["seccompFd"]] * 3
    assert told[1]["metadata"] == "of mine"
    assert told[1]["pid"] == bundle.state()["pid"] == told[2]["state"]["pid"] != told[2]["pid"]
    bundle.call("delete", "--force", "one")
    for change in ({"listenerPath": ""}, {"defaultAction": "SCMP_ACT_NOTIFY"}):
        bundle.spec["linux"]["seccomp"] |= change
        assert "linux.seccomp" in bundle.run("true", check=False).stderr
    bundle.spec["linux"]["seccomp"] |= {"defaultAction": "SCMP_ACT_ALLOW"}
    bundle.spec["linux"]["seccomp"]["listenerPath"] = str(tmp_path / "nobody")
    assert "nobody: No such file" in bundle.run("true", check=False).stderr


def test_paths_are_masked_and_read_only(bundle: Bundle) -> None:
    bundle.all_capabilities("CAP_DAC_OVERRIDE")
    bundle.spec["linux"].update(
        maskedPaths=["/proc/version", "/etc", "/missing"], readonlyPaths=["/tmp"]
    )
    bundle.spec["root"]["readonly"] = True
    said = bundle.shell("cat /proc/version; ls /etc; touch /tmp/a 2>&1; touch /a 2>&1")
    assert said.splitlines() == [f"touch: {n}: Read-only file system" for n in ("/tmp/a", "/a")]


def test_descriptors_are_preserved_or_closed(bundle: Bundle) -> None:
    read, write = os.pipe()
    os.dup2(read, 33)
    bundle.spec["process"]["args"] = ["sh", "-c", "ls /proc/self/fd; env | grep LISTEN"]
    bundle.save()
    script = 'exec 3</etc/hostname 4<&33 5<&33; exec "$@"'
    command = ["bash", "-c", script, "bash", PROGRAM, "--root", str(bundle.root)]
    try:
        ran = subprocess.run(
            [*command, "run", "--preserve-fds", "2", "one"], env=bundle.env, cwd=bundle.path,
            capture_output=True, text=True, pass_fds=(33,), stdin=subprocess.DEVNULL, timeout=30,
        )  # fmt: skip
    finally:
        for fd in (read, write, 33):
            os.close(fd)
    assert ran.returncode == 0, ran.stderr
    # 5 is the directory that ls reads.
    assert ran.stdout.split() == ["0", "1", "2", "3", "4", "5", "LISTEN_FDS=2", "LISTEN_PID=1"]


KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def test_hooks_run_in_order_with_the_state(bundle: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "hooks"
    inner = bundle.rootfs / "log"
    inner.touch()
    words = "import json, os, sys; state = json.load(sys.stdin)"
    hooks = {}
    for kind in KINDS:
        if kind == "startContainer":
            script = 'sed \'s/.*"status":"\\([a-z]*\\)".*/\\1/\' >> /log'
            hook = {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}
        else:
            said = f"print('{kind}', state['status'], state.get('pid', 0) > 0, os.environ['A'])"
            script = f"{words}; sys.stdout = open('{log}', 'a'); {said}"
            hook = {"path": "/usr/bin/python3", "args": ["python3", "-c", script], "env": ["A=1"]}
        hooks[kind] = [hook]
    bundle.spec["hooks"] = hooks
    bundle.start("true")
    bundle.until("stopped")
    bundle.call("delete", "one")
    assert log.read_text().splitlines() == [
        "prestart creating True 1", "createRuntime creating True 1",
        "createContainer creating True 1", "poststart running True 1", "poststop stopped False 1",
    ]  # fmt: skip
    assert inner.read_text().strip() == "created"


@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_hook_that_fails_ends_the_container(kind: str, bundle: Bundle) -> None:
    bundle.spec["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "echo why; exit 3"]}]}
    bundle.spec["process"]["args"] = ["true"]
    bundle.save()
    ran = bundle.call("create", "one", check=False)
    if kind == "startContainer":
        ran = bundle.call("start", "one", check=False)
        bundle.until("stopped")
    else:
        assert bundle.call("list", "-q").stdout == ""
    assert ran.returncode == 1
    assert f"{kind} hook /bin/sh ended with exit code 3: why" in ran.stderr


def test_a_hook_that_takes_too_long_is_killed(bundle: Bundle) -> None:
    hook = {"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}
    bundle.spec["hooks"] = {"createRuntime": [hook]}
    assert "took more than 1 s" in bundle.run("true", check=False).stderr


def test_a_cgroup_of_others_is_refused_and_they_live(bundle: Bundle) -> None:
    trees = [name for _, name in cgroups.layout()]
    homes = [Path(cgroups.ROOT, tree, "others") for tree in dict.fromkeys(trees) or [""]]
    other = subprocess.Popen(["sleep", "100"])
    try:
        for home in homes:
            home.mkdir()
        (homes[0] / "cgroup.procs").write_text(str(other.pid))
        bundle.spec["linux"]["cgroupsPath"] = "/others"
        assert "there are processes in /others" in bundle.run("true", check=False).stderr
        assert bundle.call("list", "-q").stdout == ""
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        for home in homes:
            if home.is_dir():
                home.rmdir()


def test_what_is_no_container_is_not_listed_and_an_id_is_free_again(bundle: Bundle) -> None:
    root = Path(bundle.root)
    (root / "one").mkdir(parents=True)  # as a `delete` leaves it that was killed at its end
    (root / "two").mkdir()
    (root / "two" / "state.json").write_text("{")
    (root / "a file").touch()
    bundle.spec["process"]["args"] = ["true"]
    bundle.save()
    bundle.call("create", "one")
    assert bundle.call("list", "-q").stdout.split() == ["one"]
    assert "exists already" in bundle.call("create", "one", check=False).stderr
    assert sorted(os.listdir(root)) == ["a file", "one", "two"]


def test_what_a_killed_create_left_goes(bundle: Bundle) -> None:
    own = f"~{os.getpid()}-{start_ticks(os.getpid())}-1"
    for name in (own, f"~{os.getpid()}-1-1"):
        (bundle.root / name).mkdir(parents=True)
        (bundle.root / name / "config.json.1").write_text("{")
    (bundle.root / "~1-1-1" / "no file").mkdir(parents=True)
    (bundle.root / "~other").mkdir()
    bundle.start("sleep", "100")
    assert sorted(os.listdir(bundle.root)) == ["one", "~1-1-1", own, "~other"]


def test_hostile_bundles_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    for place in ("/proc/self/fd/7", "/proc/1/root"):
        bundle.spec["process"]["cwd"] = place
        assert bundle.run("true", check=False).returncode == 1
    bundle.spec["process"]["cwd"] = "/"
    (bundle.rootfs / "link").symlink_to(secret)
    (bundle.rootfs / "up").symlink_to("../../../../../..")
    bundle.spec["mounts"] += [
        {"destination": place, "type": "tmpfs", "source": "tmpfs"}
        for place in ("/link/a", "/up/etc/b")
    ]
    assert bundle.shell("grep -c tmpfs.*/[ab].tmpfs /proc/mounts").strip() == "2"
    assert list(secret.iterdir()) == []
    bundle.spec["mounts"] = bundle.spec["mounts"][:-2]
    (bundle.rootfs / "into").symlink_to("/proc/self")
    bundle.spec["mounts"].append(
        {"destination": "/into/attr", "source": str(secret), "options": ["bind"]}
    )
    assert bundle.run("true", check=False).returncode == 1
    bundle.spec["mounts"].pop()
    (bundle.rootfs / "proc").rmdir()
    (bundle.rootfs / "proc").symlink_to("/tmp")
    assert bundle.run("true", check=False).returncode == 1
    assert os.listdir(secret) == []
