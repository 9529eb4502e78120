"""Puts right what a killed monitor or a restarted host left behind."""

from __future__ import annotations

import os
import time

from core.containers import state
from core.containers.stored import Lock
from core.errors import NotFound
from core.privileges import is_root, is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from core.containers.state import State
    from core.network.network import Network
    from core.paths import Paths

KILLED, RESTARTED = 137, 255
"""Exit codes of containers whose real one nobody saw; docker gives the same."""
LAST_MOMENT_S = 2.0
"""So long a busy host may take to end what it has killed."""


def current_state(paths: Paths, network: Network, container_id: str) -> State:
    """Return a container's state, put right if nobody else is about to.

    Never waits: while another process holds the container, what it last wrote is returned.
    """
    found = state.read_state(paths.container(container_id))
    if found.state not in state.ALIVE or state.monitored(found):
        return found
    try:
        with Lock(paths, container_id, wait=False):
            return locked_state(paths, network, container_id)
    except (BlockingIOError, NotFound):
        return found


def locked_state(paths: Paths, network: Network, container_id: str) -> State:
    """Return a container's state after repair; the caller holds its lock."""
    directory = paths.container(container_id)
    found = state.read_state(directory)
    if found.state not in state.ALIVE or state.monitored(found):
        return found
    found = state.read_state(directory)  # its last word may have come before it ended
    if found.state not in state.ALIVE:
        return found
    same_boot = found.boot == state.boot_id()
    if same_boot:
        from core.containers.runtime import cgroups

        await_group(found.monitor, found.monitor_ticks)
        if state.is_process(found.pid, found.ticks):
            _kill(found.pid, found.ticks)
        cgroups.kill(found.cgroup)
        cgroups.remove_all(found.cgroup)
        network.withdraw(container_id, found.table, found.ports)
    _remove_socket(paths.container_run(container_id))
    repaired = found.replace(
        state=state.EXITED, pid=0, ticks=0,
        error="its monitor was killed" if same_boot else "the host was restarted",
        ports=(), address="", gateway="", address6="", table="", cgroup=(), next_start=0,
        health="",
    )  # fmt: skip
    if found.state not in state.WAITING:
        from core.containers.supervision.restarts import KEPT_RUNS

        code, now = KILLED if same_boot else RESTARTED, time.time()
        runs = (*found.runs, (found.started, now, code, False))[-KEPT_RUNS:] if found.wanted else ()
        repaired = repaired.replace(finished=now, exit_code=code, oom=False, runs=runs)
    try:
        state.write_state(directory, repaired)
    except OSError:
        return repaired  # the disk is full: the next who looks finds the same
    paths.touch_changed()
    return repaired


def await_group(monitor: int, ticks: int) -> None:
    """Wait until what a monitor has forked for itself ends with it, if that is dead.

    The kernel kills its deputy then, which has the published ports a moment longer.  `ticks`:
    when the monitor was started.
    """
    if monitor <= 0 or state.start_ticks(monitor) not in (0, ticks):
        return  # another process has its number: none of its group is left
    deadline = time.monotonic() + LAST_MOMENT_S
    while _is_there(monitor) and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_there(group: int) -> bool:
    """Return whether a process of a process group has not ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user, as pasta may be
    # Also those count there that nobody has reaped yet, for which some never care.
    return any(_is_in(int(name), group) for name in os.listdir("/proc") if name.isdigit())


def _is_in(pid: int, group: int) -> bool:
    try:
        if os.getpgid(pid) != group:
            return False
    except ProcessLookupError:
        return False
    found = state.process_stat(pid)
    return found is not None and found[0] not in "ZX"


def failed_start(
    network: Network, container_id: str, spec: dict[str, Any], prepared: dict[str, Any]
) -> None:
    """Take back what a start has made whose monitor was killed before it could."""
    from core.containers.runtime import cgroups, plan

    found = plan.make_cgroup(spec, container_id)["dirs"]
    cgroups.kill(found)
    cgroups.remove_all(found)
    network.withdraw(container_id, prepared.get("table", ""), prepared["ports"])


def take_back_starts(paths: Paths, network: Network, idle: Iterable[str]) -> None:
    """Remove what starts left that were killed, monitor and all, before anybody wrote it down.

    `idle` are containers that do not run; one that somebody is about to start is left alone.
    """
    from core.containers.removal import take_back, with_cgroup

    for container_id in with_cgroup(idle):
        try:
            with Lock(paths, container_id, wait=False):
                found = state.read_state(paths.container(container_id))
                if found.state not in state.ALIVE and not state.monitored(found):
                    take_back(network, container_id)
        except (BlockingIOError, NotFound):
            continue


def take_back_shared(paths: Paths) -> None:
    """Remove what is on the host for all containers, as no container runs, and nobody else will.

    A spawner does so at its end, unless it is killed just then.
    """
    from core.containers.removal import has_parent, names

    if is_rootless() or not is_root() or not (names(paths.bridges) or has_parent()):
        return
    from core.linux.sockets import has_listener

    if any(has_listener(f"{paths.spawners}/{name}") for name in names(paths.spawners)):
        return
    from core.containers.supervision import leaving

    try:
        leaving.leave_for_killed(paths)
    except OSError:
        pass  # the next who looks tries again


def is_abandoned(found: State) -> bool:
    """Return whether a repaired container would run now, had its monitor not been killed."""
    return found.wanted and found.state == state.EXITED and found.boot == state.boot_id()


def _kill(pid: int, ticks: int) -> None:
    """Kill a process, making sure that it is still the one that was meant."""
    from core.linux.process import pidfd_open, pidfd_send_signal

    try:
        fd = pidfd_open(pid)
    except OSError:
        return
    try:
        if state.is_process(pid, ticks):
            pidfd_send_signal(fd, 9)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def _remove_socket(run_directory: str) -> None:
    from core.containers.removal import remove_tree

    try:
        remove_tree(run_directory)
    except FileNotFoundError:
        pass
