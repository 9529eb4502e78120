"""A monitor's calm life played through in the spawner, before it forks any but the first.

The interpreter adapts code to what it has seen and remembers where attributes are found.
What has been written down for that before a fork is shared; each monitor would else write it
into a copy of its own.
"""

from __future__ import annotations

import os
import time

from core.containers.log.drivers import JSON_FILE
from core.containers.supervision import deputy, watch
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

TIMES = 12
"""So often until the interpreter has settled."""
CALM_S = 0.001


def rehearse(directory: str) -> None:
    """Play it through, with files in a directory that is made and removed.  Raises OSError."""
    os.mkdir(directory, 0o700)
    try:
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
    assert handed is not None
    played = watch.Watch(*handed, quiet)
    forked.dismiss()
    played.run()
    played.log.close()
    played.sampler.end()
    for fd in (*played.fds, quiet, other):
        os.close(fd)


def _hand_over(principal: deputy.Principal, directory: str) -> NoReturn:
    """Do what a deputy does whose container has written a line and has to be looked at soon."""
    try:
        (read, write), (listener, book) = os.pipe(), os.pipe()
        os.write(write, b"a line\n")
        own = os.getppid()
        fds = [book, listener, process.pidfd_open(own), read, write]
        log = (JSON_FILE, f"{directory}/log", 1 << 20, 2)
        due = time.monotonic() + CALM_S
        outputs = [(3, 1)]
        sampled = (f"/proc/{own}/net/dev", (), due, 0, [0, 0])
        values = (directory, log, (b"", b""), outputs, own, sampled, due)
        principal.hand_over(values, fds)
    finally:
        os._exit(0)
