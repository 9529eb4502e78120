"""What a container uses, second by second, as graphs."""

from __future__ import annotations

import time
from itertools import pairwise

from core.commands.show import size
from core.containers.supervision.samples import cpu_percent
from tui.theme import chart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.containers.supervision.samples import Sample
    from core.model import Usage
    from tui.screens.detail.tab import Line
    from tui.theme import Glyphs

LABEL = 14


class Meter:
    """Readings of what a container uses, and the lines that show them."""

    def __init__(self, kept: int = 240) -> None:
        self._kept = kept
        self._last: tuple[float, Usage] | None = None
        self._cpu: list[float] = []
        self._memory: list[float] = []

    def seed(self, samples: Sequence[Sample]) -> None:
        """Begin with what was kept of the time before, a sample a second."""
        self._cpu = [cpu_percent(before, after) for before, after in pairwise(samples)]
        self._memory = [float(sample.memory_bytes) for sample in samples]

    def take(self, usage: Usage | None, now: float = 0) -> None:
        """Take a reading; None: it does not run."""
        now = now or time.monotonic()
        if usage is None:
            self._last = None
            return
        if self._last and now > self._last[0]:
            spent = usage.cpu_ns - self._last[1].cpu_ns
            self._cpu.append(max(0.0, spent / (now - self._last[0]) / 1e7))
        self._memory.append(usage.memory_bytes)
        del self._cpu[: -self._kept], self._memory[: -self._kept]
        self._last = (now, usage)

    def lines(self, width: int, glyphs: Glyphs, rows: int = 1) -> list[Line]:
        """Return the lines; a bar a reading, the newest at the right, each `rows` high."""
        import os

        if self._last is None:
            return [[("it does not run", "dim")]]
        usage = self._last[1]
        room = max(8, width - LABEL)
        cpu = self._cpu[-1] if self._cpu else 0.0
        cores = os.cpu_count() or 1
        limit = usage.memory_limit_bytes
        memory = size(usage.memory_bytes) + (f" of {size(limit)}" if limit else "")
        most = f" of {usage.pids_limit}" if usage.pids_limit else ""
        peak = f", at most {max(self._cpu):.1f}%" if self._cpu else ""
        whole = f", {cpu / cores:.1f}% of all {cores}" if cores > 1 else ""
        top = float(limit) if limit else max(self._memory) * 1.25
        return [
            [(f"{'cpu':<{LABEL}}", "dim"), (f"{cpu:.1f}% of one processor{whole}{peak}", "")],
            *_bars(self._cpu, max(10.0, *self._cpu, 0.0), room, rows, glyphs),
            [],
            [
                (f"{'memory':<{LABEL}}", "dim"),
                (f"{memory}, at most {size(max(self._memory))}", ""),
            ],
            *_bars(self._memory, max(1.0, top), room, rows, glyphs),
            [],
            [(f"{'processes':<{LABEL}}", "dim"), (f"{usage.pids}{most}", "")],
        ]


def _bars(
    values: Sequence[float], top: float, width: int, rows: int, glyphs: Glyphs
) -> Iterable[Line]:
    for line in chart(values[-width:], top, rows, glyphs.bars):
        yield [(" " * LABEL, ""), (line, "primary")]
