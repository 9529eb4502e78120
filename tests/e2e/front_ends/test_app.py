"""The app on a real terminal with real containers: its terminals, its journeys, its size."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from core.paths import Paths
from tests.e2e.command_line import LIMPET, environment, limpet
from tests.e2e.terminal import TABLES, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = (
    'i=0; while true; do i=$((i+1)); echo "{\\"level\\":\\"info\\",\\"n\\":$i}"; sleep 0.2; done'
)


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> Iterator[dict[str, str]]:
    env = {**environment(paths, tmp_path), "SHELL": "/bin/sh", "PS1": "host$ "}
    yield env
    names = limpet(env, "ps", "-aq").split()
    if names:
        limpet(env, "rm", "-f", *names)


def test_what_reads_stdin_takes_no_keys(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys(":")
        terminal.type("image receive\r")
        terminal.until("do not come from a terminal")
        terminal.type("login -u me 127.0.0.1:1 --password-stdin\r")
        terminal.until("Password:")
        terminal.type("s3cret\r")
        terminal.until("127.0.0.1:1.*refused")
        assert b"s3cret" not in terminal.output
        terminal.type("version | tr a-z A-Z\r")
        terminal.until(r"LIMPET \d")


@pytest.mark.parametrize(
    "term",
    ["linux", "screen", "screen-256color", "tmux-256color", "xterm", "xterm-256color", "vt100"],
)
def test_every_terminal_shows_and_answers(term: str, env: dict[str, str]) -> None:
    env["TERM"] = term
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys(":")
        terminal.type("version | tr a-z A-Z\r")
        terminal.until(r"LIMPET \d")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("?")
        terminal.until(r"keys on a container(.*\n)+.*esc back$")  # the whole frame has come
        terminal.keys("escape")
        terminal.until(TABLES)
        if term in ("linux", "vt100"):
            assert terminal.text.isascii()
            assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25]", terminal.output)
        terminal.keys("q")
        assert terminal.wait() == 0


def test_a_terminal_without_a_screen_has_the_prompt(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env={**env, "TERM": "dumb"}) as terminal:
        terminal.type("version\n")
        terminal.until(r"limpet 0\.")
        assert b"\x1b" not in terminal.output
        terminal.keys("ctrl-d")
        assert terminal.wait() == 0


def test_the_app_goes_on_after_what_is_no_text(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys(":")
        for noise in (b"caf\xe9 ", b"\xff\xfe", b"\x1b[1114112u", b"\x1b[55296u"):
            terminal.send(noise)
        terminal.until(r"caf\ufffd")
        terminal.keys("ctrl-u")
        terminal.type("version | tr a-z A-Z\r")
        terminal.until(r"LIMPET \d")


def test_an_editor_has_the_keys_that_are_signals(env: dict[str, str], tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\ntrap '' INT QUIT\nkill -INT 0\nkill -QUIT 0\necho version > $1\n")
    editor.chmod(0o755)
    with Terminal([LIMPET], env={**env, "EDITOR": f"exec {editor}"}) as terminal:
        terminal.until(TABLES)
        terminal.keys(":")
        terminal.send(b"\x1bOS")  # f4
        terminal.until(r"› +version$")
        terminal.keys("f5")
        terminal.until(r"limpet 0\.")


def test_an_app_stays_when_limpet_is_replaced_under_it(env: dict[str, str], tmp_path: Path) -> None:
    checkout = Path(LIMPET).parent.parent
    for name in ("bin", "core", "cli", "tui"):
        shutil.copytree(checkout / name, tmp_path / "limpet" / name)
    (tmp_path / "limpet/.venv").symlink_to(checkout / ".venv")
    with Terminal([str(tmp_path / "limpet/bin/limpet")], env=env) as terminal:
        terminal.until(TABLES)
        terminal.settle(5)  # what it loads ahead
        (tmp_path / "limpet/tui").rename(tmp_path / "tui before")
        for source in (tmp_path / "limpet/core").rglob("*.py"):
            source.write_text("another release\n")
        replaced = "limpet was replaced while this app runs"
        terminal.keys("?")  # a screen
        terminal.until(f"{replaced}: open it anew")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.type(":image check nothing\r")  # a command
        terminal.until(f"{replaced}\\n.*open it anew")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("words", ["", "--sig-proxy=false "])
def test_what_hears_no_signal_can_be_left(words: str, env: dict[str, str]) -> None:
    """A container without a terminal takes ctrl-p ctrl-q for its own."""
    limpet(env, "image", "starter")
    limpet(env, "run", "-d", "--name", "deaf", "--network", "none", "starter", "sleep", "1000")
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(r"deaf +starter +up")
        terminal.type(f":attach {words}deaf\r")
        terminal.until(r"limpet: attach deaf")
        terminal.settle(0.3)
        if not words:
            terminal.keys("ctrl-c")
            terminal.settle(0.3)
            terminal.keys("ctrl-c")
            terminal.until(r"ctrl-c once more leaves it running")
        terminal.keys("ctrl-c")
        terminal.until(r"ended with 130" if words else r"left running")
        terminal.keys("escape")
        terminal.until(r"deaf +starter +up")


def test_the_app_ends_with_its_terminal_though_nobody_says_so(env: dict[str, str]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execve(LIMPET, [LIMPET], env)
    seen = b""
    while b"\x1b[?1049h" not in seen or select.select([terminal], [], [], 3)[0]:
        seen += os.read(terminal, 1 << 16)
    os.close(terminal)
    deadline = time.monotonic() + 40
    ended = 0
    while not ended and time.monotonic() < deadline:
        ended, _ = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended == pid


def test_a_line_that_drops_takes_no_bookmark_along(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.type(":volumes\r")
        terminal.until(r"no volumes")
        terminal.send(b"\x1bm")
        terminal.until("bookmark kept: volumes")
        os.kill(terminal.pid, signal.SIGHUP)
        assert terminal.wait() == 128 + signal.SIGHUP
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys("'")
        terminal.until(r"volumes +\*")


def test_ctrl_c_while_the_app_is_being_left_is_too_late(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys("q")
        with suppress(AssertionError):
            while True:
                terminal.keys("ctrl-c")
                terminal.settle(0.002)
        assert terminal.wait() == 0
        assert b"Traceback" not in terminal.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_app_from_elsewhere_leaves_the_terminal_as_it_was(
    number: int, env: dict[str, str]
) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys("?")
        terminal.until(r"esc back$")
        os.kill(terminal.pid, number)
        assert terminal.wait() == 128 + number
        assert b"\x1b[?1049l" in terminal.output
        assert b"Traceback" not in terminal.output


def test_a_storm_of_sizes_leaves_a_whole_picture(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        for _ in range(20):  # its end is missed by luck only
            for number in range(40):
                terminal.resize(60 + number * 37 % 140, 18 + number * 11 % 40)
            terminal.resize(100, 30)
            terminal.until(r"\A limpet .*(?:.*\n){29}.*\? help")
        terminal.keys("q")
        assert terminal.wait() == 0


def filter_by(terminal: Terminal, word: str) -> None:
    terminal.keys("/")
    terminal.until(r"esc shows all")
    terminal.type(word)
    terminal.until(f" /{word} ")
    terminal.keys("enter")
    terminal.until(TABLES)


def test_make_watch_look_inside_and_remove(env: dict[str, str]) -> None:
    with Terminal([LIMPET], columns=160, rows=50, env=env) as terminal:
        terminal.until(r"start here")
        terminal.type(":image starter\r")
        terminal.until(r"2 Images 1", 30)
        terminal.type("run -d --name first --network none starter sleep 1000\r")
        terminal.until(r"first +starter +up")
        terminal.type(f"run -d --name web --network none starter sh -c '{SCRIPT}'\r")
        terminal.until(r"web +starter +up")
        terminal.type("ps -a | grep -c starter\r")
        terminal.until(r"grep -c starter\n +2")
        terminal.keys("escape")
        terminal.until(TABLES)
        filter_by(terminal, "web")
        terminal.keys("l", "J")
        terminal.until(r"INFO +n=\d")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("escape")
        terminal.until_gone(r" /web ")
        terminal.keys("*", "l")
        terminal.until(r"first, web|web, first")
        terminal.until(r"^ +web +\{.level")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("escape")
        terminal.until_gone(r"2 marked")
        terminal.keys("2", "enter")
        terminal.until(r"layer 1")
        terminal.type("/passwd\r")
        terminal.until(r"etc/passwd|mkpasswd")
        terminal.keys("n", "enter")
        terminal.until(r"as in layer 1")
        terminal.keys("escape")
        terminal.until(r"efficiency")
        terminal.keys("escape")
        terminal.until(r"R run")
        terminal.keys("1")
        filter_by(terminal, "web")
        terminal.keys("x")
        terminal.until(r"web +starter +exit 137")
        terminal.keys("d")
        terminal.until(r"remove 1 container")
        terminal.keys("y")
        terminal.until(r"nothing matches the filter")
        terminal.keys("escape")
        terminal.until(r"first +starter")
        terminal.keys("q")
        assert terminal.wait() == 0
    assert limpet(env, "ps", "-aq", "--no-trunc").count("\n") == 1


def test_a_host_shell_is_left_again(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys("!", "enter")
        terminal.until(r"^host\$ ")
        terminal.type("echo $((6 * 7)) is it\r")
        terminal.until(r"42 is it")
        terminal.keys("ctrl-c")  # the shell's, not limpet's
        terminal.until(r"\^C\n *host\$")  # the terminal forgets what is typed before that
        terminal.type("exit\r")
        terminal.until(r"ended")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("q")
        assert terminal.wait() == 0


def test_ctrl_z_stops_it_until_the_shell_says_fg(env: dict[str, str]) -> None:
    with Terminal(["bash", "--norc", "--noprofile"], env={**env, "PS1": "host> "}) as terminal:
        terminal.until(r"^host>")
        terminal.type(f"{LIMPET}\r")
        terminal.until(TABLES)
        terminal.keys("6")
        terminal.until(r"P clean up")
        terminal.keys("ctrl-z")
        terminal.until(r"Stopped .*\n *host>")
        terminal.type("stty -a | grep -owE 'icrnl|icanon|echo' | xargs; jobs\r")
        terminal.until(r"^ *icrnl icanon echo")
        terminal.resize(90, 30)
        terminal.type("fg\r")
        terminal.until(r"P clean up")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("q")
        terminal.until(r"^ *host>")
        terminal.type("exit\r")
        assert terminal.wait() == 0


def test_without_a_shell_ctrl_z_stops_nothing(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(TABLES)
        terminal.keys("ctrl-z")
        terminal.until(r"no shell to go back to")
        terminal.keys("q")
        assert terminal.wait() == 0


def test_what_was_pruned_comes_back(env: dict[str, str]) -> None:
    limpet(env, "image", "starter")
    for name in ("one", "two"):
        limpet(env, "create", "--name", name, "--network", "none", "starter", "true")
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(r"two +starter")
        terminal.keys("6", "P")
        terminal.until(r"container one")
        terminal.until(r"container two")
        terminal.keys("n")
        terminal.until(r"not done")
        terminal.until_gone(r"container two")
        terminal.type(":container prune\r")
        terminal.until(r"container two")
        terminal.keys("y")
        terminal.until(r"Containers 0")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("u")
        terminal.until(r"Brought back: .*one|Brought back: .*two")
        terminal.until(r"Containers 2")
        terminal.keys("q")
        assert terminal.wait() == 0
    assert sorted(limpet(env, "ps", "-a", "--format", "{{.Names}}").split()) == ["one", "two"]


def test_a_shell_in_a_pane_and_a_recipe(env: dict[str, str]) -> None:
    """Several lines at once, a menu, two terminals beside the tables, vi in one of them."""
    limpet(env, "image", "starter")
    with Terminal([LIMPET], columns=100, rows=40, env=env) as terminal:
        terminal.until(TABLES)
        terminal.type(":# two of them")
        terminal.keys("ctrl-j")
        terminal.until(r"ctrl-j or f5 runs")
        for name in ("one", "two"):
            terminal.type(f"run -d --name {name} --network none starter sleep 1000\r")
            terminal.until(f"name {name} --network")
        terminal.keys("f5")
        terminal.until(r"Containers 2")
        terminal.until(r"one +starter +up")
        terminal.until(r"two +starter +up")
        terminal.keys("escape")
        terminal.until(r"enter details")
        terminal.keys("m")
        terminal.until(r"Freeze all processes")
        terminal.type("paus\r")
        terminal.until(r"paused")
        terminal.keys("P")
        terminal.until_gone(r"one +starter +paused")
        terminal.keys("t")
        terminal.until(r"^ 1 exec one")
        terminal.type("echo $((6 * 7)) is it\r")
        terminal.until(r"42 is it")
        terminal.type("vi /etc/group\r")
        terminal.until(r"/etc/group")
        terminal.resize(80, 30)
        terminal.until(r"^~ *$")
        terminal.type(":q!\r")
        terminal.until_gone(r"^~ *$")
        terminal.keys("ctrl-]")
        terminal.until(r"enter details")
        terminal.keys("k", "t")
        terminal.until(r"2 exec two")
        terminal.type("exit\r")
        terminal.until_gone(r"2 exec two")
        terminal.keys("ctrl-p", "ctrl-q")
        terminal.until(r"left running")
        terminal.until(r"enter details")
        terminal.keys("q")
        assert terminal.wait() == 0
