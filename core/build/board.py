"""The state of a build, step by step, for whoever shows it.

Workers write, front ends read: `steps` for how things stand, `since` for what has happened.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.jobs import Job

WAITING, RUNNING, DONE, CACHED, FAILED, SKIPPED = (
    "waiting", "running", "done", "cached", "failed", "skipped",
)  # fmt: skip
LOG_LINES = 5000
EVENTS = 50_000


class Event(Record):
    """Something that happened to a step: kind is start, log, done, cached, failed or note."""

    number: int
    """Of the step, counted from 1; 0: of the build."""
    kind: str
    text: str
    time: float


class StepBoard:
    """One step, as it stands now."""

    def __init__(self, number: int, stage: int, name: str, title: str, line: int) -> None:
        self.number = number
        self.stage = stage
        self.name = name
        """As `[stage 2/5]`."""
        self.title = title
        self.line = line
        """Of the Dockerfile, 0 for a step that is not in it."""
        self.state = WAITING
        self.why = ""
        """Why the cache did not have it."""
        self.started = 0.0
        self.ended = 0.0
        self.log: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self.ended or time.time()) - self.started if self.started else 0.0


class StageBoard(Record):
    """One stage of the graph."""

    index: int
    title: str
    needs: tuple[int, ...]


class Board:
    """All steps of one build."""

    def __init__(self) -> None:
        self.job: Job | None = None
        """Whose progress is told as well."""
        self._lock = Lock()
        self.steps: list[StepBoard] = []
        self.stages: list[StageBoard] = []
        self.warnings: dict[str, None] = {}
        """In their order, each once."""
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._count = 0

    def add(self, stage: int, name: str, title: str, line: int) -> StepBoard:
        """Add a step that waits for its turn."""
        with self._lock:
            step = StepBoard(len(self.steps) + 1, stage, name, title, line)
            self.steps.append(step)
            return step

    def start(self, step: StepBoard, why: str = "") -> None:
        """Note that a step is being worked on, and why the cache did not have it."""
        step.state, step.why, step.started = RUNNING, why, step.started or time.time()
        self._tell(step, "start", why)

    def say(self, step: StepBoard, line: str) -> None:
        """Add a line of output."""
        step.log.append(line)
        self._tell(step, "log", line)

    def end(self, step: StepBoard, state: str, text: str = "") -> None:
        """Note how a step ended."""
        step.state, step.ended = state, time.time()
        step.started = step.started or step.ended
        self._tell(step, state, text)

    def warn(self, line: str) -> None:
        """Add a warning about the Dockerfile."""
        self.warnings[line] = None

    def note(self, text: str) -> None:
        """Say something about the whole build."""
        self._tell(None, "note", text)

    def progress(self, step: StepBoard, done: int, total: int, note: str) -> None:
        """Report how far a step has come."""
        if self.job is not None:
            self.job.progress(f"{step.name} {step.title}"[:70], done, total, note)

    def since(self, place: int) -> tuple[int, list[Event]]:
        """Return the events from `place` on, and the place after them."""
        with self._lock:
            first = self._count - len(self._events)
            events = list(self._events)[max(0, place - first) :]
            return self._count, events

    def _tell(self, step: StepBoard | None, kind: str, text: str) -> None:
        with self._lock:
            self._events.append(Event(step.number if step else 0, kind, text, time.time()))
            self._count += 1
        if step is not None and kind != "log" and self.job is not None:
            self.job.progress(f"{step.name} {step.title}"[:70], 0, 0, step.state)
