"""The network of one container: what its monitor ends."""

from __future__ import annotations

import os
import subprocess

from core.containers import state
from core.containers.supervision.deputy import Principal
from core.containers.supervision.wiring import Wiring


class Parent(Principal):
    """A monitor whose children are this process's."""

    def __init__(self) -> None:
        self.reaped: list[int] = []

    def wait(self, pid: int) -> int:
        self.reaped.append(pid)
        return os.waitpid(pid, 0)[1]


def test_only_the_pasta_that_was_started_is_ended() -> None:
    """Its number may be another process's by now: it had ended, and was reaped."""
    other = subprocess.Popen(["sleep", "100"])
    try:
        parent = Parent()
        wiring = Wiring(None, parent)
        ticks = state.start_ticks(other.pid)
        wiring.go_on((other.pid, ticks - 1), False, False)
        wiring.end_pasta()
        assert other.poll() is None
        wiring.go_on((other.pid, ticks), False, False)
        wiring.end_pasta()
        assert parent.reaped == [other.pid]
    finally:
        other.kill()
        other.wait()
