"""`start`, `kill`, `delete`, `pause`, `resume`, `update`, `ps`: what is done after `create`."""

from __future__ import annotations

import _socket
import os
import select
import time

from core.containers.runtime import cgroups
from core.containers.signals import number_of
from core.containers.supervision import protocol
from core.errors import HostError, NotFound, UsageError
from core.linux import process
from core.oci import cgroup, hooks, scope, talk
from core.oci.bundle import read_json, wrong_state
from core.oci.state import CREATED, PAUSED, RUNNING, STOPPED, Container, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.oci.talk import Runtime

FREEZE_TRIES = 1000
KILLED_MS = 10_000
"""A killed process is gone long before."""


def start(runtime: Runtime, container: Container) -> None:
    """Let a created container's program begin; RunError when it cannot.  Hooks run around it."""
    status = container.read().status()
    if status != CREATED:
        raise wrong_state(f"cannot be started: it is {status}", container.id)
    spec = container.spec()
    channel = talk.connect(container.start_socket, _socket.SOCK_SEQPACKET)
    with protocol.Closing(channel):
        channel.send(talk.START)
        message = talk.receive(channel)
    os.unlink(container.start_socket)
    if message.startswith(talk.FAILED):
        raise talk.failure(message)
    poststart(runtime, container, spec)


def poststart(runtime: Runtime, container: Container, spec: dict[str, Any]) -> None:
    """Run the hooks after the start; one that fails is only told of."""
    try:
        hooks.run_hooks(spec, "poststart", container.show("running"))
    except hooks.HookFailed as error:
        runtime.log("warning", str(error))


def destroy(runtime: Runtime, container: Container) -> None:
    """Kill what is left of a container, take its cgroup and its state away, run its hooks."""
    container.read()
    dirs = container.cgroup_dirs
    if container.pid and container.alive():
        kill_first(container)
    cgroups.kill(dirs)
    scope.stop(container.facts["cgroup"].get("scope", ""))
    cgroups.remove_all(dirs)
    spec = container.spec()
    container.remove()
    try:
        hooks.run_hooks(spec, "poststop", container.show(STOPPED))
    except hooks.HookFailed as error:
        runtime.log("warning", str(error))


def kill_first(container: Container) -> None:
    """Kill the first process and wait until it is gone; a frozen one is thawed for that."""
    try:
        pidfd = process.pidfd_open(container.pid)
    except OSError:
        return
    try:
        if container.alive():
            process.pidfd_send_signal(pidfd, 9)
            try:
                cgroups.freeze(container.cgroup_dirs, frozen=False)
            except OSError:
                pass  # it has no freezer, so nothing is frozen
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(KILLED_MS):
                raise HostError(f"process {container.pid} does not end, though killed")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


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
        raise wrong_state("is not running", container.id)
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
        raise wrong_state("is not running", container.id) from error


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
        raise wrong_state(
            f"cannot be deleted: it is {status}", container.id,
            hint=f"kill it first: kill {container.id} KILL, or delete --force {container.id}",
        )  # fmt: skip
    destroy(runtime, container)


def pause(container: Container) -> None:
    """Freeze all its processes, and return when they are."""
    status = container.read().status()
    if status not in (RUNNING, CREATED):
        raise wrong_state(f"cannot be paused: it is {status}", container.id)
    _freeze(container, frozen=True)


def resume(container: Container) -> None:
    """Thaw all its processes."""
    status = container.read().status()
    if status != PAUSED:
        raise wrong_state(f"cannot be resumed: it is {status}", container.id)
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
        raise wrong_state("is not running", container.id)
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
