"""A monitor's calm life played through in the spawner, before it forks any but the first.

The interpreter adapts code to what it has seen and remembers where attributes are found.
What has been written down for that before a fork is shared; each monitor would else write it
into a copy of its own.  What it is seen to call is laid together before (`packing`).
"""

from __future__ import annotations

import os
import time

from core.containers.log.drivers import JSON_FILE
from core.containers.log.writer import open_log
from core.containers.runtime import cgroups
from core.containers.supervision import child, deputy, packing, watch
from core.containers.supervision.samples import FILE, Sampler
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

TIMES = 12
"""So often until the interpreter has settled."""
CALM_S = 0.001
NOT_PLAYED = (watch.keep, child.keep_three, deputy.reap, deputy.Deputy.fileno)
"""What a monitor calls besides; here it would be about the spawner's own."""


def rehearse(directory: str) -> None:
    """Play it through, with files in a directory that is made and removed.  Raises OSError."""
    os.mkdir(directory, 0o700)
    try:
        called = packing.called_by(lambda: _play(directory))
        packing.fill_holes()
        called.update((id(one.__code__), one.__module__) for one in NOT_PLAYED)
        packing.move_together(called)
        for _ in range(TIMES):
            _play(directory)
    finally:
        for name in os.listdir(directory):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)


def _play(directory: str) -> None:
    forked = deputy.fork({})
    if isinstance(forked, deputy.Principal):
        _hand_over(forked, directory)
    quiet, other = os.pipe()
    handed = forked.attend(quiet)
    if handed is None:
        raise ChildProcessError("somebody killed it")
    played = watch.Watch(*handed, quiet)
    forked.dismiss()
    played.run()
    for fd in (*played.fds, quiet, other):
        os.close(fd)


def _hand_over(principal: deputy.Principal, directory: str) -> NoReturn:
    """Do what a deputy does whose container has written a line and has to be looked at soon."""
    try:
        (read, write), (listener, book) = os.pipe(), os.pipe()
        os.write(write, b"a line\n")
        own = os.getppid()
        log = (JSON_FILE, f"{directory}/log", 1 << 20, 2)
        fds = [book, listener, process.pidfd_open(own), read, write, open_log(log).fd]

        def place(fd: int) -> int:
            fds.append(fd)
            return len(fds) - 1

        sampler = Sampler(f"{directory}/{FILE}")
        mounts = [mount for _, mount in cgroups.layout()] or [cgroups.ROOT]
        sampler.begin(own, tuple(f"{mount}/" for mount in mounts))
        sampler.take()
        due = sampler.due = time.monotonic() + CALM_S
        outputs = [(3, 1)]
        values = (directory, log, 5, (b"", b""), outputs, own, sampler.values(place), due)
        principal.hand_over(values, fds)
    finally:
        os._exit(0)
