"""A monitor's life played through in the spawner, before it forks any but the first.

The interpreter adapts code to what it has seen and remembers where attributes are found.
What has been written down for that before a fork is shared; each monitor would else write it
into a copy of its own (measured: 0.25 MB of each).
"""

from __future__ import annotations

import _socket
import os
import time

from core.containers import state
from core.containers.log.drivers import JSON_FILE
from core.containers.supervision import child, monitor, protocol, request, starter
from core.containers.supervision.health import HEALTHY, STARTING

TIMES = 4
"""So often until the interpreter has settled."""
CHECK = {
    "argv": ("true",), "interval_s": 30.0, "timeout_s": 30.0, "retries": 3,
    "start_period_s": 0.0, "start_interval_s": 5.0,
}  # fmt: skip


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
    ours, theirs = protocol.pair()
    read, write = os.pipe()
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    told = starter.Started(
        state=tuple(state.State(state.RUNNING, os.getpid(), health=STARTING).as_dict().values()),
        descriptors="oel",
        pasta=0,
        published=False,
        measured=os.getpid(),
        zones=None,
        directory=directory,
        run=directory,
        changed=directory,
        log=(JSON_FILE, f"{directory}/log", 1 << 20, 2),
        health=CHECK,
    )
    request.send(theirs, ("started", *told.as_dict().values()), (read, read, listener.fileno()))
    received = monitor.await_started(child.Forked(0, ours))
    assert received is not None
    played = monitor.Monitor(*received)
    os.write(write, b"a line\n")
    played.play(HEALTHY, time.time())
    for fd in (read, write):
        os.close(fd)
    for one in (ours, theirs, listener):
        one.close()
