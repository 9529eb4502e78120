"""The prompt without drawing: scripts on stdin, pipes, words of one's own, spoken tables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.screen import is_screen
from core.commands import load_all
from tests.e2e.terminal import Terminal

ROOT = Path(__file__).parents[3]


def shell(tmp_path: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "home/.config/limpet/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[aliases]\nsay = "!echo $1 $1"\nv = "version"\n')
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{tmp_path}/home",
        "LIMPET_DATA_ROOT": f"{tmp_path}/data",
        "LIMPET_RUN_ROOT": f"{tmp_path}/run",
    }
    return subprocess.run(
        [ROOT / "bin/limpet", *words], input=script, env=env, capture_output=True, text=True
    )


def test_a_script_on_stdin_is_read_line_by_line(tmp_path: Path) -> None:
    script = "say hi\n# a remark\nv | tr a-z A-Z\nrm \\\nnosuch && v ; !exit 4\nsay\n!echo on\n"
    ran = shell(tmp_path, script, "shell")
    assert ran.stdout == "hi hi\nLIMPET 0.1.0\non\n"
    assert "no container 'nosuch'" in ran.stderr
    assert "say needs 1 word behind it" in ran.stderr
    assert ran.returncode == 0
    assert shell(tmp_path, "version\n!exit 4\n", "shell", "--plain").returncode == 4


def test_an_alias_is_a_command_and_a_table_can_be_listened_to(tmp_path: Path) -> None:
    assert shell(tmp_path, "", "v").stdout == "limpet 0.1.0\n"
    assert shell(tmp_path, "ps\n", "shell").stdout == "nothing\n"
    assert "State" in shell(tmp_path, "doctor\n", "shell").stdout
    refused = shell(tmp_path, "!true\nversion | cat\n", "--read-only", "shell")
    assert refused.returncode == 2
    assert refused.stderr.count("starts no programs of this host") == 2
    assert shell(tmp_path, "", "shell", "--nosuch").returncode == 2


def test_the_manual_page_names_every_command_and_formats_cleanly(tmp_path: Path) -> None:
    page = shell(tmp_path, "", "man").stdout
    for verb in load_all().values():
        assert verb.word.replace("-", "\\-") in page
    assert page.isascii()
    for device in ("-Tutf8", "-Tascii") if shutil.which("groff") else ():
        made = subprocess.run(
            ["groff", "-man", device, "-P-c", "-ww"], input=page, capture_output=True, text=True
        )
        assert made.stderr == ""
        assert "S\x08SY\x08Y" in made.stdout


def test_all_help_names_every_command(tmp_path: Path) -> None:
    words = {line.split()[0] for line in shell(tmp_path, "", "help").stdout.splitlines() if line}
    missing = {verb.word.split()[0] for verb in load_all().values()} - words
    assert not missing


def test_what_a_terminal_shows_is_recorded(tmp_path: Path) -> None:
    cast = tmp_path / "a.cast"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    with Terminal([str(ROOT / "bin/limpet"), "--record", str(cast), "version"], env=env) as screen:
        screen.until(r"limpet \d")
        assert screen.wait() == 0
    head, *events = [json.loads(line) for line in cast.read_text().splitlines()]
    assert (head["version"], head["width"], head["height"]) == (2, 80, 24)
    assert "limpet 0" in "".join(data for _, kind, data in events if kind == "o")
    assert cast.stat().st_mode & 0o777 == 0o600
    ran = shell(tmp_path, "", "--record", str(cast), "version")
    assert "only what a terminal shows" in ran.stderr


def test_nothing_is_painted_over_for_those_who_do_not_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, terminal = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("LIMPET_PLAIN", raising=False)
    assert is_screen(terminal)
    monkeypatch.setenv("LIMPET_PLAIN", "1")
    assert not is_screen(terminal)
    monkeypatch.delenv("LIMPET_PLAIN")
    monkeypatch.setenv("TERM", "dumb")
    assert not is_screen(terminal)
    os.close(master)
    os.close(terminal)


def test_a_recording_ends_with_the_persons_terminal(tmp_path: Path) -> None:
    program = """
import os, pty, sys
from cli.record import Cast, _pass_on
master, slave = pty.openpty()
with open(sys.argv[1], "w") as file:
    _pass_on(master, Cast(file, os.terminal_size((80, 24))))
"""
    argv = [sys.executable, "-c", program, str(tmp_path / "cast")]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, timeout=30)
