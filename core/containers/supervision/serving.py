"""What a fork of the spawner does: be a container's monitor, or its deputy, or an exec's parent.

Every page of memory that a monitor writes to is one which it no longer shares.  Hence nothing
is imported here, and what can be done once is done by the spawner.
"""

from __future__ import annotations

import _socket
import marshal
import os

from core.containers.runtime import copies, enter, init
from core.containers.supervision import (
    child,
    deputy,
    exec_session,
    monitor,
    request,
    surroundings,
    watch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from core.containers.supervision.child import Forked

MONITOR = b"monitor"
"""What a front end says that will want a container started."""
TAKEN = b"t"
"""The first byte of a report: the request has been read, whoever asked must not ask again."""


def serve(kind: bytes, door: int, life: int, terminated: int) -> NoReturn:
    """Be what the front end at the socket `door` wants, which has said of which kind that is.

    `life` is open as long as this process, `terminated` is a signalfd of SIGTERM.
    """
    os.setsid()
    principal = deputy.fork({}) if kind == MONITOR else None
    if isinstance(principal, deputy.Deputy):
        watch.keep(principal, life, terminated, monitor.go_on)
    take(kind, door, life, terminated, principal)


def take(
    kind: bytes, door: int, life: int, terminated: int, principal: deputy.Principal | None = None
) -> NoReturn:
    """Take one request from the socket `door`, for `principal` if that is a monitor, and do it.

    What it will start is forked ahead, and waits for its plan.
    """
    of_principal = (principal.fileno(),) if principal is not None else ()
    child.keep_only((door, life, terminated, *of_principal))
    channel = _socket.socket(fileno=door)
    if surroundings.has_new_code():
        os._exit(0)  # whoever asked starts a spawner that has it, too
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    first = _try_fork(kind, own)
    if kind == MONITOR:
        copies.take(copies.DEPUTY)
    received = request.receive(channel)
    channel.close()
    if received is None:
        os._exit(0)
    (job, owned), (report, *others) = received
    os.write(report, TAKEN)
    owner = others.pop(0) if owned else -1
    lock = others.pop(0) if others else -1
    shared, with_network = job.get("pid_namespace", 0), kind != MONITOR or _has_network(job)
    if (shared or not with_network) and isinstance(first, child.Forked):
        child.abandon(first)
        first = _try_fork(kind, own, shared, with_network=with_network)
    if not isinstance(first, child.Forked):
        os.write(report, marshal.dumps(("error", "pid namespace", *first, 125)))
        os._exit(0)
    if isinstance(principal, deputy.Principal):
        monitor.run(principal, job, first, report, owner, lock)
    exec_session.run(job, first, report, owner)


def _has_network(job: dict[str, Any]) -> bool:
    """Return whether a container is to have another network namespace than the host's."""
    namespaces = job["plan"]["spec"]["linux"]["namespaces"]
    return any(space["type"] == "network" for space in namespaces)


def _try_fork(
    kind: bytes, own: int, shared: int = 0, *, with_network: bool = True
) -> Forked | tuple[int, str]:
    """Fork a container's first process, in the namespaces it is to have, or an exec's.

    `own`, `shared` and `with_network` as in `child.fork_first`.  Returns errno and text where
    the host does not let us.
    """
    if kind != MONITOR:
        return child.fork(enter.run)
    try:
        return child.fork_first(init.run, own, shared, with_network=with_network)
    except OSError as error:
        return error.errno or 0, str(error.strerror)
