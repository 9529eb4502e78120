"""What a fork of the spawner does: it becomes a container's monitor, or the parent of an exec.

Every page of memory that it writes to is one which it no longer shares, and a page is
written to when anything on it is so much as called.  Hence nothing is imported here, and
what can be done once is done by the spawner.
"""

from __future__ import annotations

import _signal
import _socket
import os

from core.containers.runtime import enter
from core.containers.supervision import (
    child,
    exec_session,
    monitor,
    protocol,
    request,
    surroundings,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def serve(fd: int, life: int) -> NoReturn:
    """Take one request and become what it asks for.

    `fd` is a connection's.  What will be started is forked ahead, and waits for its plan.
    `life` is open as long as this process.
    """
    os.setsid()
    low, high = min(fd, life), max(fd, life)
    os.closerange(3, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, 1 << 30)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    if os.read(fd, 16) == protocol.MONITOR:
        monitor.run(fd)
    if surroundings.has_new_code():
        os._exit(0)  # whoever asked starts a spawner that has it, too
    channel = _socket.socket(fileno=fd)
    forked = child.fork(enter.run)
    received = request.receive(channel)
    channel.close()
    if received is None:
        os._exit(0)
    (job, owned), (report, *others) = received
    os.write(report, protocol.ASKED)
    exec_session.run(job, forked, report, others.pop(0) if owned else -1)
