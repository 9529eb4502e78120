"""The main job, as a person does it: at the app, and with one-shot commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from core.paths import Paths
from tests.containers import until
from tests.e2e.command_line import LIMPET, environment, limpet
from tests.e2e.terminal import TABLES, Terminal
from tests.fixture_images import Registry, debian_rootfs, write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BRIDGE = "lptest1"


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "config.toml"
    config.write_text(f'[network]\nbridge = "{BRIDGE}"\nsubnet = "10.213.0.0/24"\n')
    return {**environment(paths, tmp_path), "LIMPET_CONFIG": str(config)}


@pytest.fixture
def debian(tmp_path: Path, isolated: None) -> Iterator[str]:
    """The name of a Debian that skopeo pushed into a real registry."""
    layout = write_oci_layout(tmp_path / "layout", [debian_rootfs()], {"Cmd": ["bash"]})
    with Registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/debian:12"
        subprocess.run(
            [
                "skopeo",
                "copy",
                "--dest-tls-verify=false",
                f"oci:{layout}:latest",
                f"docker://{name}",
            ],
            check=True,
            capture_output=True,
        )
        yield name


def test_pull_run_type_leave_and_look_inside(env: dict[str, str], debian: str) -> None:
    with Terminal([LIMPET], columns=160, rows=50, env=env) as terminal:
        terminal.until(TABLES)
        terminal.type(f"p{debian}\r")  # in one go: nothing typed ahead is lost
        terminal.until(r"2 Images 1", 60)
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.type(f":run -it --name deb {debian}\r")
        terminal.until(r"root@[0-9a-f]{12}:/#", 30)
        terminal.type("echo $((6*7)) > /answer; cat /answer /etc/debian_version\r")
        terminal.until(r"^42")
        terminal.keys("ctrl-p", "ctrl-q")
        terminal.until(r"● deb .*up", 30)
        terminal.until(r"left running")
        # Another limpet on the host acts; this one sees it.
        assert limpet(env, "exec", "deb", "cat", "/answer") == "42\n"
        limpet(env, "stop", "-t", "0", "deb")
        terminal.until(r"deb .*exit 137")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("2")
        terminal.until(r"v layers|enter layers")
        terminal.keys("v")
        terminal.until(r"1 layer .*efficiency 100")
        terminal.keys("/")
        terminal.until(r"^ /$")
        terminal.type("etc/passwd\r")
        terminal.until(r" passwd\b")
        terminal.keys("escape")
        terminal.until(TABLES)
        terminal.keys("q")
        assert terminal.wait() == 0
    limpet(env, "rm", "deb")
    limpet(env, "rmi", debian)
    assert os.listdir(env["LIMPET_DATA_ROOT"] + "/containers") == []


def test_a_newcomer_has_a_container_in_one_key(env: dict[str, str]) -> None:
    with Terminal([LIMPET], env=env) as terminal:
        terminal.until(r"S start here")
        terminal.keys("S")
        terminal.until(r"● first", 30)
        terminal.keys("q")
        assert terminal.wait() == 0
    assert limpet(env, "ps", "-q").strip()
    assert "first" in limpet(env, "ps", "--format", "{{.Names}}")
    limpet(env, "rm", "-f", "first")


def served(url: str) -> bytes:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())
    return b""


def test_commands_one_by_one(env: dict[str, str]) -> None:
    limpet(env, "image", "starter")
    assert limpet(env, "run", "--rm", "starter", "echo", "hello") == "hello\n"
    assert limpet(env, "run", "--rm", "-i", "starter", "cat", text="typed\n") == "typed\n"
    limpet(env, "run", "--rm", "starter", "sh", "-c", "exit 9", code=9)
    assert "not found" in limpet(env, "run", "--rm", "starter", "nosuch", code=127)
    limpet(env, "run", "--rm", "starter", "/etc/passwd", code=126)
    page = "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w"
    limpet(env, "run", "-d", "--name", "web", "-p", "127.0.0.1:18088:80", "-m", "64m",
           "--pids-limit", "20", "starter", "sh", "-c", page)  # fmt: skip
    until(lambda: served("http://127.0.0.1:18088/") == b"page\n", 20)
    assert limpet(env, "exec", "web", "hostname") == limpet(
        env, "inspect", "-f", "{{.Config.Hostname}}", "web"
    )
    assert "127.0.0.1:18088->80/tcp" in limpet(env, "ps")
    assert "web" in limpet(env, "run", "--name", "web", "starter", "true", code=4)
    assert "18088" in limpet(
        env, "run", "--rm", "-p", "127.0.0.1:18088:80", "starter", "true", code=4
    )
    assert "running" in limpet(env, "rm", "web", code=4)
    assert "used by container web" in limpet(env, "rmi", "starter", code=4)
    limpet(env, "restart", "-t", "0", "web")
    limpet(env, "kill", "web")
    assert limpet(env, "wait", "web").strip() == "137"
    limpet(env, "start", "web")
    limpet(env, "rm", "-f", "web")
    limpet(env, "tag", "starter", "mine:1")
    assert "mine" in limpet(env, "images", "--format", "{{.Repository}}")
    limpet(env, "rmi", "mine:1")
    limpet(env, "rmi", "starter")
    assert limpet(env, "images", "-q") == ""


def test_what_is_missing_is_named_with_the_next_command(env: dict[str, str]) -> None:
    assert "pull nothing" in limpet(env, "history", "nothing", code=3)
    assert "ps -a" in limpet(env, "logs", "nobody", code=3)
    refused = limpet(env, "pull", "127.0.0.1:1/x", code=1)
    assert "127.0.0.1:1" in refused
    assert "refused" in refused


def test_the_line_mode_shell(env: dict[str, str]) -> None:
    with Terminal([LIMPET, "shell"], env=env) as terminal:
        terminal.until(r"limpet>")
        terminal.type("image starter\r")
        terminal.until(r"localhost/starter:latest", 30)
        terminal.type("run --rm starter echo it-works\r")
        terminal.until(r"^it-works", 30)
        terminal.type("ps --nonsense\r")
        terminal.until(r"has no option --nonsense")
        terminal.type("exit\r")
        assert terminal.wait() == 0


def test_the_network_is_inspected_and_taken_away_when_nobody_uses_it(env: dict[str, str]) -> None:
    limpet(env, "image", "starter")
    limpet(env, "run", "-d", "--name", "web", "starter", "sleep", "100")
    device = json.loads(limpet(env, "network", "inspect"))[0]
    (attached,) = device["Containers"].values()
    assert (attached["Name"], attached["IPv4Address"]) == ("web", "10.213.0.2/24")
    assert (device["Device"]["up"], device["Device"]["addresses"]) == (True, ["10.213.0.1/24"])
    assert len(device["Device"]["members"]) == 1
    assert "no network is unused" in limpet(env, "network", "prune", "-f")
    # As long as a container runs, it does not go by itself.
    limpet(env, "run", "-d", "--name", "alone", "--network", "none", "starter", "sleep", "100")
    limpet(env, "rm", "-f", "web")
    assert "--yes" in limpet(env, "network", "prune", code=2)
    assert f"table {BRIDGE}" in limpet(env, "network", "prune", "-f")
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert BRIDGE not in listed.stdout
    found = limpet(env, "network", "inspect", "-f", "{{.Device.exists}}")
    assert found == "false\n"
    limpet(env, "rm", "-f", "alone")


def test_the_doctor_finds_this_host_fit(env: dict[str, str]) -> None:
    table = limpet(env, "doctor", "--format", "{{.Check}} {{.State}}").splitlines()
    for check in ("privileges", "overlay", "storage", "cgroups", "seccomp", "python-prctl"):
        assert f"{check} ok" in table


def test_output_that_cannot_be_written_is_an_error_not_a_crash(env: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [LIMPET, "--help"], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "limpet: the answer cannot be written: No space left on device\n"


def test_only_the_streams_that_were_asked_for(env: dict[str, str]) -> None:
    limpet(env, "image", "starter")
    words = ("--rm", "--network", "none", "starter", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert limpet(env, "run", "-a", "stderr", *words, code=3) == "err\n"
    assert limpet(env, "run", "-a", "stdout", *words, code=3) == ""
