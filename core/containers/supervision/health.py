"""Runs a container's health check again and again, inside its monitor.

The check enters the container as an exec does.  One that takes too long is killed with all
it started; nothing here ever waits for it.  The last results are in `health.json`.
"""

from __future__ import annotations

import _signal
import marshal
import os
import time

from core.containers.runtime import enter
from core.containers.runtime.init import FAILED, MAX_MESSAGE
from core.containers.state import read_file, replace_file
from core.containers.supervision import child, request
from core.lean_json import dumps
from core.linux import process
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.containers.supervision.pump import Loop

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
# moby: daemon/health.go
KEPT_RESULTS, MAX_OUTPUT = 5, 4096
TIMED_OUT = -1
FILE = "health.json"


class Probe:
    """One check under way."""

    def __init__(self, forked: child.Forked, output: int) -> None:
        self.pid = forked.pid
        self.pidfd = process.pidfd_open(forked.pid)
        self.channel = forked.channel
        self.channel.setblocking(False)
        self.output = output
        self.started = time.time()
        self.said = b""
        self.failure: tuple[int, str] | None = None
        """Exit code and words for why there is no program."""
        self.judged = False
        """Its result is known already: it has taken too long."""


class Health:
    """The health of one container.

    `check` is what `configuration.healthcheck` makes, `target` what `plan.make_target` takes but
    for pid and ticks.  `changed(status)` is called when the status changes, `reap()`
    when a child has ended: it is to pass that on to `reaped`.
    """

    def __init__(
        self,
        check: dict[str, Any],
        target: dict[str, Any],
        loop: Loop,
        directory: str,
        changed: Callable[[str], None],
        reap: Callable[[], None],
    ) -> None:
        self._check = check
        self._target = {**target, "argv": tuple(check["argv"])}
        self._loop = loop
        self._file = f"{directory}/{FILE}"
        self._changed = changed
        self._reap = reap
        self._status = ""
        self._failing = 0
        self._began = self._due = 0.0
        self._probe: Probe | None = None
        self._results: list[dict[str, Any]] = []

    def values(self) -> tuple[Any, ...]:
        """Return what another process's `go_on` takes, between two checks."""
        return self._status, self._failing, self._began, self._results, self._due

    def go_on(self, pid: int, ticks: int, values: tuple[Any, ...]) -> None:
        """Do so where another process has left off, in the run of process `pid`."""
        self._target.update(pid=pid, ticks=ticks)
        self._status, self._failing, self._began, self._results, self._due = values
        if self._due:
            self._loop.later(self._due - time.monotonic(), self._start)

    @property
    def due(self) -> float:
        """The time of the next check, in seconds of the monotonic clock; 0 for none."""
        return self._due

    @property
    def is_checking(self) -> bool:
        """Whether a check is under way."""
        return self._probe is not None

    def begin(self, pid: int, ticks: int) -> None:
        """The container runs, as process `pid` that started at `ticks`; it is STARTING."""
        self._target.update(pid=pid, ticks=ticks)
        self._status, self._failing, self._began = STARTING, 0, time.time()
        self._schedule()

    def end(self) -> None:
        """The container has ended, and with it a check under way."""
        self.pause()
        if self._probe is not None:
            self._kill(self._probe)
            self._drop(self._probe)

    def pause(self) -> None:
        """Count no time: the container is frozen."""
        self._due = 0.0
        self._loop.forget(self._start)
        self._loop.forget(self._late)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._probe is not None and not self._probe.judged:
            self._loop.later(self._check["timeout_s"], self._late)
        else:
            self._schedule()

    def reaped(self, pid: int, status: int) -> None:
        """A child of the monitor has ended that is not the container's first process."""
        probe = self._probe
        if probe is None or probe.pid != pid:
            return
        self._read(probe)
        self._hear(probe)
        self._drop(probe)
        if not probe.judged:
            result = child.exit_code(status), probe.said.decode("utf-8", "replace")
            self._note(probe.started, *(probe.failure or result))

    # -- one check -------------------------------------------------------------------

    def _schedule(self) -> None:
        check = self._check
        young = time.time() - self._began < check["start_period_s"]
        hurry = young and self._status == STARTING
        interval: float = check["start_interval_s" if hurry else "interval_s"]
        self._due = time.monotonic() + interval
        self._loop.later(interval, self._start)

    def _start(self) -> None:
        if self._probe is not None:  # it was killed, and hangs in the kernel
            self._note(time.time(), TIMED_OUT, "the last check has been killed and does not end")
            return
        try:
            self._probe = probe = self._fork()
        except OSError as error:
            self._note(time.time(), 126, f"the check cannot be started: {error}")
            return
        self._loop.add(probe.output, lambda: self._read(probe))
        self._loop.add(probe.channel.fileno(), lambda: self._hear(probe))
        self._loop.add(probe.pidfd, self._reap)
        self._loop.later(self._check["timeout_s"], self._late)

    def _fork(self) -> Probe:
        if not is_rootless():  # whose monitors have never chosen another, see child.fork_first
            own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            process.setns(own, process.CLONE_NEWPID)  # not born inside: nothing there may see it
            os.close(own)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        read, write = os.pipe()
        os.set_blocking(read, False)
        try:
            forked = child.fork(enter.run)
            request.send(forked.channel, self._target, (null, write, write))
            return Probe(forked, read)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(null)
            os.close(write)

    def _read(self, probe: Probe) -> None:
        if probe.output < 0:
            return
        try:
            while data := os.read(probe.output, MAX_OUTPUT):
                probe.said = (probe.said + data)[: MAX_OUTPUT + 1]
        except BlockingIOError:
            return
        self._loop.drop(probe.output)
        os.close(probe.output)
        probe.output = -1

    def _hear(self, probe: Probe) -> None:
        """Hear why there is no program; the end without a word means that there is one."""
        try:
            message = probe.channel.recv(MAX_MESSAGE)
        except OSError:
            message = b""
        if message.startswith(FAILED):
            stage, _, text, code = marshal.loads(message[len(FAILED) :])  # noqa: S302 - our own child
            probe.failure = code, f"{stage}: {text}"
        elif not message:
            self._loop.drop(probe.channel.fileno())

    def _late(self) -> None:
        probe = self._probe
        if probe is None:
            return
        probe.judged = True
        self._kill(probe)
        timeout = f"{self._check['timeout_s']:g} s"
        self._note(probe.started, TIMED_OUT, f"Health check exceeded timeout ({timeout})")

    def _kill(self, probe: Probe) -> None:
        """Kill a check and what it started, which is in the process group of its program."""
        try:
            os.kill(probe.pid, _signal.SIGSTOP)  # so that it reaps nobody meanwhile
            inner = read_file(f"/proc/{probe.pid}/task/{probe.pid}/children").split()
        except OSError:
            inner = []
        for pid in inner:
            for target in (-int(pid), int(pid)):
                try:
                    os.kill(target, _signal.SIGKILL)
                except OSError:
                    pass  # not a leader yet, or gone
        try:
            os.kill(probe.pid, _signal.SIGKILL)  # not reaped yet, so it is still this one
        except OSError:
            pass  # a kernel that says no must not end the container

    def _drop(self, probe: Probe) -> None:
        self._probe = None
        self._loop.forget(self._late)
        self._loop.drop(probe.channel.fileno())
        self._loop.drop(probe.pidfd)
        probe.channel.close()
        os.close(probe.pidfd)
        if probe.output >= 0:
            self._loop.drop(probe.output)
            os.close(probe.output)
            probe.output = -1

    # -- what it says ----------------------------------------------------------------

    def _note(self, started: float, code: int, output: str) -> None:
        """Count a result, tell a new status, and see to the next check."""
        check = self._check
        if len(output) > MAX_OUTPUT:
            output = output[:MAX_OUTPUT] + "..."
        result = {"started": started, "ended": time.time(), "code": code, "output": output}
        self._results = [*self._results, result][-KEPT_RESULTS:]
        status = self._status
        if code == 0:
            self._failing, status = 0, HEALTHY
        elif status != STARTING or started - self._began >= check["start_period_s"]:
            self._failing += 1
            if self._failing >= check["retries"]:
                status = UNHEALTHY
        try:
            text = dumps({"failing": self._failing, "results": self._results})
            replace_file(self._file, text.encode("utf-8", "replace"))
        except OSError:
            pass  # a full disk
        if status != self._status:
            self._status = status
            self._changed(status)
        self._schedule()
