"""limpet as an ordinary user, who has IDs in /etc/subuid and no privilege at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.containers import until
from tests.layers import archive, entry, hardlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Limpet = Callable[..., str]

ROOT = Path(__file__).parent.parent.parent
UID = 54321
FILES = {
    "passwd": f"root:x:0:0::/root:/bin/sh\nperson:x:{UID}:{UID}::{{home}}:/bin/sh\n",
    "group": f"root:x:0:\nperson:x:{UID}:\n",
    "subuid": "person:500000:65536\n",
    "subgid": "person:500000:65536\n",
}


@pytest.fixture(scope="module")
def home(isolated: None) -> Iterator[Path]:
    """A home of a user whom only this test's mount namespace knows; limpet lies in it, too."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    mounts = []
    for name, text in FILES.items():
        (folder / name).write_text(text.format(home=folder / "home"))
        mounts.append((str(folder / name), f"/etc/{name}"))
    os.mknod(folder / "tun", 0o20666, os.makedev(10, 200))
    (folder / "tun").chmod(0o666)
    (folder / "limpet").mkdir()
    mounts += [(str(folder / "tun"), "/dev/net/tun"), (str(ROOT), str(folder / "limpet"))]
    for source, target in mounts:
        subprocess.run(["mount", "--bind", source, target], check=True)
    (folder / "home").mkdir()
    os.chown(folder / "home", UID, UID)
    for words in ("link add uplink type bridge", "addr add 192.0.2.1/24 dev uplink",
                  "link set uplink up", "route add default via 192.0.2.254"):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    yield folder / "home"
    subprocess.run(["ip", "link", "del", "uplink"], check=True)
    for _, target in reversed(mounts):
        subprocess.run(["umount", target], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def limpet(home: Path) -> Iterator[Limpet]:
    """Run a command as the person; return stdout, or stderr where it is to fail."""
    command = str(home.parent / "limpet/bin/limpet")
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "USER": "person", "LANG": "C.UTF-8"}

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [*become, command, *words], env=env, cwd=home, text=True, timeout=60,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    run("image", "starter")
    yield run
    names = run("ps", "-aq").split()
    if names:
        run("rm", "-f", *names)


RUN = ("run", "--rm", "--network", "none", "starter")


def test_root_inside_is_the_person_outside(limpet: Limpet, home: Path) -> None:
    assert limpet(*RUN, "id", "-u") == "0\n"
    assert limpet(*RUN, "cat", "/proc/self/uid_map").split() == [
        "0", str(UID), "1", "1", "500000", "65536",
    ]  # fmt: skip
    script = "for d in null zero full random urandom tty; do test -c /dev/$d || echo $d; done"
    assert limpet(*RUN, "sh", "-c", script) == ""
    limpet("run", "--rm", "--network", "none", "-v", f"{home}:/home", "starter", "touch", "/home/x")
    assert (home / "x").stat().st_uid == UID
    assert (home / ".local/share/limpet").stat().st_uid == UID


def test_links_to_devices_are_passed_over_as_devices_are(limpet: Limpet, home: Path) -> None:
    content = archive(
        entry("dev/null", b"3", devmajor=1, devminor=3),
        hardlink("dev/again", "dev/null"),
        hardlink("dev/once-more", "dev/again"),
        entry("file", content=b"hello"),
        hardlink("link", "file"),
    )
    (home / "devices.tar").write_bytes(content)
    limpet("import", str(home / "devices.tar"), "devices")
    assert limpet("image", "fsck", "devices") == "all is well\n"
    (home / "nothing.tar").write_bytes(archive(hardlink("dev/again", "dev/null")))
    assert "dev/again" in limpet("import", str(home / "nothing.tar"), "nothing", code=1)


def test_a_container_is_entered_changed_and_ended(limpet: Limpet, home: Path) -> None:
    limpet("run", "-d", "--name", "box", "--network", "none", "starter", "sleep", "1000")
    assert limpet("exec", "-u", "1000:1000", "box", "id", "-u") == "1000\n"
    (home / "file").write_text("hello\n")
    limpet("cp", str(home / "file"), "box:/root/file")
    assert limpet("exec", "box", "cat", "/root/file") == "hello\n"
    assert "A /root/file" in limpet("diff", "box")
    limpet("commit", "--pause=false", "box", "mine")
    assert limpet("run", "--rm", "--network", "none", "mine", "cat", "/root/file") == "hello\n"
    limpet("stop", "-t", "0", "box")
    assert json.loads(limpet("inspect", "box"))[0]["State"]["ExitCode"] == 137
    limpet("start", "box")
    assert limpet("exec", "box", "cat", "/root/file") == "hello\n"


def test_a_container_is_started_again(limpet: Limpet) -> None:
    limpet("run", "-d", "--name", "again", "--network", "none", "--restart", "on-failure:2",
           "starter", "sh", "-c", "echo run; exit 3")  # fmt: skip
    until(lambda: limpet("logs", "again").count("run") == 3, 30)


