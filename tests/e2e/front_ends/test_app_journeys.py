"""Journeys through the app inside tmux, with the real engine and a real docker-registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command_line import LIMPET, limpet
from tests.e2e.terminal import TABLES, Tmux
from tests.fixture_images import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = "while true; do date >> /tick; echo tick; sleep 0.2; done"


@pytest.fixture
def registry(tmp_path: Path, isolated: None) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as served:
        yield served


def command(app: Tmux, line: str) -> None:
    app.keys(":")
    app.until(r"^ ›")
    app.type(f"{line}\r")


def back_to_tables(app: Tmux) -> None:
    app.keys("escape")
    app.until(TABLES)


def test_pull_run_shell_logs_stop_rm(env: dict[str, str], registry: Registry) -> None:
    name = f"{registry.host}/team/base:1"
    limpet(env, "tag", "starter", name)
    limpet(env, "push", name)
    limpet(env, "rmi", name, "starter")
    with Tmux([LIMPET], columns=100, rows=30, env=env) as app:
        app.until(r"start here")
        command(app, f"pull {name}")
        app.until(r"2 Images 1")
        command(app, f"run -d --name web --network none {name} sh -c '{TICKS}'")
        app.until(r"● web .*up")
        back_to_tables(app)
        app.keys("e")
        app.until(r"^/ #|^~ #|\$ $")
        app.type("echo made $((6 * 7))\r")
        app.until(r"^made 42")
        app.type("exit\r")
        app.until(r"sh   ended")
        app.keys("l")
        app.until(r"^ *tick$")
        back_to_tables(app)
        app.keys("x")
        app.until(r"web .*exit 137")
        app.keys("d")
        app.until(r"remove 1 container")
        app.keys("y")
        app.until(r"Containers 0")
    assert limpet(env, "ps", "-aq") == ""


def test_browse_open_file_and_compare_with_what_a_container_wrote(env: dict[str, str]) -> None:
    words = "echo changed:x:1 >> /etc/passwd; chmod 600 /etc/group; " + TICKS
    limpet(env, "run", "-d", "--name", "web", "--network", "none", "starter", "sh", "-c", words)
    with Tmux([LIMPET], columns=110, rows=30, env=env) as app:
        app.until(TABLES)
        app.keys("v")
        app.until(r"> +2 .*what web wrote")
        app.until(r" tick$")
        app.type("/passwd\r")
        app.until(r"changed: content")
        app.keys("enter")
        app.until(r"changed:x:1")
        app.keys("escape")
        app.until(r"efficiency")
        app.keys("D")
        app.until(r"^ ?.?\+changed:x:1")
        app.keys("escape")
        app.until(r"efficiency")
        app.type("/group\r")
        app.until(r"changed: mode 0644 → 0600")
        limpet(env, "exec", "web", "touch", "/came-later")
        app.until(r"came-later")  # it is live
        app.keys("q")
        app.until(TABLES)
        command(app, "go compare starter web")
        app.until(r"A \d+ +M \d+")
        app.keys("c")
        app.until(r"no setting differs")


def test_build_fail_debug_shell(env: dict[str, str], tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("FROM starter\nRUN echo left here > /left; cat /nosuch; false\n")
    with Tmux([LIMPET], columns=100, rows=30, env=env) as app:
        app.until(TABLES)
        command(app, f"build --watch -t app:1 {context}")
        app.until(r"failed  1 of 2 steps")
        app.until(r"cat: .*/nosuch.*: No such file")
        app.until(r"build 1, waits for a change")
        app.keys("d")
        app.until(r"^/ #")
        app.type("cat /left\r")
        app.until(r"^left here")
        app.type("exit\r")
        app.until(r"debug   ended")
        back_to_tables(app)
        app.keys("J")
        app.until(r"1 +failed +build app:1")
        app.keys("enter")
        app.until(r"waits for a change")
        dockerfile.write_text("FROM starter\nRUN echo left here > /left\n")
        app.until(r"done  2 of 2 steps.*build 2")
        app.keys("c")
        app.until(r"done  2 of 2 steps, . cached +[\d.]")
    assert limpet(env, "run", "--rm", "--network", "none", "app:1", "cat", "/left") == "left here\n"


def test_registry_browse_look_inside_and_delete(
    env: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    repository = f"{registry.host}/team/app"
    context = tmp_path / "context"
    context.mkdir()
    for tag in ("1", "2"):
        (context / "Dockerfile").write_text(f"FROM starter\nLABEL release={tag}\n")
        limpet(env, "build", "-q", "-t", f"{repository}:{tag}", str(context))
        limpet(env, "push", f"{repository}:{tag}")
        limpet(env, "rmi", f"{repository}:{tag}")
    with Tmux([LIMPET], columns=110, rows=30, env=env) as app:
        app.until(TABLES)
        app.keys("3")
        app.until(rf"{registry.host} +reachable")
        app.keys("enter")
        app.until(r"team/app")
        app.keys("enter")
        app.until(r"^▌ +\d .*linux/amd64 +image")
        app.keys("v")
        app.until(rf"{repository}:\d, in the registry.*efficiency 100")
        app.type("/etc/passwd\r")
        app.until(r"/etc/passwd +file")
        app.keys("enter")
        app.until(r"root:x:0:0")
        app.keys("escape")
        app.until(r"efficiency")
        app.keys("q")
        app.until(r"delete there")
        app.keys("d")
        app.until(r"Deleted:\s+\S+@sha256:")
        app.keys("y")
        app.until(TABLES)
        app.until(r"Deleted: ")
        command(app, f"registry tags {repository} --format '{{{{.Tag}}}} is left'")
        app.until(r"left'\n +\d is left\n *\n")


def test_prune_plan_undo(env: dict[str, str]) -> None:
    limpet(env, "create", "--name", "one", "--network", "none", "starter", "true")
    with Tmux([LIMPET], env=env) as app:
        app.until(r"one +starter")
        app.keys("6")
        app.until(r"P clean up")
        app.keys("P")
        app.until(r"container one")
        app.keys("y")
        app.until(r"Total reclaimed")
        app.until(r"Containers 0")
        app.keys("u")
        app.until(r"Brought back: .*one")
        app.until(r"Containers 1")
    assert limpet(env, "ps", "-a", "--format", "{{.Names}}") == "one\n"


def test_what_is_copied_is_tmuxs_once_that_takes_it(env: dict[str, str]) -> None:
    limpet(env, "create", "--name", "one", "--network", "none", "starter", "true")
    with Tmux([LIMPET], columns=100, env=env) as app:
        app.until(r"one +starter")
        app.keys("y")
        app.until(r"copied 1 line \(tmux passes it on with: set -g set-clipboard on\)")
        app.set("set-clipboard", "on")
        app.keys("y")
        app.until(r"copied 1 line$")
        assert app.copied == "one"
