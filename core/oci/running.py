"""`kill`, `delete`, `pause`, `resume`, `update`, `ps`: what is done to a container later."""

from __future__ import annotations

import os
import time

from core.containers.runtime import cgroups
from core.containers.signals import number_of
from core.errors import HostError, NotFound, UsageError
from core.linux import process
from core.oci import cgroup
from core.oci.bundle import check_state, read_json
from core.oci.creation import Runtime, destroy
from core.oci.state import CREATED, PAUSED, RUNNING, STOPPED, Container, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FREEZE_TRIES = 1000


def kill(container: Container, name: str, *, everything: bool = False) -> None:
    """Send a signal to the first process, or to all.  Conflict when it has stopped."""
    try:
        number = number_of(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    container.read()
    if everything:
        for pid in processes(container.cgroup_dirs):
            _send(pid, number)
        return
    if not container.alive():
        raise check_state("is not running", container.id)
    try:
        pidfd = process.pidfd_open(container.pid)
        try:
            # Looked at once more: the number could have become another's before.
            if not container.alive():
                raise ProcessLookupError
            process.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
    except ProcessLookupError as error:
        raise check_state("is not running", container.id) from error


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def delete(runtime: Runtime, container: Container, *, force: bool = False) -> None:
    """Remove a stopped container; one that runs only with `force`, which also forgives absence."""
    try:
        status = container.read().status()
    except NotFound:
        if force:
            return
        raise
    if status not in (STOPPED, CREATED) and not force:
        raise check_state(
            f"cannot be deleted: it is {status}", container.id,
            hint=f"kill it first: kill {container.id} KILL, or delete --force {container.id}",
        )  # fmt: skip
    destroy(runtime, container)


def pause(container: Container) -> None:
    """Freeze all its processes, and return when they are."""
    status = container.read().status()
    if status not in (RUNNING, CREATED):
        raise check_state(f"cannot be paused: it is {status}", container.id)
    _freeze(container, frozen=True)


def resume(container: Container) -> None:
    """Thaw all its processes."""
    status = container.read().status()
    if status != PAUSED:
        raise check_state(f"cannot be resumed: it is {status}", container.id)
    _freeze(container, frozen=False)


def _freeze(container: Container, *, frozen: bool) -> None:
    dirs = container.cgroup_dirs
    try:
        cgroups.freeze(dirs, frozen=frozen)
    except OSError as error:
        raise HostError(f"cannot freeze: {error.strerror}", errno=error.errno or 0) from error
    for _ in range(FREEZE_TRIES if frozen else 0):
        if _is_frozen(dirs):
            return
        time.sleep(0.001)
    if frozen:
        cgroups.freeze(dirs, frozen=False)
        raise HostError("a process could not be frozen", hint="try again in a moment")


def _is_frozen(dirs: tuple[str, ...]) -> bool:
    for folder in dirs:
        for name, text in (("freezer.state", "FROZEN"), ("cgroup.events", "frozen 1")):
            try:
                with open(f"{folder}/{name}") as file:
                    return text in file.read()
            except OSError:
                continue
    return False


def update(container: Container, resources: dict[str, Any]) -> None:
    """Give a container other limits; those that `resources` does not name stay."""
    status = container.read().status()
    if status == STOPPED:
        raise check_state("is not running", container.id)
    path = container.facts["cgroup"]["path"]
    spec = container.spec()
    known = spec.setdefault("linux", {}).setdefault("resources", {}) or {}
    whole = _over(known, resources)
    asked = {part: whole[part] for part in resources if part in whole and part != "devices"}
    cgroup.apply(cgroup.writes(path, asked))
    spec["linux"]["resources"] = whole
    container.save_spec(spec)


def _over(known: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(known)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _over(merged[key], value)
        elif value is not None:
            merged[key] = value
    return merged


def read_resources(path: str) -> dict[str, Any]:
    """Return the resources in a file, or on stdin for `-`."""
    found = read_json("/dev/stdin" if path == "-" else path)
    if not isinstance(found, dict):
        raise HostError(f"{path}: not an object")
    return found


def list_processes(container: Container) -> list[int]:
    """Return the PIDs of a container's processes."""
    return processes(container.read().cgroup_dirs)
