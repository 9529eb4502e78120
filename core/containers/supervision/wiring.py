"""What connects one container with networks, in the hands of its monitor."""

from __future__ import annotations

import os

from core.containers import state
from core.linux import process
from core.network import names
from core.network.attachment import rewire, veth
from core.network.ports import publishing
from core.network.rootless import pasta
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from core.containers.supervision.deputy import Principal


NO_PROCESS = (0, 0)
"""A PID and start ticks."""


class Wiring:
    """The network of one container, from run to run."""

    def __init__(
        self,
        network: dict[str, Any] | None,
        principal: Principal,
    ) -> None:
        """`network` is what `core.containers.networking` makes.

        `principal` is the monitor, whose children outlive this process.
        """
        self.network = network or {}
        self._principal = principal
        self._pasta = NO_PROCESS
        self._published = self._joined = False
        self._cables: list[int] = []
        """Indexes of the devices that the last run has left, once that is over."""
        self._bridges = -1

    @property
    def holds_bridges(self) -> bool:
        """Whether this process keeps an ordinary user's bridges."""
        return self._bridges >= 0

    def values(self) -> tuple[tuple[int, int], bool, bool]:
        """Return what another process's `go_on` takes, besides `publishing.reserved`."""
        return self._pasta, self._published, self._joined

    def go_on(self, pasta: tuple[int, int], published: bool, joined: bool) -> None:
        """Do so where another process has left off."""
        self._pasta, self._published, self._joined = pasta, published, joined

    def connect(self, pid: int) -> None:
        """Connect a process's namespace: with pasta, with bridges, and its ports with the host."""
        if self.network.get("program"):
            self.end_pasta()
            self._start_pasta(self.network["program"], pid)
        attachments = self.network.get("attachments")
        if not attachments:
            return
        netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if is_rootless():
                self._user_bridges().attach(self._bridges, netns, attachments)
                return
            for attachment in attachments:
                veth.attach(netns, attachment)
        finally:
            os.close(netns)
        if self.network["ports"] and not self._published:
            self._published = True
            publishing.publish(
                self.network["table"],
                self.network["address"],
                self.network["ports"],
                self.network["address6"],
            )

    def announce(self) -> None:
        """Let the others on its networks find it."""
        if not self._joined and "members" in self.network:
            self._joined = True
            for name, values in self.network["members"]:
                names.join(self._zones(), name, names.Member(*values))

    def rewire(self, pid: int, change: dict[str, Any]) -> None:
        """Put the container on a network or take it off one.  Raises OSError.

        `pid` is its first process, or 0; `change` as `core.network.attachment.rewire` has it.
        """
        ports = self.network["ports"] if self._published else []
        if is_rootless():
            self.network = self._rewire_user(pid, change)
        else:
            self.network = rewire.apply(pid, self.network, ports, change)
        self._published = bool(ports and self.network["ports"])

    def _rewire_user(self, pid: int, change: dict[str, Any]) -> dict[str, Any]:
        """Do the same for an ordinary user's container, whose way out is a pasta."""
        self.network["zones"] = change["zones"]
        if change["pasta"] and pid:
            self._start_pasta(change["pasta"], pid)
        after: dict[str, Any] = self._user_bridges().apply(self._bridges, pid, self.network, change)
        if change["pasta"] is not None:
            after["program"] = change["pasta"]
            if not change["pasta"]:
                self.end_pasta()
        return after

    def _user_bridges(self) -> ModuleType:
        """Return what reaches an ordinary user's bridges; from now on they stay, as we do."""
        from core.network.rootless import user_bridges

        if self._bridges < 0:
            self._bridges = user_bridges.hold(self._zones(), state.start_ticks(os.getpid()))
        return user_bridges

    def _zones(self) -> names.Zones:
        return names.Zones(*self.network["zones"])

    def _start_pasta(self, words: list[str], pid: int) -> None:
        started = pasta.start(words, pid, process.clone_parent)
        self._pasta = started, state.start_ticks(started)

    def end_pasta(self) -> None:
        """End the last run's; one that has ended by itself has been reaped, perhaps long ago."""
        pid, ticks = self._pasta
        # The monitor reaps nothing unasked while it has a deputy: it is this one until we ask.
        if state.is_process(pid, ticks):
            pasta.end(pid, self._principal.wait)
        self._pasta = NO_PROCESS

    def give_back(self, container_id: str) -> None:
        """Take names and published ports away; the kernel has yet to take the cables."""
        self.end_pasta()
        if not is_rootless():
            # Now, as another run may have devices of these names before `unplug`.
            self._cables = veth.indexes(self.network.get("attachments") or ())
        if "zones" in self.network:
            try:
                names.leave(self._zones(), container_id)
            except OSError:
                pass  # the disk is full; the next that comes or goes will do it
        if self._published:
            self._published = False
            try:
                publishing.unpublish(self.network["table"], self.network["ports"])
            except OSError:
                pass  # the table has been torn down

    def unplug(self) -> None:
        """See the cables gone, after `give_back`.  Takes a moment that nobody has to wait for."""
        veth.remove_left(self._cables)
