"""Orders to a running container's monitor: signals, stop, freeze."""

from __future__ import annotations

import errno
import select
import time

from core.containers import state
from core.containers.attach.session import connect
from core.containers.supervision import protocol
from core.errors import Conflict, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from core.containers.state import State
    from core.containers.stored import Row
    from core.paths import Paths

SIGKILL = 9
KILL_TIMEOUT_S = 10.0
"""A killed process that has not ended by then hangs in the kernel."""


def stop(
    paths: Paths,
    row: Row,
    found: State,
    spec: dict[str, Any],
    timeout_s: float,
    by: bytes = protocol.BY_PERSON,
    signal: int = 0,
) -> None:
    """Send the stop signal, or another `signal`, wait `timeout_s` seconds for the end, then kill.

    Raises HostError when even that does not end it.
    """
    from core.containers.signals import number_of

    if found.state not in state.ALIVE:
        return
    channel = connect(paths.container_run(row.id))
    if channel is None:
        await_gone(paths, row)
        return
    with protocol.Closing(channel):
        signal = signal or number_of(spec["annotations"]["limpet.stop-signal"])
        say(channel, protocol.signal(signal, by))
        if found.state == state.PAUSED:
            say(channel, bytes((protocol.UNPAUSE,)))
        if not _ended(paths, row, channel, timeout_s):
            say(channel, protocol.signal(SIGKILL, by))
            if not _ended(paths, row, channel, KILL_TIMEOUT_S):
                raise _hangs(row)


def send(paths: Paths, row: Row, signal: int, *, stop: bool = False) -> None:
    """Send a signal; after SIGKILL wait for the end, also of one that is paused.

    After a SIGKILL, or with `stop`, no restart policy starts the container again.
    """
    channel = connect(paths.container_run(row.id))
    if channel is None:
        await_gone(paths, row)
        return
    with protocol.Closing(channel):
        say(channel, protocol.signal(signal, protocol.BY_PERSON * (stop or signal == SIGKILL)))
        if signal == SIGKILL and not _ended(paths, row, channel, KILL_TIMEOUT_S):
            raise _hangs(row)


def abandon(channel: _socket.socket) -> None:
    """Let go of a container that may just be starting for us, and is to end then."""
    with protocol.Closing(channel):
        say(channel, protocol.signal(SIGKILL, protocol.BY_PERSON))


def tell(paths: Paths, row: Row, order: bytes) -> None:
    """Give the monitor an order that it does not answer; nothing happens when there is none."""
    channel = connect(paths.container_run(row.id))
    if channel is not None:
        with protocol.Closing(channel):
            say(channel, order)


def freeze(paths: Paths, row: Row, *, frozen: bool) -> None:
    """Freeze or thaw all processes of a container.

    Raises Conflict when it has none by now, HostError when the host cannot.
    """
    channel = connect(paths.container_run(row.id))
    if channel is None:
        await_gone(paths, row)
        return
    with protocol.Closing(channel):
        say(channel, bytes((protocol.PAUSE if frozen else protocol.UNPAUSE,)))
        while message := protocol.receive(channel):
            if message[0] == protocol.ANSWER:
                if message[1] == errno.ESRCH:
                    raise _has_no_processes(paths, row, "running" if frozen else "paused")
                if message[1]:
                    done = "paused" if frozen else "unpaused"
                    raise HostError(
                        f"container {row.name} cannot be {done}: {message[2:].decode()}",
                        errno=message[1],
                        hint="limpet doctor shows which cgroups this host has",
                    )
                return


def _has_no_processes(paths: Paths, row: Row, wanted: str) -> Conflict:
    from core.containers.starter import not_running

    return not_running(row, state.read_state(paths.container(row.id)).state, wanted)


def _ended(paths: Paths, row: Row, channel: _socket.socket, timeout_s: float) -> bool:
    """Wait for the monitor's last word, or its end; False when neither comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        if not select.select([channel], [], [], max(0.0, left))[0]:
            return False
        message = protocol.receive(channel)
        if not message:
            await_gone(paths, row)
            return True
        if message[0] == protocol.EXIT:
            return True


def await_gone(paths: Paths, row: Row) -> None:
    """Wait for a monitor that has closed its socket to write its last word, or to end."""
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while time.monotonic() < deadline:
        found = state.read_state(paths.container(row.id))
        if found.state not in state.ALIVE or not state.monitored(found):
            return
        time.sleep(0.01)
    raise _hangs(row)


def say(channel: _socket.socket, message: bytes) -> None:
    """Send a message to a monitor, which may have ended."""
    try:
        channel.send(message)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has ended meanwhile; its last word is still to be read


def _hangs(row: Row) -> HostError:
    return HostError(
        f"container {row.name} does not end, not even killed",
        hint="a process of it hangs in the kernel: ps axo pid,stat,wchan,cmd",
        subject=row.name,
    )
