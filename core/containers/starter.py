"""Starts containers that are stored: what stands between a row and a running monitor."""

from __future__ import annotations

import os

from core.containers import networking, repair, state, stored
from core.containers.attach.session import load_relay
from core.containers.host import OnHost
from core.containers.stored import Lock, Row
from core.containers.supervision import protocol
from core.errors import Conflict, PortTaken
from core.lean_json import dumps
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.state import State
    from core.network.ports.holders import Holder


PUBLISHING = """
SELECT id, name FROM containers WHERE id IN (SELECT value FROM json_each(?))
AND (json_array_length(options, '$.publish') > 0 OR json_extract(options, '$.publish_all'))
"""
PORT_TRIES = 5
"""Starts with ports that the host chooses, of which each may be taken at the last moment."""


class Starter(OnHost):
    """Starts one container at a time, under its lock.  Safe to share between threads."""

    def start(self, row: Row, owner: int, *, again: bool = False) -> None:
        """Start a container, unless it runs; `again` for its restart policy, which counts on.

        `owner` is the descriptor of a front end's socket to it, or -1.  Raises RunError with
        docker's exit code when the program cannot be run, Conflict for one that is paused, or of
        which a removal has left a part.
        A start that is interrupted goes on without us once the monitor has been asked for it.
        """
        require_root("starting a container")
        with Lock(self._paths, row.id) as lock:
            before = repair.locked_state(self._paths, self._network, row.id)
            if before.state in state.WAITING:
                from core.containers import ending

                ending.tell(self._paths, row, bytes((protocol.GO,)))
            if before.state == state.PAUSED and not again:
                raise not_running(row, before.state)
            if before.state == state.DEAD and before.error.startswith(state.HALF_REMOVED):
                raise Conflict(
                    f"container {row.name} is dead: {before.error}",
                    hint=f"limpet rm {row.name}",
                    subject=row.name,
                )
            if before.state in state.ALIVE or (again and not before.wanted):
                return
            try:
                counted = before.replace(
                    restarts=before.restarts + 1 if again else 0,
                    runs=before.runs if again else (),
                )
                with self._network.starting():
                    self._launch_with_ports(row, owner, counted, lock)
            except Exception as error:
                self._network.release(row.id)
                self._keep_error(row.id, before, error)
                raise

    def _launch_with_ports(self, row: Row, owner: int, before: State, lock: Lock) -> None:
        """Launch it; a port that was chosen for it is chosen anew if somebody was quicker."""
        chosen = any(not port.host_port or port.host_last for port in row.options.publish)
        for _ in range(PORT_TRIES - 1 if chosen else 0):
            try:
                return self._launch(row, owner, before, lock)
            except PortTaken:
                self._network.release(row.id)
        return self._launch(row, owner, before, lock)

    def _launch(self, row: Row, owner: int, before: State, lock: Lock) -> None:
        from core.containers import starting

        row = stored.find(self._database, row.id)  # somebody may have edited it meanwhile
        if "layer" in row.document:
            from core.containers.edit.layer_swap import align

            align(self._database, self._paths.container(row.id), row)
        spec = stored.spec_of(self._database, row.id)
        if networking.published(row.options):
            from core.containers.removal import take_back

            take_back(self._network, row.id)  # ports of a start that was killed, too
        network = networking.prepare(self._network, row, self.ports, self.monitored)
        hostname = spec["hostname"] or os.uname().nodename
        starting.write_files(self._paths, self._config, row, hostname, network)
        peers = self.peers(spec)
        plan = starting.make_plan(
            self._paths, row, spec, self._images().lowerdirs(row.image_digest), network, peers,
            volatile=row.options.auto_remove,
        )  # fmt: skip
        job = starting.make_job(
            self._paths, self._config, row, plan, foreground=owner >= 0, before=before,
            pid_namespace=starting.pid_namespace(spec, peers),
        )  # fmt: skip
        try:
            self._launcher.launch("monitor", job, owner, lock.fileno(), load_relay)
        except Exception:
            repair.failed_start(self._network, row.id, spec, network)
            raise

    def peers(self, spec: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """Return the containers that a configuration joins: first process and start ticks."""
        found = {}
        for space in spec["linux"]["namespaces"]:
            if space.get("path", "").startswith("container:"):
                row = stored.find(self._database, space["path"].removeprefix("container:"))
                peer = repair.current_state(self._paths, self._network, row.id)
                if peer.state not in state.ALIVE:
                    raise not_running(row, peer.state)
                found[row.id] = peer.pid, peer.ticks
        return found

    def _keep_error(self, container_id: str, before: State, error: BaseException) -> None:
        """Leave the state as it was, with the reason why the start came to nothing."""
        code = getattr(error, "exit_code", 125)
        kept = before.replace(error=str(error), exit_code=code, wanted=False)
        try:
            state.write_state(self._paths.container(container_id), kept)
        except OSError:
            return  # a full disk, or somebody deleted the directory: the caller is told
        self._paths.touch_changed()

    def ports(self) -> dict[tuple[str, int, int, str], Holder]:
        """Return who has which port of the host: address, port, port inside, protocol."""
        from core.network.ports.holders import Holder

        holders: dict[tuple[str, int, int, str], Holder] = {}
        try:
            monitored = os.listdir(os.path.dirname(self._paths.container_run("")))
        except FileNotFoundError:
            return holders
        # The states of those that publish nothing need not be read.
        for container_id, name in self._database.query(PUBLISHING, (dumps(monitored),)):
            found = repair.current_state(self._paths, self._network, container_id)
            holder = Holder(name, found.address, found.address6, found.table)
            holders.update(dict.fromkeys(found.ports, holder))
        return holders

    def monitored(self, container_id: str) -> bool:
        """Return whether a container has a monitor, which may be waiting to start it again."""
        from core.linux.sockets import has_listener

        return has_listener(f"{self._paths.container_run(container_id)}/{protocol.SOCKET_NAME}")


def not_running(row: Row, found: str = "", wanted: str = "running") -> Conflict:
    """Return the error for a container that is `found` where another state was wanted."""
    is_state = f" but {found}" if found else ""
    hint = {
        state.PAUSED: f"limpet unpause {row.name}",
        state.RUNNING: f"limpet pause {row.name}",
        state.RESTARTING: f"limpet logs {row.name} tells why it ended",
        state.CRASH_LOOPING: f"limpet logs {row.name} tells why it ends",
    }.get(found, f"limpet start {row.name}")
    return Conflict(f"container {row.name} is not {wanted}{is_state}", hint=hint, subject=row.name)
