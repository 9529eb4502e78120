"""The host's start and end: which containers start with it, and stop as it goes down."""

from __future__ import annotations

from core.containers import repair, state, stored
from core.containers.host import OnHost
from core.containers.starter import Starter
from core.containers.supervision.restarts import starts_at_boot
from core.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.containers.host import Host
    from core.containers.lifecycle import Containers
    from core.containers.state import State
    from core.containers.stored import Row


STOPPED_AT_ONCE = 32


class Boot(OnHost):
    """Starts and stops the containers of a host with the host."""

    def __init__(self, host: Host, containers: Containers) -> None:
        super().__init__(host)
        self._containers = containers
        self._starter = Starter(host)

    def start(self) -> tuple[str, ...]:
        """Start what is to run after a start of the host; returns the names of these.

        Those that cannot be started are tried once more when the others run.  Raises the
        first Error of what is left then.
        """
        started, failed = [], []
        rows = self._starting()
        for last in (False, True):
            again = []
            for row in rows:
                try:
                    self._starter.start(row, -1)
                    started.append(row.name)
                except (Error, OSError) as error:
                    again.append(row)
                    if last:
                        failed.append(error)
            rows = again
        if failed:
            raise failed[0]
        return tuple(started)

    def would_start(self) -> tuple[str, ...]:
        """Return the names of the containers that a start of the host would start now."""
        return tuple(row.name for row in self._starting())

    def stop(self) -> tuple[str, ...]:
        """Stop all that runs, side by side, as the host goes down; returns their names."""
        from concurrent.futures import ThreadPoolExecutor

        rows = stored.all_rows(self._database)
        names = tuple(row.name for row in rows if self._state(row).state in state.ALIVE)

        def stop(name: str) -> None:
            try:
                self._containers.stop(name, by_host=True)
            finally:
                self._database.close()

        with ThreadPoolExecutor(STOPPED_AT_ONCE) as pool:
            list(pool.map(stop, names))
        return names

    def _starting(self) -> Sequence[Row]:
        """Return what a start of the host starts, the oldest first."""

        def starts(row: Row) -> bool:
            found = self._state(row)
            ran, policy = found.started > 0, row.options.restart
            wanted = starts_at_boot(policy, stopped=found.stopped, ran=ran)
            return wanted and found.state not in state.ALIVE

        return tuple(filter(starts, [*stored.all_rows(self._database)][::-1]))

    def _state(self, row: Row) -> State:
        return repair.current_state(self._paths, self._network, row.id)
