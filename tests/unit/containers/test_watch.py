"""What a monitor hears while it takes its container over from a deputy."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from core.containers.log.drivers import NONE
from core.containers.supervision import deputy, watch
from core.containers.supervision.samples import FILE, Sampler
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PATIENCE_S = 5.0


def test_a_host_that_goes_down_is_heard_of_while_a_container_is_handed_over(tmp_path: Path) -> None:
    """systemd says so once, and the deputy that was told of it has no ear for it any more."""
    told, tell = os.pipe()
    monitor = os.fork()
    if monitor == 0:
        try:
            _keep(str(tmp_path), tell)
        finally:
            os._exit(1)
    try:
        heard = bool(select.select([told], [], [], PATIENCE_S)[0])
    finally:
        os.kill(monitor, signal.SIGKILL)
        os.waitpid(monitor, 0)
    assert heard
    assert os.read(told, 1) == b"y"
    for fd in (told, tell):
        os.close(fd)


def _keep(directory: str, tell: int) -> NoReturn:
    terminated = process.signalfd(signal.SIGTERM)
    at_work = deputy.fork({})
    if isinstance(at_work, deputy.Principal):
        _hand_over(at_work, directory)

    def go_on(principal: deputy.Principal, kept: watch.Watch) -> NoReturn:
        os.write(tell, b"y" if kept.is_terminated else b"n")
        os._exit(0)

    os.kill(os.getpid(), signal.SIGTERM)
    watch.keep(at_work, tell, terminated, go_on)


def _hand_over(principal: deputy.Principal, directory: str) -> NoReturn:
    """Be too far on to hear the signal: as `monitor.Monitor` does once all is calm."""
    try:
        while not signal.sigpending():
            pass
        (listener, other), book = os.pipe(), os.open(os.devnull, os.O_RDONLY)
        fds = [book, listener, process.pidfd_open(os.getppid()), other]
        sampler = Sampler(f"{directory}/{FILE}")
        sampler.begin(0, ())
        outputs: list[tuple[int, int]] = []
        lines, sampled = (b"", b""), sampler.values(lambda _: 0)
        principal.hand_over(
            (directory, (NONE,), -1, lines, outputs, os.getppid(), sampled, 0.0), fds
        )
    finally:
        os._exit(0)
