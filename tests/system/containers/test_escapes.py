"""Known ways out of a container, tried by a hostile one; none may work.

Root inside, docker's default capabilities, and an image and a writable layer full of traps.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.options.create_options import container_options
from core.engine import Engine
from core.errors import RunError
from tests.containers import options, run, shell, until

TYPE_CHECKING = False

PYTHON = Path(os.path.realpath(sys.executable))


def upper(engine: Engine, container: str) -> Path:
    return Path(engine.paths.container(container)) / "upper"


def hostile(engine: Engine, script: str = "exec sleep 1000", **changes: object) -> str:
    """Start a container that sets its traps first and says so."""
    container = engine.containers.create(shell(f"{script}", **changes))
    engine.containers.start(container)
    return container


def inside(engine: Engine, script: str, **changes: object) -> str:
    _, out, err = run(engine.containers.run(shell(script, **changes)))
    return (out + err).decode()


def executed(engine: Engine, container: str, *argv: str, **changes: object) -> tuple[int, str]:
    try:
        code, out, err = run(engine.containers.exec(container, argv, **changes))  # type: ignore[arg-type]
    except RunError as error:
        return error.exit_code, str(error)
    return code, (out + err).decode()


def test_the_interpreter_is_never_open_for_writing(engine: Engine) -> None:
    """CVE-2019-5736: whoever enters is watched, and its program's file overwritten."""
    before = hashlib.sha256(PYTHON.read_bytes()).digest()
    container = hostile(
        engine,
        # What is open for reading can be opened for writing later, when it runs no more.
        "touch /ready; while true; do for p in /proc/[0-9]*; do case $(readlink $p/exe) in "
        "*python*) echo seen >> /seen; (exec 3<$p/exe) && echo $p >> /open;; esac; "
        "done; done 2>/dev/null",
    )
    until(lambda: (upper(engine, container) / "ready").exists())
    for _ in range(15):
        assert executed(engine, container, "true")[0] == 0
    assert not (upper(engine, container) / "open").exists()
    assert hashlib.sha256(PYTHON.read_bytes()).digest() == before


@pytest.mark.parametrize("program", ["/proc/self/exe", "/proc/1/exe", "/proc/self/fd/3"])
def test_a_program_replaced_by_a_way_to_ours_is_not_run(engine: Engine, program: str) -> None:
    """The image's or the running container's program is a link to the process that starts it."""
    container = engine.containers.create(options("/bin/trap"))
    (upper(engine, container) / "bin").mkdir(exist_ok=True)
    (upper(engine, container) / "bin/trap").symlink_to(program)
    with pytest.raises(RunError):
        engine.containers.start(container)
    running = hostile(
        engine,
        f"ln -s {program} /bin/trap; printf '#!{program}\\n' > /bin/script; chmod 755 /bin/script;"
        "touch /ready; exec sleep 1000",
    )
    until(lambda: (upper(engine, running) / "ready").exists())
    for name in ("/bin/trap", "/bin/script"):
        code, said = executed(engine, running, name, "-c", "print('python')")
        assert "python" not in said.replace("python3", "")
        assert code in (126, 127) or (program == "/proc/1/exe" and "python" not in said)


@pytest.mark.parametrize("number", range(8))
def test_a_working_directory_does_not_reach_the_host(engine: Engine, number: int) -> None:
    """CVE-2024-21626: a descriptor that leaked leads to the host's file system."""
    trap = f"/proc/self/fd/{number}"
    container = engine.containers.create(shell("ls -a ../../../..", workdir=trap))
    try:
        engine.containers.start(container)
        engine.containers.wait(container)
    except RunError:
        pass
    else:
        said = b"".join(text for _, text in engine.containers.logs(container)).decode()
        assert "boot" not in said.split()
    if number == 0:
        running = hostile(engine, "ln -s /proc/self/fd/0 /trap; touch /ready; exec sleep 1000")
        until(lambda: (upper(engine, running) / "ready").exists())
        for path in ("/trap", *(f"/proc/self/fd/{fd}" for fd in range(8))):
            _, said = executed(engine, running, "sh", "-c", "ls -a ../../../..", workdir=path)
            assert "boot" not in said.split()


def test_masks_do_not_depend_on_the_container_s_devices(engine: Engine) -> None:
    """CVE-2025-31133 and -52565: /dev, its null or its console lead somewhere else."""
    container = engine.containers.create(
        shell("stat -c '%F %t:%T' /proc/interrupts; cat /proc/interrupts | wc -c", tty=True)
    )
    traps = upper(engine, container)
    (traps / "elsewhere").mkdir()
    (traps / "dev").rmdir() if (traps / "dev").exists() else None
    (traps / "dev").symlink_to("/elsewhere")
    for name in ("null", "console", "ptmx"):
        (traps / "elsewhere" / name).symlink_to("/proc/sys/kernel/core_pattern")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    engine.containers.start(container)
    engine.containers.wait(container)
    said = b"".join(text for _, text in engine.containers.logs(container)).decode()
    assert said.split("\r\n") == ["character special file 1:3", "0", ""]
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_the_host_s_kernel_is_not_configured_from_inside(engine: Engine) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    said = inside(
        engine,
        "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity"
        " /sys/kernel/uevent_helper $(ls /sys/fs/cgroup/*/release_agent 2>/dev/null); do"
        " (echo '|/evil' > $f) 2>/dev/null && echo wrote $f; done;"
        "mkdir /m; mount -t proc proc /m && echo mounted proc;"
        "mount -t cgroup -o memory none /m && echo mounted cgroup;"
        "mount -t sysfs none /m && echo mounted sysfs;"
        "mount -o remount,rw /sys && echo remounted;"
        "umount /proc/kcore && echo unmasked; mount --bind /etc /m && echo bound;"
        "unshare -Ur true && echo user namespace; unshare -m true && echo mount namespace;"
        "chroot /proc/1/root true && ls /proc/1/root/../boot; nsenter -t 1 -m true && echo entered",
    )
    for word in ("wrote", "mounted", "remounted", "unmasked", "bound", "namespace\n", "entered"):
        assert word not in said, said
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_the_host_s_disk_has_no_way_in(engine: Engine) -> None:
    disk = os.stat("/").st_dev
    major, minor = os.major(disk), os.minor(disk)
    said = inside(
        engine,
        f"mknod /d b {major} {minor} && dd if=/d of=/dev/null bs=512 count=1 && echo read;"
        "mknod /k c 1 1 && dd if=/k of=/dev/null bs=1 count=1 && echo memory;"
        "dd if=/proc/kcore of=/dev/null bs=1 count=1 2>&1 | grep '1+0 records in'",
    )
    for word in ("read\n", "memory\n", "1+0"):
        assert word not in said, said