def test_a_port_is_published_and_its_helper_ends(limpet: Limpet) -> None:
    limpet("run", "-d", "--name", "web", "-p", "127.0.0.1:18080:80", "starter", "sh", "-c",
           "mkdir /www; echo served > /www/index.html; httpd -f -h /www -p 80")  # fmt: skip
    until(lambda: fetch("http://127.0.0.1:18080/") == b"served\n")
    limpet("rm", "-f", "web")
    assert fetch("http://127.0.0.1:18080/") == b""
    assert "takes root" in limpet("run", "-p", "127.0.0.1:80:80", "starter", "true", code=1)


def fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def test_what_a_user_cannot_have_is_told(limpet: Limpet, home: Path) -> None:
    # The isolation of tests leaves v1's cgroups, of which nobody has any but root.
    assert "--memory: this user has no cgroup" in limpet("run", "-m", "64m", *RUN[1:], "true",
                                                         code=125)  # fmt: skip
    limpet("create", "--name", "free", "starter", "true")
    assert "--memory: this user" in limpet("update", "-m", "64m", "free", code=125)
    limpet("start", "free")
    doctor = limpet("doctor")
    assert "version 1 gives an ordinary user none" in doctor
    assert f"root of user {UID}'s own namespace" in doctor
    assert "/usr/bin/pasta" in doctor


def test_namespaces_and_devices_of_the_host(limpet: Limpet) -> None:
    run = ("run", "--rm", "--network", "none")
    script = "echo x >/proc/sys/kernel/hostname"
    said = limpet(*run, "--pid", "host", "starter", "sh", "-c", script, code=1)
    assert "Read-only" in said
    script = f"cat /proc/{os.getpid()}/comm"
    assert limpet(*run, "--pid", "host", "starter", "sh", "-c", script) == (
        Path("/proc/self/comm").read_text()
    )
    script = "ls /dev/shm >/dev/null && readlink /proc/self/ns/ipc"
    assert limpet(*run, "--ipc", "host", "starter", "sh", "-c", script).strip() == (
        os.readlink("/proc/self/ns/ipc")
    )
    script = "head -c 3 /dev/nothing | wc -c; stat -c %t:%T /dev/nothing"
    assert limpet(*run, "--device", "/dev/zero:/dev/nothing", "starter", "sh", "-c", script) == (
        "3\n1:5\n"
    )


def test_a_unit_is_one_of_the_user_s_own_systemd(limpet: Limpet, home: Path) -> None:
    said = limpet("unit", "install").splitlines()
    unit = home / ".config/systemd/user/limpet.service"
    assert said[0] == str(unit)
    assert said[1].endswith("loginctl enable-linger person")
    assert "WantedBy=default.target" in unit.read_text()
    assert "network-online" not in unit.read_text()  # a user's systemd knows none
    assert (unit.parent / "default.target.wants/limpet.service").read_text() == unit.read_text()
    limpet("unit", "remove")
    assert not unit.exists()


def test_checks_run_and_ports_are_free_again_at_once(limpet: Limpet) -> None:
    limpet("run", "-d", "--name", "web", "-p", "127.0.0.1:18083:80", "--stop-timeout", "0",
           "--health-cmd", "true", "--health-interval", "0.2s", "starter", "sleep",
           "1000")  # fmt: skip
    until(lambda: "(healthy)" in limpet("ps"))
    for value in ("1", "2"):
        limpet("edit", "-f", "-e", f"TRY={value}", "web")
        assert limpet("exec", "web", "sh", "-c", "echo $TRY") == f"{value}\n"
    limpet("restart", "web")
    refused = limpet("commit", "web", "made", code=1)  # v1 gives him no freezer
    assert "container web cannot be paused: there is no freezer cgroup" in refused
    assert "--pause=false" in refused
    limpet("commit", "--pause=false", "web", "made")


def test_a_user_without_ids_learns_how_to_get_them(limpet: Limpet, home: Path) -> None:
    subuid = home.parent / "subuid"
    subuid.write_text("")
    try:
        said = limpet(*RUN, "true", code=1)
        assert "usermod --add-subuids" in said
    finally:
        subuid.write_text(FILES["subuid"])


def test_files_changes_and_processes(limpet: Limpet, home: Path) -> None:
    (home / "file").write_text("mine")
    os.chown(home / "file", UID, UID)
    limpet("run", "-d", "--name", "web", "--network", "none", "--stop-timeout", "0", "starter",
           "sleep", "1000")  # fmt: skip
    limpet("cp", "file", "web:/etc/file")
    assert limpet("exec", "web", "stat", "-c", "%u %a", "/etc/file").startswith("0 ")
    assert limpet("diff", "web").split() == ["C", "/etc", "A", "/etc/file"]
    assert "sleep 1000" in limpet("top", "web")
    limpet("edit", "-f", "-e", "A=1", "web")
    assert limpet("exec", "web", "sh", "-c", "echo $A; cat /etc/file") == "1\nmine"
    limpet("stop", "web")
    limpet("cp", "-a", "web:/etc/file", "back")
    assert (home / "back").read_text() == "mine"
    assert (home / "back").stat().st_uid == UID
    limpet("cp", "file", "web:/etc/cold")
    limpet("start", "web")
    assert limpet("exec", "web", "cat", "/etc/cold") == "mine"
    # No user can write where root alone may, through limpet neither.
    assert "denied" in limpet("cp", "web:/etc/file", "/etc/limpet-was-here", code=1)


