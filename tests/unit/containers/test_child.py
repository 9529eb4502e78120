"""A container's first process that cannot start: what it says reaches who waits for it."""

from __future__ import annotations

import _socket
import os

import pytest

from core.containers.runtime.init import READY, fail
from core.containers.supervision import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def fails_early(plan: dict[str, Any], stdio: tuple[int, int, int] | None, sync: int) -> NoReturn:
    """Fail after the namespaces, as for a user whom the image does not have."""
    channel = _socket.socket(fileno=sync)
    channel.send(READY)
    fail(channel, "user", 0, plan["text"], 125)
    os._exit(125)


@pytest.mark.parametrize("ours_fails", [False, True])
def test_its_own_words_count_although_the_network_cannot_reach_it(ours_fails: bool) -> None:
    """It is gone before its network namespace is looked for, or before it is told to go on."""

    def ready(pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if ours_fails:
            raise FileNotFoundError(2, "No such file or directory", f"/proc/{pid}/ns/net")

    told = child.tell(child.fork(fails_early), {"text": "nobody"}, stdin=False, tty=False)
    with pytest.raises(child.StartFailed) as failed:
        child.see_start(told, ready=ready)
    assert failed.value.args == ("user", 0, "nobody", 125)


def test_what_fails_on_the_host_is_told_when_the_process_lives() -> None:
    def ready(pid: int) -> None:
        raise OSError(16, f"Device or resource busy: {pid}")

    told = child.tell(child.fork(waits), {}, stdin=False, tty=False)
    with pytest.raises(child.StartFailed) as failed:
        child.see_start(told, ready=ready)
    assert failed.value.args[:2] == ("network", 16)


def waits(plan: dict[str, Any], stdio: tuple[int, int, int] | None, sync: int) -> NoReturn:
    """Wait for the host's side for good."""
    channel = _socket.socket(fileno=sync)
    channel.send(READY)
    channel.recv(64)
    os._exit(0)
