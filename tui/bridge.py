"""The only place where the app touches the engine from threads.

The engine is synchronous.  One thread watches and samples, each command line runs in a
thread of its own, and everything comes back to the app as a message; no thread ever
touches a widget.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from textual.message import Message

from core.errors import Error
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.commands.result import Plan, Result, Running
    from core.engine import Engine
    from core.jobs import JobView
    from core.model import ContainerInfo, ImageInfo, RegistryInfo, Usage

HISTORY = 6
"""Samples kept for the sparkline of a container."""
CALM_S = 0.1
"""Least time between two readings, however often things change."""
IDLE_S = 5.0
"""Longest time between two readings: a monitor that was killed says nothing."""


class Sample(Record):
    """What a running container uses: per cent of one processor, bytes, the last per cents."""

    cpu: float
    memory_bytes: int
    memory_limit_bytes: int
    history: tuple[float, ...]


class Snapshot(Record):
    """Everything the tables show, read at one moment."""

    containers: tuple[ContainerInfo, ...] = ()
    images: tuple[ImageInfo, ...] = ()
    registries: tuple[RegistryInfo, ...] = ()
    samples: tuple[tuple[str, Sample], ...] = ()
    error: str = ""
    """Why a part could not be read."""
    read: bool = False
    """False before the first reading."""


class Changed(Message):
    """A newer snapshot is in `Bridge.latest`."""


class Answered(Message):
    """A command line has been carried out; `error` is None, an Error, or a bug."""

    def __init__(self, number: int, result: Result | None, error: Exception | None) -> None:
        super().__init__()
        self.number = number
        self.result = result
        self.error = error


READS: dict[str, Callable[[Engine], Sequence[object]]] = {
    "containers": lambda engine: engine.containers.list(),
    "images": lambda engine: engine.images.list(),
    "registries": lambda engine: engine.registries.known(),
}
"""What a snapshot is made of, by its fields."""


class Bridge:
    """Reads the engine's state and runs command lines, off the event loop."""

    def __init__(self, engine: Engine, post: Callable[[Message], bool], *, read_only: bool) -> None:
        self.engine = engine
        self.latest = Snapshot()
        self._post = post
        self._read_only = read_only
        self._stop = threading.Event()
        self._meter = Meter()
        self._told = False

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="limpet-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; the thread ends at its next turn."""
        self._stop.set()

    def take(self) -> Snapshot:
        """Return the newest snapshot; later ones are announced again."""
        self._told = False
        return self.latest

    # Facts, as the tables show them

    def containers(self) -> Sequence[ContainerInfo]:
        """Return all containers, as last read."""
        return self.latest.containers

    def images(self) -> Sequence[ImageInfo]:
        """Return all images, as last read."""
        return self.latest.images

    def registries(self) -> Sequence[RegistryInfo]:
        """Return the known registries, as last read."""
        return self.latest.registries

    # Commands

    def run(self, number: int, line: str) -> None:
        """Carry the line out in a thread; an `Answered` with this number follows."""
        self._thread(number, lambda: self._carry_out(line))

    def apply(self, number: int, plan: Plan) -> None:
        """Do what the plan shows, in a thread."""
        self._thread(number, plan.apply)

    def finish(self, number: int, running: Running) -> None:
        """Make an answer of what an ended job returned, in a thread."""
        self._thread(number, lambda: running.show(running.job.result()))

    def running_jobs(self) -> list[JobView]:
        """Return what the jobs that have not ended look like."""
        if "jobs" not in self.engine.__dict__:
            return []  # the first job makes them
        return [job.snapshot() for job in self.engine.jobs.all() if not job.finished]

    def _thread(self, number: int, work: Callable[[], Result]) -> None:
        def body() -> None:
            try:
                answer = Answered(number, work(), None)
            except Exception as error:  # noqa: BLE001 - shown to the person, bugs included
                answer = Answered(number, None, error)
            self._post(answer)

        threading.Thread(target=body, name=f"limpet-command-{number}", daemon=True).start()

    def _carry_out(self, line: str) -> Result:
        from core.commands import find
        from core.commands.grammar import asks_for_help, parse
        from core.commands.lines import split_pipe
        from core.commands.scan import split
        from tui.session.host_programs import host, piped

        if line.startswith("!"):
            self._may_start()
            return host(line[1:].strip())
        line, command = split_pipe(line)
        if command is not None:
            self._may_start()
            return piped(self._carry_out(line), command)
        verb, rest = find(split(line))
        if asks_for_help(verb, rest):
            from core.commands.help import verb_help
            from core.commands.result import Text

            return Text(verb_help(verb).rstrip())
        args = parse(verb, rest)
        if self._read_only:
            from core.commands.read_only import check

            check(verb, args)
        return verb.run(self.engine, args)

    def _may_start(self) -> None:
        """Raise UsageError where no host program is started: any may change something."""
        if self._read_only:
            from core.commands.read_only import PROGRAMS, refusal

            raise refusal(PROGRAMS)

    # Watching

    def _watch(self) -> None:
        every = float(self.engine.config["tui", "refresh_s"])
        parts = Snapshot()
        changed, read = True, 0.0
        while not self._stop.is_set():
            if changed or time.monotonic() - read > IDLE_S:
                parts, read = self._read(parts), time.monotonic()
            snapshot = parts.replace(samples=self._meter.sample(self.engine, parts.containers))
            if snapshot != self.latest:
                self.latest = snapshot
                if not self._told:
                    self._told = True
                    self._post(Changed())
            time.sleep(CALM_S)
            busy = any(info.state == "running" for info in parts.containers)
            changed = self._wait(max(CALM_S, every - CALM_S) if busy else IDLE_S)

    def _wait(self, timeout_s: float) -> bool:
        try:
            return self.engine.watcher.wait(timeout_s)
        except (Error, OSError):
            self._stop.wait(timeout_s)
            return True

    def _read(self, before: Snapshot) -> Snapshot:
        values: dict[str, object] = {"error": "", "read": True}
        for name, read in READS.items():
            try:
                values[name] = tuple(read(self.engine))
            except Exception as error:  # noqa: BLE001 - one broken part must not hide the others
                values["error"] = f"{name}: {error}"
        return before.replace(**values)