def test_an_image_is_built(limpet: Limpet, home: Path) -> None:
    context = home / "context"
    context.mkdir(mode=0o755)
    os.chown(context, UID, UID)
    (context / "a").write_text("copied\n")
    (context / "Dockerfile").write_text(
        "FROM starter AS one\nRUN echo run >/r; rm /bin/vi; rm -r /usr; mkdir /usr\n"
        "FROM one\nWORKDIR /w\nCOPY --chown=1000:1000 a ./\nCOPY --from=one /r /r2\n"
        "RUN --mount=target=/c --mount=type=tmpfs,target=/t --mount=type=cache,target=/k "
        "cat /c/a >/t/x; cp /t/x /k/; cat /k/x\n"
    )
    limpet("build", "--network", "none", "-t", "built", str(context))
    script = "cat /w/a /r2; stat -c %u /w/a; test -e /bin/vi || echo gone"
    run = ("run", "--rm", "--network", "none", "built", "sh", "-c", script)
    assert limpet(*run) == "copied\nrun\n1000\ngone\n"
    limpet("build", "--network", "none", "--squash", "-t", "built", str(context))
    assert limpet(*run) == "copied\nrun\n1000\ngone\n"
    limpet("build", "-q", "--network", "none", "-o", str(home / "out"), str(context))
    assert (home / "out/r2").read_text() == "run\n"
    assert not list((home / ".local/share/limpet/build/work").iterdir())


def test_help_needs_no_namespace(limpet: Limpet, home: Path) -> None:
    subuid = home.parent / "subuid"
    subuid.write_text("person:500000:65536\n" * 2)  # twice the same IDs: no map of the kernel's
    try:
        assert "newuidmap refused" in limpet("ps", code=1)
        assert "run" in limpet("help")
        assert "network create" in limpet("network", "--help")
    finally:
        subuid.write_text(FILES["subuid"])


def test_containers_on_a_network_of_ones_own_find_each_other(limpet: Limpet) -> None:
    limpet("network", "create", "--ipv6", "shop")
    limpet("network", "create", "--internal", "back")
    limpet("run", "-d", "--name", "web", "--network", "shop", "--network-alias", "front",
           "-p", "127.0.0.1:18081:80", "--stop-timeout", "0", "starter", "sh", "-c",
           "mkdir /www; echo served > /www/index.html; httpd -f -h /www -p 80")  # fmt: skip
    limpet("run", "-d", "--name", "db", "--network", "back", "--stop-timeout", "0", "starter",
           "sleep", "1000")  # fmt: skip
    until(lambda: fetch("http://127.0.0.1:18081/") == b"served\n")
    ask = ("run", "--rm", "--network", "shop", "starter", "wget", "-qO-", "http://front/")
    assert limpet(*ask) == "served\n"
    limpet("run", "--rm", "--network", "shop", "starter", "ping", "-6", "-c1", "-w5", "web")
    # Nothing leads out of an internal network, and no other network's containers are reached.
    assert "default" not in limpet("exec", "db", "ip", "route")
    limpet("exec", "db", "ping", "-c1", "-w1", "web", code=1)
    limpet("network", "connect", "back", "web")
    assert limpet("exec", "db", "wget", "-qO-", "http://web/") == "served\n"
    limpet("network", "disconnect", "shop", "web")
    assert fetch("http://127.0.0.1:18081/") == b""
    limpet("network", "connect", "bridge", "web")
    assert "via 10.0.2.2" in limpet("exec", "web", "ip", "route")
    limpet("restart", "web")
    assert limpet("exec", "db", "wget", "-qO-", "http://web/") == "served\n"
    assert "is used by" in limpet("network", "rm", "back", code=4)
    limpet("rm", "-f", "web", "db")
    limpet("network", "rm", "shop", "back")
    assert not [name for _, name in processes() if name in ("pasta", "limpet")]


def processes() -> Iterator[tuple[int, str]]:
    """Yield the person's processes: PID and name."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and folder.stat().st_uid == UID:
                yield int(folder.name), (folder / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_limpets_that_begin_together_share_one_namespace(limpet: Limpet) -> None:
    limpet("network", "create", "shop")
    with ThreadPoolExecutor(4) as pool:
        names = [f"one{number}" for number in range(4)]
        words = ("--network", "shop", "--stop-timeout", "0", "starter", "sleep", "1000")
        list(pool.map(lambda name: limpet("run", "-d", "--name", name, *words), names))
    for name in names:
        limpet("exec", names[0], "ping", "-c1", "-w5", name)
    limpet("rm", "-f", *names)
    limpet("network", "rm", "shop")
