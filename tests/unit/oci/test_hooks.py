"""Hooks that never stop talking."""

from __future__ import annotations

import os
import time

import pytest

from core.oci import hooks

NOISE = "while :; do echo noise; done"


@pytest.fixture(autouse=True)
def slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read so slowly that there is always more, and give up after a while."""
    read, deadline = os.read, time.monotonic() + 10

    def slowly(fd: int, count: int) -> bytes:
        assert time.monotonic() < deadline
        data = read(fd, count)
        time.sleep(0.05)
        return data

    monkeypatch.setattr(os, "read", slowly)


def test_one_that_talks_without_end_is_ended_in_time() -> None:
    hook = {"path": "/bin/sh", "args": ["sh", "-c", NOISE], "timeout": 1}
    with pytest.raises(hooks.HookFailed, match="took more than 1 s"):
        hooks.run_hook("prestart", hook, {})


def test_one_is_over_whatever_it_left_in_the_background_says() -> None:
    script = f"({NOISE}) & sleep 0.2; exit 3"
    with pytest.raises(hooks.HookFailed, match="ended with exit code 3"):
        hooks.run_hook("prestart", {"path": "/bin/sh", "args": ["sh", "-c", script]}, {})