class Meter:
    """Makes per cents and short histories of the counters of running containers."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}
        self._samples: dict[str, Sample] = {}
        self._histories: dict[str, deque[float]] = {}

    def sample(
        self, engine: Engine, containers: Sequence[ContainerInfo]
    ) -> tuple[tuple[str, Sample], ...]:
        """Return a sample for each container that runs."""
        running = [info.id for info in containers if info.state in ("running", "paused")]
        for gone in self._last.keys() - set(running):
            del self._last[gone], self._samples[gone], self._histories[gone]
        for name in running:
            try:
                usage = engine.containers.usage(name)
            except (Error, OSError):
                continue  # it ended between the two readings
            if usage is not None:
                self.add(name, time.monotonic(), usage)
        return tuple(self._samples.items())

    def add(self, name: str, now: float, usage: Usage) -> None:
        """Take one reading of the counters at `now` (seconds, monotonic)."""
        then, cpu_ns = self._last.get(name, (0.0, 0))
        history = self._histories.setdefault(name, deque([0.0] * HISTORY, HISTORY))
        cpu = 0.0
        if then:
            if now - then < CALM_S * 4:
                return  # too short to tell
            cpu = round(max(0, usage.cpu_ns - cpu_ns) / (now - then) / 1e7, 1)
            history.append(cpu)
        self._last[name] = (now, usage.cpu_ns)
        self._samples[name] = Sample(
            cpu, usage.memory_bytes, usage.memory_limit_bytes, tuple(history)
        )
