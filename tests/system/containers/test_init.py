"""What a process in a real container sees, can do and cannot do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path

import pytest

from core.containers.configuration.devices import DEVICE_RULES
from tests.fixture_images import busybox_rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("container_driver.py")


class Box:
    """A root file system that tests start containers from."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.layer = directory / "layers" / "1"
        self.layer.mkdir(parents=True)
        subprocess.run(["tar", "-xC", self.layer], input=busybox_rootfs(), check=True)
        self.lower = [1]

    def script(self, name: str, text: str, mode: int = 0o755, owner: int = 0) -> None:
        file = self.layer / "bin" / name
        file.write_text(text)
        file.chmod(mode)
        os.chown(file, owner, owner)

    def start(
        self,
        command: Sequence[str],
        image: dict[str, Any] | None = None,
        execs: Sequence[dict[str, Any]] = (),
        **options: Any,
    ) -> list[dict[str, Any]]:
        name = f"test-{uuid.uuid4().hex[:12]}"
        directory = self.directory / name
        directory.mkdir()
        request = {
            "path": [str(ROOT), sysconfig.get_path("purelib")],
            "id": name,
            "directory": str(directory),
            "layers": str(self.layer.parent),
            "lower": self.lower,
            "image": image or {},
            "execs": list(execs),
            "options": {"command": list(command), **options},
        }
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-E", str(DRIVER)],
            input=json.dumps(request), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        answers: list[dict[str, Any]] = json.loads(ran.stdout)
        return answers

    def sh(self, script: str, **options: Any) -> str:
        """Return what a script says; it must end well."""
        (answer,) = self.start(["sh", "-c", script], **options)
        assert answer.get("code") == 0, answer
        return str(answer["out"])


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


# -- who it is and what it may do -------------------------------------------------------


def test_docker_s_defaults(box: Box) -> None:
    said = box.sh(
        "echo $$ $(hostname) $(pwd) $(umask) $HOME $PATH; id;"
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\t' ' '"
    ).splitlines()
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert said == [
        f"1 box / 0022 /root {path}",
        "uid=0(root) gid=0(root)",
        "CapInh: 0000000000000000",
        "CapPrm: 00000000a80425fb",
        "CapEff: 00000000a80425fb",
        "CapBnd: 00000000a80425fb",
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 0",
        "Seccomp: 2",
    ]


def test_a_user_keeps_nothing(box: Box) -> None:
    said = box.sh("id; echo $HOME; grep -E '^Cap(Prm|Eff)' /proc/self/status", user="user")
    assert said.splitlines()[:2] == ["uid=1000(user) gid=1000(user)", "/tmp"]
    assert set(said.split()[3:]) & {"0000000000000000"}


@pytest.mark.parametrize("number", [1, 2])
def test_a_user_may_open_its_own_output_again(box: Box, number: int) -> None:
    name = {1: "stdout", 2: "stderr"}[number]
    (answer,) = box.start(["sh", "-c", f"echo hello > /dev/{name}"], user="user")
    assert answer["out"] + answer["err"] == "hello\n"


def test_more_and_fewer_privileges(box: Box) -> None:
    (answer,) = box.start(
        ["sh", "-c", "chown 1 /tmp; grep NoNew /proc/self/status"], cap_drop=["CHOWN"],
        no_new_privileges=True,
    )  # fmt: skip
    assert "Operation not permitted" in answer["err"]
    assert answer["out"].split() == ["NoNewPrivs:", "1"]
    said = box.sh("mount -t tmpfs t /tmp && grep -c Seccomp:.0 /proc/self/status", privileged=True)
    assert said == "1\n"


def test_what_the_filter_refuses(box: Box) -> None:
    (answer,) = box.start(["sh", "-c", "unshare -m true; mount -t tmpfs t /tmp; echo end"])
    assert answer["out"] == "end\n"
    assert answer["err"].count("denied") + answer["err"].count("not permitted") >= 2


# -- what it sees -----------------------------------------------------------------------


def test_devices(box: Box) -> None:
    said = box.sh("cd /dev; stat -c '%n %a %t:%T' null zero full random urandom tty; readlink ptmx")
    assert said.splitlines() == [
        "null 666 1:3", "zero 666 1:5", "full 666 1:7", "random 666 1:8", "urandom 666 1:9",
        "tty 666 5:0", "pts/ptmx",
    ]  # fmt: skip


def test_nodes_may_be_made_but_no_disk_be_read(box: Box) -> None:
    major, minor = os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev)
    (answer,) = box.start(["sh", "-c", f"mknod /tmp/d b {major} {minor} && head -c 1 /tmp/d"])
    assert "/tmp/d: Operation not permitted" in answer["err"]


