"""The completion that a shell does with what `limpet completion` prints, typed into real shells."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pexpect
import pytest

from core.paths import Paths
from tests.e2e.command_line import environment, limpet

BIN = Path(__file__).parents[3] / "bin"
SHELLS = {
    "bash": (["--norc", "--noprofile"], 'eval "$(limpet completion bash)"'),
    "zsh": (["-f"], 'autoload -U compinit; compinit -D; eval "$(limpet completion zsh)"'),
    "fish": (["--no-config"], "limpet completion fish | source"),
}
COMPLETED = {
    "limpet sto": "limpet stop",  # history has these letters, too
    "limpet container insp": "limpet container inspect",
    "limpet run --network=ho": "limpet run --network=host",
    "limpet run somewhere.example:5000/te": "limpet run somewhere.example:5000/team/app:1",
    "limpet run --rm --cidf": "limpet run --rm --cidfile",
}
"""What is typed before tab, and what stands there after it."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell: str, tmp_path: Path) -> None:
    env = environment(Paths(str(tmp_path / "data"), str(tmp_path / "run")), tmp_path)
    env["PATH"] = f"{BIN}:{env['PATH']}"
    limpet(env, "image", "starter")
    limpet(env, "tag", "starter", "somewhere.example:5000/team/app:1")
    options, setup = SHELLS[shell]
    child = pexpect.spawn(shell, options, env=env, encoding="utf-8", dimensions=(40, 160))
    try:
        child.sendline(f"{setup}; echo set-''up")
        child.expect("set-up", timeout=60)
        for typed, completed in COMPLETED.items():
            child.send(typed)
            child.expect(re.escape(typed[-4:]), timeout=40)
            child.send("\t")
            _until_shown(child, completed)
            child.send("\x15")  # a key, in its turn: fish may be without ears for ctrl-c
    finally:
        child.close(force=True)


def _until_shown(child: pexpect.spawn[str], completed: str) -> None:
    """Wait until the line is there; shells repaint only what they must, so ask for all of it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        child.send("\x0c")  # paints the line anew
        try:
            child.expect(re.escape(completed), timeout=1)
        except pexpect.TIMEOUT:
            continue
        return
    raise AssertionError(f"{completed!r} was not shown: {child.before!r}")
