"""What the options of `run` make of a container, seen from inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.options.create_options import container_options
from core.engine import Engine
from core.errors import Conflict, InUse, RunError, UsageError
from core.linux import mount
from tests.containers import run, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.configuration.options import ContainerOptions

    Inside = Callable[..., str]


def asked(engine: Engine, *words: str) -> ContainerOptions:
    """Return what `run WORDS…` asks for; without a network, unless it says one."""
    verb, rest = find(["run", "--network", "none", *words])
    return container_options(engine, parse(verb, rest))  # type: ignore[arg-type]


@pytest.fixture
def inside(engine: Engine) -> Inside:
    """Run a shell script in a container with options; return what it prints."""

    def run_inside(script: str, *words: str) -> str:
        code, out, err = run(
            engine.containers.run(asked(engine, *words, "starter", "sh", "-c", script))
        )
        assert (code, err) == (0, b"")
        return out.decode().strip()

    return run_inside


def background(engine: Engine, *words: str) -> str:
    container = engine.containers.create(asked(engine, *words, "starter", "sleep", "1000"))
    engine.containers.start(container)
    return container


# -- volumes -------------------------------------------------------------------------


def test_a_named_volume_is_filled_once_and_outlives_containers(
    engine: Engine, inside: Inside
) -> None:
    assert inside("cat /etc/passwd | head -c 4; echo x > /etc/new", "-v", "conf:/etc") == "root"
    assert inside("cat /data/new; ls /data | grep -c passwd", "-v", "conf:/data:ro") == "x\n1"
    assert inside("rm -f /etc/passwd && ls /etc/new", "-v", "conf:/etc") == "/etc/new"
    assert inside("ls /etc | grep -c passwd || true", "-v", "conf:/etc") == "0"
    assert [volume.name for volume in engine.volumes.list()] == ["conf"]
    assert os.stat(engine.volumes.find("conf").path).st_mode & 0o777 == 0o755
    assert engine.volumes.size(engine.volumes.find("conf")) > 0


def test_nocopy_and_read_only(inside: Inside) -> None:
    assert inside("ls /etc | grep -v -E 'hosts|hostname|resolv.conf' || true",
                  "-v", "empty:/etc:nocopy") == ""  # fmt: skip
    assert "Read-only" in inside("touch /v/x 2>&1 || true", "-v", "other:/v:ro")


def test_a_used_volume_stays_and_an_unused_goes(engine: Engine) -> None:
    container = background(engine, "-v", "data:/data", "--name", "user")
    with pytest.raises(InUse, match="user"):
        engine.volumes.remove("data", engine.containers.users_of_volume)
    verb, rest = find(["volume", "rm", "data"])
    with pytest.raises(InUse, match="user"):  # at once: nobody is asked to type its name
        verb.run(engine, parse(verb, rest))
    engine.containers.rm(container, force=True)
    engine.volumes.remove("data", engine.containers.users_of_volume)
    assert engine.volumes.list() == []
    assert os.listdir(engine.paths.volumes) == []


def test_a_part_of_a_volume_is_mounted_and_no_link_leads_out(
    engine: Engine, inside: Inside
) -> None:
    inside("mkdir -p /v/part; echo p > /v/part/file; ln -s /etc /v/out", "-v", "data:/v")
    part = "source=data,target=/p,volume-subpath="
    assert inside("cat /p/file", "--mount", part + "part") == "p"
    with pytest.raises(RunError):
        inside("true", "--mount", part + "out")
    with pytest.raises(RunError):
        inside("true", "--mount", part + "missing")


def test_an_anonymous_volume_is_the_container_s_own(engine: Engine) -> None:
    container = background(engine, "-v", "/data")
    assert engine.volumes.list() == []
    other = engine.containers.create(
        asked(engine, "--volumes-from", container + ":ro", "starter", "true")
    )
    assert engine.containers.inspect(other)["Mounts"][0]["RW"] is False


def test_mounts_above_come_before_mounts_below(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file").write_text("x")
    found = inside("ls /a /a/b", "-v", f"{tmp_path}/shown:/a/b", "--tmpfs", "/a:size=1m")
    assert found.split() == ["/a:", "b", "/a/b:", "file"]


def test_a_tmpfs_has_its_size_and_mode(inside: Inside) -> None:
    found = inside("grep ' /t ' /proc/mounts; stat -c %a /t", "--tmpfs", "/t:size=1m,mode=700")
    assert "size=1024k" in found
    assert "noexec" in found
    assert found.endswith("700")


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/sys", "/dev"])
def test_what_isolation_stands_on_cannot_be_covered(engine: Engine, target: str) -> None:
    with pytest.raises(UsageError, match="nothing can be mounted"):
        engine.containers.create(asked(engine, "-v", f"/etc:{target}", "starter", "true"))


def test_an_image_s_link_into_proc_gets_no_mount(engine: Engine, inside: Inside) -> None:
    """CVE-2019-16884: a volume over /proc/self/attr or /proc/sys would turn confinement off."""
    container = engine.containers.create(asked(engine, "--tmpfs", "/trap", "starter", "true"))
    upper = Path(engine.paths.container(container)) / "upper"
    (upper / "trap").symlink_to("/proc/sys")
    with pytest.raises(RunError, match="lies in /proc"):
        engine.containers.start(container)


def test_mounts_made_later_on_the_host_arrive_by_rslave(engine: Engine, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    mount.mount("none", str(shared), "tmpfs")
    mount.mount("", str(shared), "", mount.MS_SHARED)
    (shared / "later").mkdir()
    try:
        container = background(engine, "-v", f"{shared}:/host:rslave")
        mount.mount("none", str(shared / "later"), "tmpfs")
        (shared / "later" / "seen").touch()
        code, out, _ = run(engine.containers.exec(container, ["ls", "/host/later"]))
        assert (code, out) == (0, b"seen\n")
        engine.containers.rm(container, force=True)
        mount.umount2(str(shared / "later"))
    finally:
        mount.umount2(str(shared))


# -- limits --------------------------------------------------------------------------


@pytest.mark.parametrize("recursive", ["enabled", "disabled"])
@pytest.mark.parametrize("propagation", ["rprivate", "rslave"])
def test_what_lies_below_a_bind_is_seen_as_asked_and_read_only_with_it(
    inside: Inside, tmp_path: Path, recursive: str, propagation: str
) -> None:
    below = tmp_path / "below"
    below.mkdir()
    mount.mount("none", str(below), "tmpfs")
    try:
        (below / "deep").touch()
        said = inside(
            "ls /b/below; touch /b/below/x 2>&1 || true; touch /b/y 2>&1 || true",
            "--mount", f"type=bind,source={tmp_path},target=/b,readonly,bind-recursive={recursive},"
            f"bind-propagation={propagation}",
        )  # fmt: skip
    finally:
        mount.umount2(str(below))
    assert said.count("Read-only") == 2
    assert ("deep" in said) == (recursive == "enabled")


def test_no_shared_memory_at_all(inside: Inside) -> None:
    assert inside("ls -d /dev/shm /dev/mqueue 2>/dev/null || true", "--ipc", "none") == (
        "/dev/mqueue"
    )


def test_limits_of_processes_are_set_and_never_stop_a_start(inside: Inside) -> None:
    most = os.sysconf("SC_OPEN_MAX")
    assert inside("ulimit -n; ulimit -Hn", "--ulimit", "nofile=100:200") == "100\n200"
    inside("ulimit -n", "--ulimit", f"nofile={most * 1000}")
    assert inside("ulimit -c", "--ulimit", "core=0") == "0"


def test_exec_has_the_same_limits_and_groups(engine: Engine) -> None:
    container = background(engine, "--ulimit", "nofile=99", "--group-add", "77")
    _, out, _ = run(engine.containers.exec(container, ["sh", "-c", "ulimit -n; id -G"]))
    assert out.split() == [b"99", b"0", b"77"]


def test_a_group_that_the_image_lacks_is_named(engine: Engine) -> None:
    with pytest.raises(RunError, match="group nowhere"):
        background(engine, "--group-add", "nowhere")


def test_shared_memory_oom_score_and_sysctls(inside: Inside) -> None:
    assert "size=2048k" in inside("grep /dev/shm /proc/mounts", "--shm-size", "2m")
    assert inside("cat /proc/self/oom_score_adj", "--oom-score-adj", "300") == "300"
    value = ("--sysctl", "net.core.somaxconn=99", "--sysctl", "kernel.shmmni=77")
    assert inside("cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmni", *value) == "99\n77"


def test_a_sysctl_of_the_host_is_refused(engine: Engine) -> None:
    for name in ("vm.swappiness", "kernel.hostname"):
        with pytest.raises(UsageError, match="would change the host"):
            engine.containers.create(asked(engine, "--sysctl", f"{name}=1", "starter", "true"))


def test_cgroup_limits_are_written(engine: Engine) -> None:
    container = background(
        engine, "-m", "64m", "--memory-reservation", "32m", "--cpu-shares", "512",
        "--cpuset-cpus", "0",
    )  # fmt: skip
    pid = engine.containers.resolve(container).pid
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Cpus_allowed_list:\t0\n" in status
    inspected = engine.containers.inspect(container)["HostConfig"]
    assert (inspected["CpuShares"], inspected["MemoryReservation"]) == (512, 32 << 20)


# -- devices and namespaces ----------------------------------------------------------


def test_a_device_is_there_with_its_rights(inside: Inside) -> None:
    script = "stat -c '%t:%T' /dev/mine; head -c 1 /dev/mine | wc -c"
    assert inside(script, "--device", "/dev/zero:/dev/mine:r") == "1:5\n1"


def test_a_device_that_is_none_is_named(engine: Engine) -> None:
    options = asked(engine, "--device", "/etc/passwd", "starter", "true")
    with pytest.raises(UsageError, match="not a device"):
        engine.containers.create(options)


def test_namespaces_of_another_container_are_joined(engine: Engine, inside: Inside) -> None:
    other = background(engine, "--name", "first")
    run(engine.containers.exec(other, ["sh", "-c", "echo shared > /dev/shm/x"]))
    found = inside("cat /dev/shm/x; ps | grep -c 'sleep 100[0]'", "--ipc", "container:first",
                   "--pid", "container:first")  # fmt: skip
    assert found.split() == ["shared", "1"]
    assert engine.containers.resolve(other).state == "running"


def test_joining_a_container_that_does_not_run_is_a_conflict(engine: Engine) -> None:
    engine.containers.create(asked(engine, "--name", "idle", "starter", "true"))
    with pytest.raises(Conflict, match="idle is not running"):
        background(engine, "--pid", "container:idle")


def test_the_host_s_processes_are_seen_and_all_of_the_container_end(
    engine: Engine, inside: Inside
) -> None:
    assert inside(f"ls -d /proc/{os.getpid()}", "--pid", "host")
    options = asked(engine, "--pid", "host", "starter", "sh", "-c", "sleep 1234 & sleep 1000")
    container = engine.containers.create(options)
    engine.containers.start(container)
    until(lambda: _running("sleep\x001234"))
    engine.containers.kill(container)
    until(lambda: not _running("sleep\x001234"))


def _running(words: str) -> bool:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if words in Path(f"/proc/{name}/cmdline").read_text():
                    return True
            except OSError:
                continue
    return False


def test_the_host_s_name(inside: Inside) -> None:
    assert inside("hostname", "--uts", "host") == os.uname().nodename


def test_an_init_reaps_and_passes_the_code_on(engine: Engine) -> None:
    options = asked(engine, "--init", "starter", "sh", "-c", "cat /proc/1/comm; exit 7")
    code, out, _ = run(engine.containers.run(options))
    assert code == 7
    assert out.strip() in (b"catatonit", b"tini", b"docker-init", b"init")


def test_unmasked_paths(inside: Inside) -> None:
    script = "grep -c ' /proc/' /proc/mounts || true"
    assert inside(script, "--security-opt", "systempaths=unconfined") == "0"
    assert int(inside(script)) > 3


def test_domain_name_and_annotations(engine: Engine, inside: Inside) -> None:
    assert inside("cat /proc/sys/kernel/domainname", "--domainname", "example") == "example"
    container = engine.containers.create(
        asked(engine, "--annotation", "org.example.team=red", "starter", "true")
    )
    found = engine.containers.inspect(container)["HostConfig"]["Annotations"]
    assert found == {"org.example.team": "red"}


def test_swappiness(engine: Engine) -> None:
    container = background(engine, "-m", "32m", "--memory-swappiness", "7")
    folder = Path(f"/sys/fs/cgroup/memory/limpet/{container}")
    if folder.exists():  # it is a file of cgroup v1 alone
        assert (folder / "memory.swappiness").read_text() == "7\n"
