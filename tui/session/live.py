"""What goes on after a command line was answered: jobs, and output that is followed.

The session looks at these a few times a second; nothing here knows a widget.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from core.record import Record
from tui.answers import failure, progress, summary, visible
from tui.theme import glyphs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.jobs import Job
    from tui.answers import Parts

MOST_LINES = 500
"""Lines of followed output that the session keeps."""


class Look(Record):
    """How something that goes on looks now."""

    body: Sequence[Parts]
    note: str
    ended: bool
    wraps: bool = False


class JobLive:
    """A job's progress."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def look(self) -> Look:
        """Return its items and how far they are."""
        ended = self._job.finished
        view = self._job.snapshot()
        note = summary(view).removeprefix(view.title).strip()
        return Look(progress(view, glyphs()), note, ended)

    def cancel(self) -> None:
        """Ask it to stop."""
        self._job.cancel()


class Tail:
    """Lines of a stream, read in a thread; the oldest fall out and are counted."""

    def __init__(self, source: Iterator[tuple[int, bytes]]) -> None:
        self._source = source
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=MOST_LINES)
        self._count = 0
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._error: Exception | None = None
        threading.Thread(target=self._read, name="limpet-tail", daemon=True).start()

    def _read(self) -> None:
        try:
            for stream, line in self._source:
                self._lines.append((stream, line))
                self._count += 1
                if self._stop.is_set():
                    break
        except Exception as error:  # noqa: BLE001 - shown below the lines
            self._error = error
        self._ended.set()

    def look(self) -> Look:
        """Return the lines that are kept; what stderr said is coloured."""
        ended = self._ended.is_set() or self._stop.is_set()
        body = [_line(stream, line) for stream, line in list(self._lines)]
        if self._error is not None:
            body += failure(self._error)
        lost = self._count - MOST_LINES
        note = f"{lost} earlier lines left out" if lost > 0 else ""
        return Look(body, note if ended else f"{note}  esc ends it".strip(), ended, wraps=True)

    def cancel(self) -> None:
        """Stop following; the thread ends with the next line, or with the program."""
        self._stop.set()
        stop = getattr(self._source, "stop", None)
        if stop is not None:
            stop()


class Live(Protocol):
    """What goes on in a block."""

    def look(self) -> Look:
        """Return how it looks now."""

    def cancel(self) -> None:
        """Ask it to stop."""


def _line(stream: int, line: bytes) -> Parts:
    text = visible(line.rstrip(b"\r\n").decode("utf-8", "replace"))
    return [(text, "warn" if stream == 2 else "")]