def test_masked_and_read_only(box: Box) -> None:
    (answer,) = box.start(
        ["sh", "-c", "cat /proc/timer_list /proc/keys | wc -c; ls -A /sys/firmware | wc -l;"
         "echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; mkdir /sys/x"],
    )  # fmt: skip
    assert answer["out"].split() == ["0", "0"]
    assert "/proc/sys/kernel/panic: Read-only" in answer["err"]
    assert "/sys/x" in answer["err"]
    mounts = box.sh("cat /proc/mounts")
    assert "cgroup rw" not in mounts
    assert "tmpfs /sys/fs/cgroup tmpfs ro" in mounts or "cgroup2 ro" in mounts


def test_nothing_of_the_host_stays_open_or_mounted(box: Box) -> None:
    said = box.sh("ls /proc/1/fd; cut -d' ' -f2 /proc/mounts; cat /proc/1/cgroup")
    descriptors, _, rest = said.partition("/\n")
    # 3 is the descriptor by which ls reads the directory... of process 1, which ls is not.
    assert set(descriptors.split()) <= {"0", "1", "2", "3"}
    assert str(box.directory) not in rest
    assert all(line.endswith(":/") for line in rest.splitlines() if line[0].isdigit())


def test_network_settings_that_docker_makes(box: Box) -> None:
    said = box.sh("cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range")
    assert said.split() == ["0", "0", "2147483647"]


def test_terminal(box: Box) -> None:
    script = "tty; stat -c '%t:%T %u %a' /dev/console; echo > /dev/tty; ls /dev/pts"
    said = box.sh(script, tty=True, user="user").split()
    assert said == ["/dev/pts/0", "88:0", "1000", "620", "0", "ptmx"]


def test_limits(box: Box) -> None:
    said = box.sh(
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
        " || cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max",
        memory_bytes=64 << 20, pids_limit=33,
    )  # fmt: skip
    assert said.split() == ["33", str(64 << 20)]


# -- files ------------------------------------------------------------------------------


def test_working_directory_is_made(box: Box) -> None:
    assert box.sh("pwd; stat -c %a /a/b", workdir="/a/b").split() == ["/a/b", "755"]


def test_a_new_volume_holds_what_the_image_has(box: Box) -> None:
    data = box.layer / "data"
    (data / "inner").mkdir(parents=True)
    (data / "inner" / "file").write_text("kept")
    (data / "inner" / "file").chmod(0o640)
    os.chown(data / "inner" / "file", 1000, 2000)
    (data / "link").symlink_to("/etc/passwd")
    os.mkfifo(data / "pipe")
    os.utime(data / "inner", (1, 1))
    said = box.sh(
        "cd /data; cat inner/file; stat -c ' %u %g %a' inner/file; readlink link;"
        " stat -c '%F' pipe; stat -c %Y inner; grep -c ' /data ' /proc/mounts",
        image={"Volumes": {"/data": {}}},
    )
    assert said.splitlines() == ["kept 1000 2000 640", "/etc/passwd", "fifo", "1", "1"]
    assert not (box.layer / "data" / "new").exists()


def test_mounts_stay_inside_however_the_image_links(box: Box, tmp_path: Path) -> None:
    outside, source = tmp_path / "outside", tmp_path / "source"
    outside.mkdir()
    source.mkdir()
    (source / "file").write_text("seen")
    (box.layer / "escape").symlink_to("../../../../../.." + str(outside))
    (box.layer / "absolute").symlink_to(str(outside))
    said = box.sh(
        "cat /escape/in/file /absolute/in/file; touch /escape/in/x 2>&1 || true",
        mounts=[[str(source), "/escape/in", True], [str(source), "/absolute/in", False]],
    )
    assert said.startswith("seenseen")
    assert "Read-only" not in said or not (source / "x").exists()
    assert list(outside.iterdir()) == []


