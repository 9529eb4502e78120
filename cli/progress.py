"""Shows a job while it runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys

from core.commands.show import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.jobs import Item, Job, JobView

EVERY_S = 0.1
BAR = 24


def follow(job: Job) -> Any:
    """Wait for the job, showing its progress on stderr; ctrl-c cancels it.

    Returns the job's result or raises what it raised.
    """
    show = _Bars() if os.isatty(2) and os.environ.get("TERM") != "dumb" else _Plain()
    try:
        while not job.wait(EVERY_S):
            show.update(job.snapshot())
    except KeyboardInterrupt:
        job.cancel()
        sys.stderr.write("\ncancelling…\n")
    job.wait()
    show.update(job.snapshot())
    return job.result()


class _Plain:
    """One line whenever an item changes its note."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def update(self, view: JobView) -> None:
        for item in view.items:
            if self._notes.get(item.name) != item.note:
                self._notes[item.name] = item.note
                sys.stderr.write(f"{item.name}: {item.note}\n")


class _Bars:
    """One line an item, painted over in place; as many as the terminal has room for."""

    def __init__(self) -> None:
        self._painted = 0

    def update(self, view: JobView) -> None:
        columns, rows = os.get_terminal_size(2)
        items = view.items[-(rows - 1) :]
        lines = [_line(item)[: columns - 1] for item in items]
        up = f"\033[{self._painted}A" if self._painted else ""
        sys.stderr.write(up + "".join(f"\r\033[K{line}\n" for line in lines))
        sys.stderr.flush()
        self._painted = len(lines)


def _line(item: Item) -> str:
    if not item.total or item.note in ("done", "exists"):
        return f"{item.name}  {item.note}"
    full = min(BAR, BAR * item.done // item.total)
    bar = "━" * full + " " * (BAR - full)
    return f"{item.name}  {bar} {size(item.done)}/{size(item.total)} {item.note}"
