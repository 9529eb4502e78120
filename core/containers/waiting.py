"""Waits for what `wait --condition` names; docker's three conditions."""

from __future__ import annotations

import time

from core.containers import state
from core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.lifecycle import Containers

POLL_S = 0.02


def wait_for(containers: Containers, reference: str, condition: str = "not-running") -> int:
    """Wait and return the exit code of the run that ended.

    not-running: returns at once for one that does not run.  next-exit: waits for the end of a
    run that ends after now.  removed: until the container is gone.  Raises NotFound for a
    container that there is not, or that is removed before the run that is waited for.
    """
    info = containers.resolve(reference)
    if condition == "next-exit":
        while info.state not in state.ALIVE:
            time.sleep(POLL_S)
            again = containers.resolve(info.id)
            if again.finished > info.finished:
                return again.exit_code  # a run shorter than a look at it
            info = again
    code = containers.wait(info.id)
    while condition == "removed":
        try:
            containers.resolve(info.id)
        except NotFound:
            break
        time.sleep(POLL_S)
        code = _again(containers, info.id, code)
    return code


def _again(containers: Containers, container_id: str, code: int) -> int:
    """Return the exit code of the last run, waiting for its end if there is one more."""
    try:
        containers.wait(container_id)
        info = containers.resolve(container_id)
    except NotFound:
        return code
    # One that is being removed has no state any more, while its row is still there.
    return info.exit_code if info.finished else code
