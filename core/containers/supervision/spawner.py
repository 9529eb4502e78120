"""Forks monitors and exec sessions for a front end; run by file path, ends with it.

It imports everything they need once, and always keeps one fork ready that waits for the
next request, so that a start waits for no fork; the next is made once that start
has had the processors for itself.  It keeps no descriptor but the socket to
its front end, and no child waits for it.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import marshal
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from core.containers.supervision.child import Forked

START_MS = 40
"""What a start may take; a request that comes sooner is served at once."""


def main(channel: _socket.socket, ahead: str = "monitor") -> None:
    """Serve requests until the front end has gone; most are expected to be of kind `ahead`."""
    # Loaded here once, not in every fork.
    from core.containers.runtime import plan
    from core.containers.supervision import child, exec_session, monitor  # noqa: F401

    plan.this_host()
    child.leave_caller((channel.fileno(),))
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps for us
    # What is here stays: no fork shall copy pages because the collector marks them.
    gc.disable()
    gc.freeze()
    while _fork_ready(channel, ahead):
        pass


def _fork_ready(channel: _socket.socket, ahead: str) -> bool:
    """Fork one that takes the next request, and wait until it has; False at the end.

    At the end there is no other to come: the front end has hung up.
    """
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.close(read)
            _serve(channel, write, ahead)
        finally:
            os._exit(1)
    os.close(write)
    taken = os.read(read, 1)
    os.close(read)
    if taken:
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(START_MS))
    return False


def _serve(channel: _socket.socket, taken: int, ahead: str) -> NoReturn:
    """Take one request and become what it asks for.

    What it will start is forked ahead as well, and waits for its plan.
    """
    from core.containers.supervision import child, exec_session, monitor, request
    from core.linux import process
    from core.privileges import is_rootless

    child.leave_caller((channel.fileno(), taken))
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    forked = _try_fork(ahead, own)
    received = request.receive(channel)
    channel.close()
    if received is None:
        os._exit(0)
    os.write(taken, b"1")
    os.close(taken)
    (kind, job, owned), (report, *others) = received
    owner = others.pop(0) if owned else -1
    lock = others.pop(0) if others else -1
    shared = job.get("pid_namespace", 0)
    if (kind != ahead or shared) and isinstance(forked, child.Forked):
        child.abandon(forked)
        if kind != "monitor" and not is_rootless():
            process.setns(own, process.CLONE_NEWPID)
        forked = _try_fork(kind, own, shared)
    if not isinstance(forked, child.Forked):
        os.write(report, marshal.dumps(("error", "pid namespace", *forked, 125)))
        os._exit(0)
    if kind == "monitor":
        monitor.run(job, forked, report, owner, lock)
    exec_session.run(job, forked, report, owner)


def _try_fork(kind: str, own: int, shared: int = 0) -> Forked | tuple[int, str]:
    """Fork a container's first process, in the pid namespace it is to have, or an exec's.

    `own` and `shared` as in `child.fork_first`.  Returns errno and text where the host does
    not let us.
    """
    from core.containers.runtime import enter, init
    from core.containers.supervision import child

    if kind != "monitor":
        return child.fork(enter.run)
    try:
        return child.fork_first(init.run, own, shared)
    except OSError as error:
        return error.errno or 0, str(error.strerror)


if __name__ == "__main__":
    # Its own folder must not be one: `signals` and `names` are no packages of the world's.
    sys.path[:] = sys.argv[2].split(os.pathsep)
    main(_socket.socket(fileno=int(sys.argv[1])))
