"""Takes away what was on the host for all containers, once there are none.

The parents of their cgroups go at once.  Bridges and tables take some milliseconds to make: they
stay until nothing has changed for a moment, so that one short container after the other does not
have them made each time.
"""

from __future__ import annotations

import os
import time

from core.containers.runtime import cgroups
from core.containers.supervision import protocol
from core.file_lock import FileLock
from core.linux import process
from core.linux.sockets import has_listener
from core.network.host import made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

CALM_S, LOOK_EVERY_S = 1.0, 0.1
TRIES = 10
"""A bridge that somebody else has put devices into stays; those of dying containers go."""


def leave(paths: Paths) -> None:
    """Take bridges and tables away for a spawner that ends, unless another process is about to.

    Raises OSError.
    """
    for _ in range(TRIES):
        # Looked at when the lock is free again: whoever has found it taken relies on us.
        if not made.devices(paths) or has_monitors(paths):
            return
        try:
            with _lock(paths):
                process.set_title(f"limpet: leaving {paths.run}")
                _await_calm(paths)
                made.remove(paths, lambda: has_monitors(paths))
        except BlockingIOError:
            return


def leave_for_killed(paths: Paths) -> None:
    """Take all away at once for a spawner that was killed before it could.  Raises OSError."""
    cgroups.leave()
    try:
        with _lock(paths):
            made.remove(paths, lambda: has_monitors(paths))
    except BlockingIOError:
        pass  # it lives


def has_monitors(paths: Paths) -> bool:
    """Return whether a container has a monitor, though it may be waiting to start it again."""
    homes = f"{paths.run}/containers"
    return any(has_listener(f"{homes}/{one}/{protocol.SOCKET_NAME}") for one in os.listdir(homes))


def _lock(paths: Paths) -> FileLock:
    return FileLock(f"{paths.run}/leaving.lock", wait=False)


def _await_calm(paths: Paths) -> None:
    """Return when nothing has changed for a moment, or there is nothing to take away any more."""
    seen, calm_s = 0, 0.0
    while calm_s < CALM_S and made.devices(paths):
        time.sleep(LOOK_EVERY_S)
        changed = os.stat(paths.changed).st_mtime_ns
        calm_s = calm_s + LOOK_EVERY_S if changed == seen else 0.0
        seen = changed
