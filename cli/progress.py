"""Shows a job while it runs: bars on a terminal, plain lines elsewhere, and what it says."""

from __future__ import annotations

import os
import sys

from core.commands.show import printable, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.jobs import Item, Job, JobView

EVERY_S = 0.1
BAR = 24


def follow(job: Job, *, quiet: bool = False) -> Any:
    """Wait for the job, showing its progress and its log on stderr; ctrl-c cancels it.

    Returns the job's result or raises what it raised.
    """
    show: _Bars | _Plain | None = None
    if not quiet:
        show = _Bars() if os.isatty(2) and os.environ.get("TERM") != "dumb" else _Plain()
    log = _Log(job)
    try:
        while not job.wait(EVERY_S):
            if show:
                show.update(job.snapshot(), log.news())
    except KeyboardInterrupt:
        job.cancel()
        sys.stderr.write("\ncancelling…\n")
    job.wait()
    if show:
        show.update(job.snapshot(), log.news())
    return job.result()


class _Log:
    """What a job says, a line once; how it failed is told by the error alone."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._shown = 0

    def news(self) -> list[str]:
        """Return the lines that came since the last call."""
        self._shown, lines = self._job.said_since(self._shown)
        cause = getattr(self._job.snapshot().error, "message", None)
        return [printable(line) for line in lines if line != cause]


class _Plain:
    """One line whenever an item changes its note."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def update(self, view: JobView, said: Sequence[str]) -> None:
        for line in said:
            sys.stderr.write(f"{line}\n")
        for item in view.items:
            if self._notes.get(item.name) != item.note:
                self._notes[item.name] = item.note
                sys.stderr.write(f"{item.name}: {item.note}\n")


class _Bars:
    """One line an item, painted over in place; as many as the terminal has room for."""

    def __init__(self) -> None:
        self._painted = 0

    def update(self, view: JobView, said: Sequence[str]) -> None:
        columns, rows = os.get_terminal_size(2)
        items = view.items[-(rows - 1) :]
        lines = [_line(item)[: columns - 1] for item in items]
        up = f"\033[{self._painted}A" if self._painted else ""
        written = "".join(f"\r\033[K{line}\n" for line in (*said, *lines))
        sys.stderr.write(up + written)
        sys.stderr.flush()
        self._painted = len(lines)


def _line(item: Item) -> str:
    if not item.total or item.note in ("done", "exists"):
        return f"{item.name}  {item.note}"
    full = min(BAR, BAR * item.done // item.total)
    bar = "━" * full + " " * (BAR - full)
    return f"{item.name}  {bar} {size(item.done)}/{size(item.total)} {item.note}"