def test_files_that_never_end_do_not_hold_up_who_enters(engine: Engine) -> None:
    """The names of users are read from files of the container's; they may be anything."""
    container = hostile(
        engine,
        "rm -f /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group;"
        "touch /ready; exec sleep 1000",
    )
    until(lambda: (upper(engine, container) / "ready").exists())
    assert executed(engine, container, "echo", "entered", user="0:0") == (0, "entered\n")


def test_nothing_is_mounted_on_the_host_while_it_runs(engine: Engine) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    hostile(engine)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_fork_bomb_of_descriptors_and_links_is_removed(engine: Engine) -> None:
    """What it wrote is taken away without following it anywhere."""
    container = hostile(
        engine,
        "mkdir -p /a; cd /a; for i in $(seq 300); do mkdir d; cd d; done; ln -s / up; ln -s /etc e;"
        "touch /ready; exec sleep 1000",
    )
    until(lambda: (upper(engine, container) / "ready").exists())
    engine.containers.rm(container, force=True)
    assert Path("/etc/passwd").exists()
    assert not Path(engine.paths.container(container)).exists()


SWAP = "cd /v; mkdir -p real/sub; while :; do ln -sfn {0} trap; ln -sfn real trap; done"


def test_mounts_below_a_shared_volume_follow_no_link_that_another_swaps(engine: Engine) -> None:
    """CVE-2021-30465 and -2025-52881: two containers share a volume, one swaps a mount's place."""
    engine.containers.start(create(engine, SWAP.format("/proc/self"), "-v", "shared:/v"))
    started = 0
    for _ in range(8):
        script = "grep -c -E ' /(proc/[^ ]+|sys/[^ ]+|dev/[^ ]+) .* (ext4|xfs|overlay) ' \
                  /proc/self/mountinfo; test -e /proc/self/attr/current && echo own"
        container = create(engine, script, "-v", "shared:/v", "-v", "other:/v/trap/attr")
        try:
            engine.containers.start(container)
        except RunError:
            continue  # the link was there at that moment, and was refused
        engine.containers.wait(container)
        said = b"".join(text for _, text in engine.containers.logs(container)).decode()
        assert said == "0\nown\n"
        started += 1
    assert started


def test_a_volume_s_part_that_is_swapped_meanwhile_shows_nothing_of_the_host(
    engine: Engine,
) -> None:
    """CVE-2023-27561's like: the part of a volume is a link for a moment."""
    host = Path(engine.paths.containers)
    engine.containers.start(create(engine, SWAP.format(host), "-v", "shared:/v"))
    part = "source=shared,target=/p,volume-subpath=trap"
    for _ in range(8):
        container = create(engine, "ls /p", "--mount", part)
        try:
            engine.containers.start(container)
        except RunError:
            continue
        engine.containers.wait(container)
        said = b"".join(text for _, text in engine.containers.logs(container)).decode()
        assert said.split() in (["sub"], ["attr", "sub"])


def test_who_enters_does_not_trust_the_container_s_proc(engine: Engine) -> None:
    """A container that may mount puts a /proc of its own in place of the kernel's."""
    container = create(
        engine,
        "mkdir -p /fake/self/fd /fake/self/ns /fake/self/attr /fake/sys/kernel; "
        "for f in 0 1 2 3 4 5 6 7 8 9; do ln -s /stolen /fake/self/fd/$f; done; "
        "ln -s /stolen /fake/self/exe; ln -s /stolen /fake/self/attr/exec; "
        "ln -s / /fake/self/root; mount --bind /fake /proc && touch /ready; exec sleep 1000",
        "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--name", "liar",
    )  # fmt: skip
    engine.containers.start(container)
    until(lambda: (upper(engine, container) / "ready").exists())
    assert executed(engine, container, "ls", "/proc") == (0, "self\nsys\n")
    assert executed(engine, container, "id", "-u", user="1000:1000") == (0, "1000\n")
    assert executed(engine, container, "umount", "/proc")[0] == 0
    assert not (upper(engine, container) / "stolen").exists()
    (status,) = executed(engine, container, "grep", "CapBnd", "/proc/self/status")[1].splitlines()
    assert int(status.split()[1], 16) == 0xA82425FB  # docker's, and SYS_ADMIN


def create(engine: Engine, script: str, *words: str) -> str:
    verb, rest = find(["run", "--network", "none", *words, "starter", "sh", "-c", script])
    return engine.containers.create(container_options(engine, parse(verb, rest)))  # type: ignore[arg-type]
