"""Shows a job while it runs: bars on a terminal, plain lines elsewhere, and what it says."""

from __future__ import annotations

import sys

from cli.screen import is_screen
from core.commands.show import printable, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rich.progress import TaskID

    from core.jobs import Job, JobView

EVERY_S = 0.1
BAR = 24
FINISHED = ("done", "exists")


def follow(job: Job, *, quiet: bool = False) -> Any:
    """Wait for the job, showing its progress and its log on stderr; ctrl-c cancels it.

    Returns the job's result or raises what it raised.
    """
    show: _Bars | _Plain | None = None
    if not quiet:
        show = _Bars() if is_screen(2) else _Plain()
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
        show.close()
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
                sys.stderr.write(printable(f"{item.name}: {item.note}") + "\n")

    def close(self) -> None:
        """Nothing is left to be taken away."""


class _Bars:
    """A bar an item, painted over in place by rich, as many as the terminal has room for."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR),
            TextColumn("{task.fields[size]}"),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
        )
        self._rows: dict[str, TaskID] = {}
        self._progress.start()

    def update(self, view: JobView, said: Sequence[str]) -> None:
        for line in said:
            self._progress.console.print(line, markup=False)
        for item in view.items:
            total = item.total or 1
            done = total if item.note in FINISHED else min(item.done, total)
            if item.name not in self._rows:
                self._rows[item.name] = self._progress.add_task(
                    printable(item.name), size="", note=""
                )
            self._progress.update(
                self._rows[item.name], total=total, completed=done,
                size=f"{size(item.done)}/{size(item.total)}" if item.total else "",
                note=printable(item.note),
            )  # fmt: skip
        self._progress.refresh()

    def close(self) -> None:
        self._progress.stop()
