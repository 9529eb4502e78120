"""What a monitor itself does: it stays beside a container that nobody asks anything of.

It writes the log, takes samples, and has a deputy (`deputy`) do whatever else is to be done.
Lean: each page of memory that it writes to is its own, and a page is written to when anything
on it is so much as called.
"""

from __future__ import annotations

import os
import select
import time

from core.containers.log.writer import open_log
from core.containers.runtime import cgroups
from core.containers.supervision import child, deputy, protocol
from core.containers.supervision.samples import FILE, Sampler
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    GoOn = Callable[[deputy.Principal, "Watch"], NoReturn]

BOOK, LISTENER, PIDFD = range(3)
"""The first of a container's descriptors: all that is known of it, its socket, its end."""
LITTLE = 4000
"""Bytes that output mostly fits in: a buffer for more takes pages of its own."""


def keep(at_work: deputy.Deputy, life: int, terminated: int, go_on: GoOn) -> NoReturn:
    """Be the monitor of one container, and watch over it whenever its deputy has settled it.

    What is to be done then is done by `go_on` in another deputy.  `life`, a pipe that the
    spawner reads, and `terminated`, a signalfd of SIGTERM, are the descriptors that stay open as
    long as this process.
    """
    ended: dict[int, int] = {}
    try:
        while True:
            if at_work.fds:  # it has settled its container while this process made ready
                child.keep_only((at_work.fileno(), life, terminated, *at_work.fds))
            else:
                child.keep_three(at_work.fileno(), life, terminated)
            handed = at_work.attend(terminated)
            if handed is None:
                _leave(life)
                os._exit(0)  # the container ends with us, if it has not
            watch = Watch(*handed, terminated)
            at_work.dismiss()
            deputy.reap(watch.pid, ended)
            watch.run()
            forked = deputy.fork(ended)
            if isinstance(forked, deputy.Principal):
                go_on(forked, watch)
            at_work = forked
            ended = {}
            del watch
    finally:
        os._exit(1)


def _leave(life: int) -> None:
    """Do at the end what the spawner would do at its end, had nobody killed it."""
    poll = select.poll()
    poll.register(life, 0)  # nobody reads it any more: an error
    if poll.poll(0):
        cgroups.leave()


class Watch:
    """One container while all is calm."""

    def __init__(self, values: tuple[Any, ...], fds: list[int], terminated: int) -> None:
        """`values` is what `core.containers.supervision.monitor` hands over, `run` at first."""
        run, log, log_place, lines, outputs, self.pid, sampled, self.due = values
        self.fds = fds
        self._terminated = terminated
        self.is_terminated = False
        self.outputs: dict[int, int] = {}
        for place, stream in outputs:
            self.outputs[fds[place]] = stream
        self.log = open_log(log, fds[log_place] if log_place >= 0 else -1)
        self.log.partial = {1: lines[0], 2: lines[1]}
        self.sampler = Sampler(f"{run}/{FILE}")
        self.sampler.go_on(sampled, fds)
        self.failure: Exception | None = None

    def run(self) -> None:
        """Wait until somebody connects, a check is due, or the container has ended."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - it is the container's end, which a deputy sees to
            self.failure = error

    def _run(self) -> None:
        poll = select.poll()
        for fd in (self._terminated, self.fds[LISTENER], self.fds[PIDFD], *self.outputs):
            poll.register(fd, select.POLLIN)
        while True:
            until = min(self.sampler.due, self.due or self.sampler.due)
            # Never early, which would turn in circles.
            for fd, _ in poll.poll(max(0, int((until - time.monotonic()) * 1000) + 1)):
                if fd == self._terminated:
                    os.read(fd, process.SIGNAL_INFO_BYTES)
                    self.is_terminated = True
                if fd not in self.outputs:
                    return
                if not self._copy(fd):
                    poll.unregister(fd)
                    del self.outputs[fd]
                    os.close(fd)
            now = time.monotonic()
            if now >= self.sampler.due:
                self.sampler.take()
            if self.due and now >= self.due:
                return

    def _copy(self, fd: int) -> bool:
        """Log what there is to be read; False at the end."""
        try:
            data = os.read(fd, LITTLE)
            if len(data) == LITTLE:
                self.log.write(self.outputs[fd], data)
                data = os.read(fd, protocol.MAX_DATA)
        except BlockingIOError:
            return True
        except OSError:
            return False  # EIO: every end of the terminal is closed
        if data:
            self.log.write(self.outputs[fd], data)
        return bool(data)
