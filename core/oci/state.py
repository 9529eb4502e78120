"""What is known of a container between two calls of the runtime: `ROOT/ID/`.

`state.json` is the specification's state with a few properties more; `config.json` is the
configuration as it was at `create`; `start` is the socket on which the first process waits.
https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state
"""

from __future__ import annotations

import _socket
import errno
import os
import time

from core.containers.state import boot_id, is_process, start_ticks
from core.errors import ConfigError, Conflict, HostError, NotFound, UsageError
from core.lean_json import dumps
from core.oci.bundle import VERSION, check_id, read_json
from core.oci.talk import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
STATE, CONFIG, START = "state.json", "config.json", "start"
NEW = "~"
"""Begins the name of a directory that is being made, and no ID; the process that makes it and
when that started follow."""


class Container:
    """One container's directory, and what it says."""

    def __init__(self, root: str, container_id: str) -> None:
        check_id(container_id)
        self.id = container_id
        self.directory = f"{root}/{container_id}"
        self.facts: dict[str, Any] = {}

    def make(self, spec: dict[str, Any], **facts: Any) -> None:
        """Make the directory of a new container, whole or not at all; Conflict for a taken ID.

        What others left who were killed at it goes.
        """
        place, root = self.directory, os.path.dirname(self.directory)
        pid = os.getpid()
        fresh = f"{root}/{NEW}{pid}-{start_ticks(pid)}-{time.monotonic_ns()}"
        try:
            os.makedirs(root, 0o700, exist_ok=True)
            _sweep(root)
            os.mkdir(fresh, 0o700)
            try:
                self.directory = fresh
                self._write(CONFIG, spec)
                self.update(status=CREATING, pid=0, ticks=0, boot=boot_id(), **facts)
                os.rename(fresh, place)  # takes an empty directory's place, but no other's
            except BaseException:
                self.remove()
                raise
            finally:
                self.directory = place
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise Conflict(
                    f"container with id exists already: {self.id}",
                    hint=f"delete it first: delete {self.id}",
                    subject=self.id,
                ) from error
            raise HostError(
                f"{place}: {error.strerror}", hint="--root names another place",
                errno=error.errno or 0,
            ) from error  # fmt: skip

    def read(self) -> Container:
        """Read the state; NotFound when there is no such container."""
        try:
            self.facts = read_json(f"{self.directory}/{STATE}")
        except NotFound as error:
            raise NotFound(f"container does not exist: {self.id}", subject=self.id) from error
        return self

    def update(self, **facts: Any) -> None:
        """Change what is known, whole or not at all."""
        self.facts.update(facts)
        self._write(STATE, self.facts)

    def spec(self) -> dict[str, Any]:
        """Return the configuration as it was at `create`."""
        found: dict[str, Any] = read_json(f"{self.directory}/{CONFIG}")
        return found

    def save_spec(self, spec: dict[str, Any]) -> None:
        """Keep a changed configuration (`update`)."""
        self._write(CONFIG, spec)

    def _write(self, name: str, document: dict[str, Any]) -> None:
        temporary = f"{self.directory}/{name}.{os.getpid()}"
        with open(temporary, "wb") as file:
            file.write(dumps(document).encode("utf-8", "surrogateescape"))
        os.rename(temporary, f"{self.directory}/{name}")

    @property
    def pid(self) -> int:
        """The first process, as the runtime counts; 0 before there is one."""
        return int(self.facts["pid"])

    @property
    def cgroup_dirs(self) -> tuple[str, ...]:
        """The directories of its cgroup."""
        return tuple(self.facts["cgroup"]["dirs"])

    @property
    def start_socket(self) -> str:
        """Where its first process waits for `start`."""
        return f"{self.directory}/{START}"

    def alive(self) -> bool:
        """Tell whether its first process runs."""
        facts = self.facts
        return bool(facts["boot"] == boot_id() and is_process(facts["pid"], facts["ticks"]))

    def status(self) -> str:
        """Return the status as it is now."""
        if self.facts["status"] == CREATING and not self.pid:
            return CREATING if is_process(*self.facts["runtime"]) else STOPPED
        if not self.alive():
            return STOPPED
        if frozen(self.cgroup_dirs):
            return PAUSED
        return str(self.facts["status"]) if self._waits() else RUNNING

    def _waits(self) -> bool:
        """Tell whether its first process waits for `start`; one that was killed left the socket."""
        try:
            connect(self.start_socket, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK).close()
        except HostError as error:
            return error.errno not in (errno.ENOENT, errno.ECONNREFUSED)
        return True

    def show(self, status: str = "") -> dict[str, Any]:
        """Return the state as the specification has it, as hooks get it, too."""
        status = status or self.status()
        facts = self.facts
        shown: dict[str, Any] = {"ociVersion": VERSION, "id": self.id, "status": status}
        if status != STOPPED and self.pid:
            shown["pid"] = self.pid
        shown["bundle"] = facts["bundle"]
        if facts["annotations"]:
            shown["annotations"] = facts["annotations"]
        return shown

    def remove(self) -> None:
        """Forget the container."""
        _remove(self.directory)


def _remove(directory: str) -> None:
    try:
        # The state goes last: without it nobody could remove the rest.
        for name in sorted(os.listdir(directory), key=STATE.__eq__):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
    except FileNotFoundError:
        pass  # somebody else was quicker


def _sweep(root: str) -> None:
    """Remove what was being made by processes that are gone."""
    for name in os.listdir(root):
        if name.startswith(NEW):
            maker = name.removeprefix(NEW).split("-")[:2]
            if len(maker) < 2 or not all(map(str.isdecimal, maker)) or is_process(*map(int, maker)):
                continue
            try:
                _remove(f"{root}/{name}")
            except OSError:
                pass  # it is in nobody's way


def frozen(dirs: tuple[str, ...]) -> bool:
    """Tell whether a cgroup is frozen, or about to be."""
    for folder in dirs:
        for name, word in (("cgroup.freeze", "1"), ("freezer.state", "FR")):
            try:
                with open(f"{folder}/{name}") as file:
                    return file.read().startswith(word)
            except OSError:
                continue
    return False


def containers(root: str) -> list[Container]:
    """Return all containers under a root, by ID.

    Left out is what is being made or removed, and what is no container or cannot be read.
    """
    found = []
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    for name in names:
        try:
            found.append(Container(root, name).read())
        except (NotFound, UsageError, ConfigError):
            continue
    return found


def processes(dirs: tuple[str, ...]) -> list[int]:
    """Return the processes of a cgroup and of those below it."""
    from core.containers.runtime import cgroups

    for folder in dirs:
        if os.path.isdir(folder):
            below = [where for where, _, _ in os.walk(folder)]
            return sorted({pid for where in below for pid in cgroups.processes([where])})
    return []
