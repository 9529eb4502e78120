"""What a container changed, and which processes it has, as told from outside."""

from __future__ import annotations

import os

import pytest

from core.commands.container.top import OWN, USER, columns_of
from core.containers.files.commit import CommitOptions
from core.engine import Engine
from core.errors import Conflict, UsageError
from tests.containers import options, run, shell, until

TYPE_CHECKING = False


BASE = """
mkdir -p /d/keep /d/gone /redone/old /kind; echo 1 > /d/keep/f; echo 1 > /d/gone/f
echo 1 > /redone/a; echo 1 > /redone/b; echo 1 > /redone/old/x; echo 1 > /kind/file
mkdir /kind/dir /same; echo 1 > /hidden
"""
SECOND = "rm /hidden; echo 2 > /d/keep/g"
CHANGES = """
echo 2 > /d/keep/f; rm -r /d/gone; rm -r /redone; mkdir /redone; echo 2 > /redone/a
mkdir /redone/new; echo 2 > /redone/new/y
rm /kind/file; mkdir /kind/file; echo 2 > /kind/file/in; rmdir /kind/dir; echo 2 > /kind/dir
echo 2 > /hidden; mkdir -p /added/deep; : > '/added/deep/a b'
: > /brief; rm /brief; chmod 700 /same; touch /tmp/x; rm /tmp/x
"""


def test_changes_against_an_image_of_several_layers(engine: Engine) -> None:
    image = "starter"
    for script in (BASE, SECOND):
        run(engine.containers.run(shell(script, name="base").replace(image=image)))
        done = engine.images.commit("base", CommitOptions(tags=("localhost/layered:latest",)))
        done.result()
        engine.containers.rm("base")
        image = "localhost/layered:latest"
    web = engine.containers.create(shell("sleep 1000", name="web").replace(image=image))
    assert engine.files.changes(web) == []
    engine.containers.start(web)
    assert engine.files.changes(web) == []  # what is made to mount on is not the container's doing
    assert run(engine.containers.exec("web", ("sh", "-c", CHANGES)))[0] == 0
    expected = """
        A /added
        A /added/deep
        A /added/deep/a b
        C /d
        D /d/gone
        C /d/keep
        C /d/keep/f
        A /hidden
        C /kind
        C /kind/dir
        C /kind/file
        A /kind/file/in
        C /redone
        C /redone/a
        D /redone/b
        A /redone/new
        A /redone/new/y
        D /redone/old
        C /same
        C /tmp
    """
    wanted = [line.strip() for line in expected.strip().splitlines()]
    for _ in ("running", "stopped"):
        found = [f"{change.kind} {change.path}" for change in engine.files.changes(web)]
        assert found == wanted
        engine.containers.stop(web, 0)


def test_links_in_the_layer_are_not_followed(engine: Engine) -> None:
    run(engine.containers.run(shell("ln -s / /up; rm -r /home; ln -s /proc /home", name="web")))
    found = [f"{change.kind} {change.path}" for change in engine.files.changes("web")]
    assert "A /up" in found
    assert not any("/up/" in line or "/home/" in line for line in found)


def test_processes_have_both_numbers(engine: Engine) -> None:
    web = engine.containers.create(
        shell("echo 'me:x:55:55:::' >> /etc/passwd; sleep 333 & exec sleep 444", name="web")
    )
    engine.containers.start(web)
    session = engine.containers.exec("web", ("sleep", "555"), user="me")
    until(lambda: len(engine.containers.processes("web")[0]) == 3)
    found, passwd = engine.containers.processes("web")
    assert {process.command for process in found} == {"sleep 333", "sleep 444", "sleep 555"}
    first = next(process for process in found if process.inner_pid == 1)
    assert first.pid == engine.containers.resolve("web").pid
    assert first.command == "sleep 444"
    assert first.pid != os.getpid()
    assert next(p for p in found if p.command == "sleep 555").uid == 55
    assert b"me:x:55" in passwd
    session.close()
    engine.containers.pause("web")
    assert first.pid in [process.pid for process in engine.containers.processes("web")[0]]
    engine.containers.unpause("web")
    engine.containers.stop("web", 0)
    with pytest.raises(Conflict):
        engine.containers.processes("web")


def _await_command(engine: Engine, container: str, command: str) -> None:
    until(
        lambda: (
            [process.command for process in engine.containers.processes(container)[0]] == [command]
        )
    )


def test_a_hostile_passwd_names_nobody_of_the_host(engine: Engine) -> None:
    for trick in ("ln -s /proc/1/root/etc/passwd", "mkfifo", "ln -s ../../../../etc/shadow"):
        script = f"rm /etc/passwd; {trick} /etc/passwd; exec sleep 1000"
        web = engine.containers.create(shell(script))
        engine.containers.start(web)
        _await_command(engine, web, "sleep 1000")
        assert engine.containers.processes(web)[1] == b""


def test_a_process_in_a_cgroup_of_its_own_is_found(engine: Engine) -> None:
    script = """
    mount -o remount,rw /sys/fs/cgroup 2>/dev/null
    for c in /sys/fs/cgroup/* /sys/fs/cgroup; do
        mkdir -p $c/inner && echo $$ > $c/inner/cgroup.procs
    done; exec sleep 1000"""
    web = engine.containers.create(shell(script, privileged=True))
    engine.containers.start(web)
    _await_command(engine, web, "sleep 1000")


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("", list(OWN)),
        ("-ef", ["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"]),
        ("au", list(USER)),
        ("aux", list(USER)),
        ("-o pid,user", ["pid", "user"]),
        ("-eo pid,args", ["pid", "args"]),
        ("-opid", ["pid"]),
        ("o pid", ["pid"]),
        ("-o pid=P -o comm", ["pid", "comm"]),
        ("-e", ["pid", "tty", "time", "comm"]),
    ],
)
def test_the_options_of_ps(words: str, columns: list[str]) -> None:
    assert columns_of(tuple(words.split())) == columns


@pytest.mark.parametrize("words", ["-o", "-o nonsense", "-Z", "--forest"])
def test_options_that_are_not_known_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        columns_of(tuple(words.split()))


def test_a_container_without_a_process_has_no_top(engine: Engine) -> None:
    engine.containers.create(options("true", name="cold"))
    with pytest.raises(Conflict):
        engine.containers.processes("cold")
