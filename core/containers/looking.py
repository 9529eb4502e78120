"""What containers there are, and what they do."""

from __future__ import annotations

import time

from core.containers import networking, repair, state, stored
from core.containers.configuration.options import Mount
from core.containers.host import OnHost
from core.containers.starter import Starter, not_running
from core.errors import Error, NotFound
from core.model import ContainerInfo, Port, Usage
from core.privileges import is_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.containers.host import Host
    from core.containers.processes import Process
    from core.containers.state import State
    from core.containers.stored import Row
    from core.containers.supervision.samples import Sample


class Looking(OnHost):
    """The part of `core.containers.lifecycle` that asks.

    It starts what a killed monitor left, should the restart policy say so.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._starter = Starter(host)

    def list(self) -> list[ContainerInfo]:
        """Return all containers, newest first.

        One whose monitor was killed is started again, if its restart policy says so.
        """
        found = [self._info(row) for row in stored.all_rows(self._database)]
        idle = [info.id for info in found if info.state not in state.ALIVE]
        repair.take_back_starts(self._paths, self._network, idle)
        if len(idle) == len(found):
            repair.take_back_shared(self._paths)
        return found

    def on_network(self, network: str) -> Sequence[ContainerInfo]:
        """Return the containers that are on a network, or in a mode such as `host`."""
        return [self._info(row) for row in stored.using(self._database, "network", network)]

    def resolve(self, reference: str) -> ContainerInfo:
        """Return the container of this name, ID, or unique beginning of an ID.

        Raises NotFound, with near names; Conflict when several IDs begin so.
        """
        return self._info(stored.find(self._database, reference))

    def inspect(self, reference: str) -> dict[str, Any]:
        """Return docker's document about a container."""
        from core.containers.inspection import document

        row = stored.find(self._database, reference)
        spec = stored.spec_of(self._database, row.id)
        return document(self._paths, self._config, row, spec, self._revived(row))

    def mounts(self, reference: str) -> tuple[Mount, ...]:
        """Return what a container has mounted, for another that shall have the same."""
        row = stored.find(self._database, reference)
        asked = row.options.mounts
        own = tuple(
            Mount(entry["source"], entry["destination"], "ro" in entry["options"])
            for entry in stored.spec_of(self._database, row.id)["mounts"]
            if entry["type"] == "volume" and entry["source"].startswith(
                self._paths.container(row.id) + "/")
        )  # fmt: skip
        return (*(mount for mount in asked if mount.kind != "volume" or mount.source), *own)

    def volume_users(self) -> Mapping[str, Sequence[str]]:
        """Return the names of containers by the named volume that they use."""
        return stored.users(self._database, "volume")

    def users_of_volume(self, name: str) -> Sequence[str]:
        """Return the names of the containers that use a named volume."""
        return stored.users_of(self._database, "volume", name)

    def usage(self, reference: str) -> Usage | None:
        """Return what a container uses now; None when it does not run or is gone."""
        from core.containers.runtime import cgroups

        try:
            row = stored.find(self._database, reference)
        except NotFound:
            return None
        found = self._state(row.id)
        return Usage(*cgroups.usage(found.cgroup)) if found.pid else None

    def running(self, reference: str) -> State:
        """Return the state of a container that has processes, else raise Conflict."""
        row = stored.find(self._database, reference)
        found = self._state(row.id)
        if not found.pid:
            raise not_running(row, found.state)
        return found

    def processes(self, reference: str) -> tuple[Sequence[Process], bytes]:
        """Return a running container's processes and its passwd file; Conflict if it is not."""
        from core.containers.processes import list_processes, read_users

        found = self.running(reference)
        return list_processes(found), read_users(found)

    def size(self, container_id: str) -> tuple[int, int]:
        """Return the bytes of the files a container wrote, and of these with its image's.

        Nothing for one that has been removed meanwhile.
        """
        from core.containers.files import changes

        written = changes.written_bytes(f"{self._paths.container(container_id)}/upper")
        rows = self._database.query(
            "SELECT COALESCE(SUM(l.size), 0) FROM containers c "
            "JOIN image_layers il ON il.image = c.image_digest JOIN layers l USING (diff_id) "
            "WHERE c.id=?",
            (container_id,),
        )
        return written, written + rows[0][0]

    def history(self, reference: str, span_s: float) -> Sequence[Sample]:
        """Return what a container used in the last `span_s` seconds, the oldest first.

        A sample a second for up to ten minutes, else one a minute for up to a day.
        """
        from core.containers.supervision.samples import read_samples

        row = stored.find(self._database, reference)
        return read_samples(self._paths.container_run(row.id), time.time(), span_s)

    def _state(self, container_id: str) -> State:
        return repair.current_state(self._paths, self._network, container_id)

    def _revived(self, row: Row) -> State:
        """Return a container's state; one that a killed monitor left is started again first."""
        found = self._state(row.id)
        if not repair.is_abandoned(found) or not is_root():
            return found
        try:
            self._starter.start(row, -1, again=True)
        except (Error, OSError):
            pass  # its state tells why
        return self._state(row.id)

    def _info(self, row: Row) -> ContainerInfo:
        found = self._revived(row)
        return ContainerInfo(
            id=row.id,
            name=row.name,
            image=row.image,
            image_digest=row.image_digest,
            command=tuple(row.document["args"]),
            created=row.created,
            state=found.state,
            pid=found.pid,
            exit_code=found.exit_code,
            oom_killed=found.oom,
            error=found.error,
            started=found.started,
            finished=found.finished,
            restarts=found.restarts,
            next_start=found.next_start,
            health=found.health,
            run_codes=tuple((code, oom) for _, _, code, oom in found.runs),
            tty=row.document["tty"],
            ports=tuple(Port(*port) for port in found.ports),
            networks=networking.names_of(row.document),
            address=found.address,
            labels=tuple(row.document["all_labels"].items()),
        )
