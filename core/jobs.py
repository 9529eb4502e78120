"""Long operations with progress, a log, cancellation and a result.

A job belongs to the engine, never to a widget: closing a screen does not end a pull.
The work runs in a thread and reports through the job; front ends read `snapshot()`
whenever they paint.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from core.errors import Cancelled, Error
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.build.board import Board

LOG_LINES = 1000
KEPT = 200
"""So many jobs that have ended are known; older ones are forgotten."""


class Item(Record):
    """One line of progress, such as a layer: `done` of `total` bytes (total 0: unknown)."""

    name: str
    done: int
    total: int
    note: str


class JobView(Record):
    """What a job looked like at one moment."""

    id: int
    title: str
    state: str
    """running, done, failed or cancelled."""
    items: tuple[Item, ...]
    error: Exception | None
    started: float
    seconds: float


class Job:
    """One long operation; create it through `Jobs.start`."""

    def __init__(self, number: int, title: str) -> None:
        self.id = number
        self.title = title
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._said = 0
        self._saying = threading.Lock()
        self._items: dict[str, Item] = {}
        self._cancel = threading.Event()
        self._finished = threading.Event()
        self._state = "running"
        self._error: Exception | None = None
        self._result: Any = None
        self._started = time.time()
        self._ended = 0.0
        self.board: Board | None = None
        """The steps of a build; None for every other job."""

    def progress(self, name: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` bytes of the item `name` are finished."""
        self._items[name] = Item(name, done, total, note)

    def say(self, line: str) -> None:
        """Add a line to the job's log; the oldest of 1,000 falls out."""
        with self._saying:
            self.log.append(line)
            self._said += 1

    def said_since(self, count: int) -> tuple[int, list[str]]:
        """Return how many lines were ever said, and of those behind the first `count` the last."""
        with self._saying:
            fresh = self._said - count
            return self._said, list(self.log)[-fresh:] if fresh else []

    def check(self) -> None:
        """Raise Cancelled if the user has asked for it; workers call this often."""
        if self._cancel.is_set():
            raise Cancelled(f"{self.title}: cancelled")

    def cancel(self) -> None:
        """Ask the work to stop; returns at once."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether cancellation has been asked for."""
        return self._cancel.is_set()

    @property
    def finished(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self._finished.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most `timeout` seconds; return whether it has ended."""
        return self._finished.wait(timeout)

    def result(self) -> Any:
        """Wait for the end and return what the work returned, or raise what it raised."""
        self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def snapshot(self) -> JobView:
        """Return what the job looks like now."""
        end = self._ended or time.time()
        return JobView(
            self.id,
            self.title,
            self._state,
            tuple(self._items.values()),
            self._error,
            self._started,
            end - self._started,
        )

    def run(self, work: Callable[[Job], Any]) -> None:
        """Do the work in this thread and record how it ended."""
        try:
            self._result = work(self)
            self._state = "done"
        except Cancelled as error:
            self._state, self._error = "cancelled", error
        except Exception as error:  # noqa: BLE001 - kept and raised again by result()
            self._state, self._error = "failed", error
            if isinstance(error, Error):
                self.say(error.message)
        finally:
            self._ended = time.time()
            self._finished.set()


class Jobs:
    """The jobs of this process, newest last: all that go on, and the last that have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._count = 0

    def start(self, title: str, work: Callable[[Job], Any]) -> Job:
        """Run `work(job)` in a thread of its own and return the job at once."""
        with self._lock:
            self._count += 1
            job = Job(self._count, title)
            ended = [one for one in self._jobs if one.finished]
            for old in ended[:-KEPT]:
                self._jobs.remove(old)
            self._jobs.append(job)
        threading.Thread(target=job.run, args=(work,), name=title, daemon=True).start()
        return job

    def all(self) -> list[Job]:
        """Return the jobs that are known, oldest first."""
        with self._lock:
            return list(self._jobs)

    def get(self, number: int) -> Job | None:
        """Return one job by its number."""
        return next((job for job in self.all() if job.id == number), None)
