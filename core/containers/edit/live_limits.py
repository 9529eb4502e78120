"""Gives a running container other limits, all of them or none."""

from __future__ import annotations

import errno
import os

from core.containers.runtime import cgroups, limits
from core.errors import Conflict, Error, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.containers.runtime.limits import Write

NO_LIMIT = {
    "memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1",
    "memory.soft_limit_in_bytes": "-1", "memory.oom_control": "0",
    "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.shares": "1024",
    "blkio.bfq.weight": "100",
    "memory.max": "max", "memory.swap.max": "max", "memory.low": "0",
    "cpu.max": "max 100000", "cpu.weight": "100", "io.bfq.weight": "100", "pids.max": "max",
}  # fmt: skip
"""What a cgroup file has while nobody limits anything."""


def change_limits(container_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Write what differs between two `resources` of a runtime configuration.

    Raises Conflict when the container uses more memory than it is to have, HostError when the
    host has no such limit; the limits are then as before.
    """
    old = {path: (value, option)
           for path, value, option in cgroups.limit_writes(container_id, before)}  # fmt: skip
    new = cgroups.limit_writes(container_id, after)
    todo = [write for write in new if old.get(write[0], ("",))[0] != write[1]]
    kept = {path for path, _, _ in new}
    todo += [
        (path, value, option)
        for path, (_, option) in old.items()
        if path not in kept and (value := _no_limit(path))
    ]
    if not todo:
        return
    _enable(todo)
    undo = [(path, _read(path), option) for path, _, option in todo]
    if refused := _write_all(todo):
        _write_all(undo)
        raise _error(*refused)


def _no_limit(path: str) -> str:
    folder, _, file = path.rpartition("/")
    if file.startswith("cpuset."):
        # A set of processors has no `all`: what the cgroup above may use is all there is.
        return _read(f"{os.path.dirname(folder)}/{file}") if cgroups.layout() else "\n"
    return NO_LIMIT.get(file, "")


def _enable(todo: list[Write]) -> None:
    """Give the cgroup the controllers of v2 that it had no use for until now."""
    if cgroups.layout():
        return
    for controller in limits.controllers(todo):
        for folder in cgroups.enabling():
            try:
                _write(f"{folder}/cgroup.subtree_control", f"+{controller}")
            except OSError:
                continue  # this host lacks it: what needs it will say so


def _write_all(todo: list[Write]) -> tuple[str, OSError] | None:
    """Write all; returns an option that was asked for and refused, with the reason.

    One that another must precede (memory and swap, quota and period) waits for that.
    """
    left = todo
    while left:
        refused: list[tuple[Write, OSError]] = []
        for write in left:
            try:
                _write(write[0], write[1])
            except OSError as error:
                refused.append((write, error))
        if len(refused) == len(left):
            return next(((option, error) for (_, _, option), error in refused if option), None)
        left = [write for write, _ in refused]
    return None


def _error(option: str, error: OSError) -> Error:
    if error.errno == errno.EBUSY:
        return Conflict(
            f"{option}: the container uses more memory than that now",
            hint="limpet stats shows how much; nothing was changed",
        )
    if error.errno == errno.ENOENT:
        return HostError(
            f"{option}: this host has no cgroup controller for it",
            hint="limpet doctor checks this host; nothing was changed",
            errno=errno.ENOENT,
        )
    return HostError(
        f"{option}: the kernel refuses: {error.strerror}",
        hint="nothing was changed",
        errno=error.errno or 0,
    )


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() or "\n"
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