def test_read_only_root_and_mount(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (answer,) = box.start(
        ["sh", "-c", "touch /x; touch /m/x; touch /dev/shm/ok && ls /dev/shm"],
        read_only=True, mounts=[[str(source), "/m", True]],
    )  # fmt: skip
    assert answer["err"].count("Read-only file system") == 2
    assert answer["out"] == "ok\n"


def test_more_layers_than_fit_one_mount_option(box: Box) -> None:
    long = [int(f"9{number:017d}") for number in range(300)]
    for number in long:
        (box.layer.parent / str(number)).mkdir()
    box.lower = [*long, 1]
    try:
        said = box.sh("echo ran")
    except AssertionError as error:
        if "lowerdir+" in str(error):
            pytest.skip("this kernel takes lower directories in one option only")
        raise
    assert said == "ran\n"


# -- the program and how it ends --------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["nope"], 127, 'exec: "nope": executable file not found in $PATH'),
        (["/nope"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
        (["/tmp"], 126, "is a directory"),
        (["junk"], 126, "exec format error"),
        (["nointerpreter"], 127, "no such file or directory"),
        (["/proc/self/exe"], 126, "leads through /proc"),
        (["self"], 126, "leads through /proc"),
        (["linked"], 126, "leads through /proc"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_cannot_be_run(box: Box, command: list[str], code: int, text: str) -> None:
    box.script("junk", "\1\2\3")
    box.script("nointerpreter", "#!/nope\n")
    box.script("self", "#!/proc/self/exe\n")
    (box.layer / "bin" / "linked").symlink_to("/proc/self/exe")
    (answer,) = box.start(command)
    _, _, said, exit_code = answer["failed"]
    assert (exit_code, text in said) == (code, True), said


def test_a_script_that_hides_its_interpreter_does_not_reach_the_host_s(box: Box) -> None:
    """CVE-2019-5736: root without DAC_OVERRIDE may execute this file, and cannot read it."""
    box.script("hidden", "#!/proc/self/exe\n", 0o111, 1000)
    for options in ({"cap_drop": ["ALL"]}, {"cap_drop": ["DAC_OVERRIDE"]}, {"user": "4242"}):
        (answer,) = box.start(["hidden"], **options)
        assert answer["failed"][2:] == ['exec: "hidden": its path leads through /proc', 126]


def test_scripts_run(box: Box) -> None:
    box.script("tabbed", "#!/bin/sh\t-e\necho $0 $1\n")
    assert box.start(["tabbed", "word"])[0]["out"] == "/bin/tabbed word\n"


def test_an_unknown_user_is_named(box: Box) -> None:
    (answer,) = box.start(["true"], user="bogus")
    assert answer["failed"][2:] == [
        "unable to find user bogus: no matching entries in passwd file", 125,
    ]  # fmt: skip


@pytest.mark.parametrize(("script", "code"), [("exit 42", 42), ("exit 0", 0)])
def test_exit_codes(box: Box, script: str, code: int) -> None:
    assert box.start(["sh", "-c", script])[0]["code"] == code


# -- exec -------------------------------------------------------------------------------


def test_what_enters_is_held_to_the_same(box: Box) -> None:
    box.script("hidden", "#!/proc/self/exe\n", 0o111, 1000)
    inside = (
        "grep -E '^(CapEff|Seccomp:)' /proc/self/status | tr '\\t' ' '; id -u; ls /proc/self/fd"
    )
    asked: list[dict[str, Any]] = [
        {"argv": ["sh", "-c", inside + "; exit 7"]},
        {"argv": ["tty"], "user": "user", "tty": True},
        {"argv": ["nope"]},
        {"argv": ["/proc/self/exe"]},
        {"argv": ["hidden"]},
        {"argv": ["sh", "-c", "cat /proc/self/cgroup | grep -v ':/$'; true"]},
    ]
    answers = box.start(["sleep", "60"], execs=asked)
    assert answers[0]["code"] == 7
    assert answers[0]["out"].split("\n")[:3] == ["CapEff: 00000000a80425fb", "Seccomp: 2", "0"]
    assert answers[0]["out"].split()[5:] == ["0", "1", "2", "3"]
    assert answers[1] == {"out": "/dev/pts/0\r\n", "err": "", "code": 0}
    assert [answer["failed"][3] for answer in answers[2:5]] == [127, 126, 126]
    assert answers[5]["out"] == "", "it is in another cgroup than the container"


@pytest.mark.parametrize("user", ["root", "user"])
def test_what_entered_ends_with_its_parent(box: Box, user: str) -> None:
    asked: list[dict[str, Any]] = [
        {"argv": ["sleep", "55"], "user": user, "kill": True},
        {"argv": ["sh", "-c", "sleep 0.2; ps | grep '[s]leep 55'; true"]},
    ]
    assert box.start(["sleep", "60"], execs=asked)[1]["out"] == ""


def test_the_device_program_holds_in_a_real_cgroup() -> None:
    """Where v2 is mounted at all, beside v1 or alone."""
    tree = next((t for t in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
                 if os.path.exists(f"{t}/cgroup.procs")), None)  # fmt: skip
    if tree is None:
        pytest.skip("no cgroup v2 is mounted here")
    script = f"""
import os, sys
sys.path[:0] = [{str(ROOT)!r}]
from core.containers.runtime import cgroups, device_filter
folder = {tree!r} + "/" + sys.argv[1]
os.mkdir(folder)
try:
    cgroups._filter_devices(folder, device_filter.compile_rules({DEVICE_RULES!r}))
    if (child := os.fork()) == 0:
        with open(folder + "/cgroup.procs", "w") as file:
            file.write("0")
        for name in ("null", "urandom", "ptmx", "kmsg"):
            try:
                os.close(os.open("/dev/" + name, os.O_RDWR if name == "ptmx" else os.O_RDONLY))
                print(name, "opened")
            except PermissionError:
                print(name, "refused")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
finally:
    os.rmdir(folder)
"""
    name = f"test-{uuid.uuid4().hex[:12]}"
    command = [sys.executable, "-I", "-S", "-c", script, name]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [
        "null", "opened", "urandom", "opened", "ptmx", "opened", "kmsg", "refused",
    ]  # fmt: skip
