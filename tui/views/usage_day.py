"""The Day tab of a container: what it used over the last day, as its monitor kept it."""

from __future__ import annotations

import time
from itertools import pairwise

from core.commands.show import size
from core.containers.supervision.samples import cpu_percent
from tui.theme import chart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.containers.supervision.samples import Sample
    from tui.theme import Glyphs, Part

DAY_S = 86400
BARS = 48
"""Of half an hour each, the highest of its minutes shown."""
ROWS = 4


def day_lines(samples: Sequence[Sample], now: float, glyphs: Glyphs) -> list[list[Part]]:
    """Return two charts over the samples of a day, one a minute; a line when there are none."""
    if len(samples) < 2:
        return [[("nothing was kept yet: a sample is taken every minute that it runs", "dim")]]
    cpu, memory = [0.0] * BARS, [0.0] * BARS
    for before, after in pairwise(samples):
        place = BARS - 1 - int((now - after.time) / DAY_S * BARS)
        if 0 <= place < BARS:
            cpu[place] = max(cpu[place], cpu_percent(before, after))
            memory[place] = max(memory[place], float(after.memory_bytes))
    return [
        *_part("cpu", f"at most {max(cpu):.1f}% of one processor", cpu, 10.0, glyphs),
        [],
        *_part("memory", f"at most {size(int(max(memory)))}", memory, 1.0, glyphs),
        *_hours(now),
    ]


def _part(
    name: str, words: str, values: list[float], least: float, glyphs: Glyphs
) -> list[list[Part]]:
    top = max(least, *values)
    bars = chart(values, top, ROWS, glyphs.bars)
    return [[(f"{name}  ", "dim"), (words, "")], *([(line, "primary")] for line in bars)]


def _hours(now: float) -> list[list[Part]]:
    marks = (now - DAY_S * part / 4 for part in (4, 3, 2, 1))
    texts = [f"{time.strftime('%H:%M', time.localtime(mark)):<{BARS // 4}}" for mark in marks]
    return [[("".join(texts).rstrip(), "dim")]]
