"""`stats --history`: what containers used, sample by sample, as their monitors kept it."""

from __future__ import annotations

import time
from itertools import pairwise

from core.commands.result import Column, Result, Table
from core.containers.supervision.samples import cpu_percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.engine import Engine
    from core.model import ContainerInfo


def show_history(
    engine: Engine, containers: Sequence[ContainerInfo], span_s: float, form: str
) -> Result:
    """Return a row a sample, a container after the other; rates hold since the row before."""
    rows: list[dict[str, Any]] = []
    for info in containers:
        samples = engine.containers.history(info.id, span_s)
        for before, now in pairwise(samples):
            elapsed = now.time - before.time
            rows.append(
                {
                    "ID": info.id,
                    "Name": info.name,
                    "Time": _clock(now.time, span_s),
                    "CPUPerc": f"{cpu_percent(before, now):.2f}%",
                    "MemUsage": now.memory_bytes,
                    "PIDs": now.pids,
                    "NetIn": _rate(before.received_bytes, now.received_bytes, elapsed),
                    "NetOut": _rate(before.sent_bytes, now.sent_bytes, elapsed),
                    "BlockIn": _rate(before.read_bytes, now.read_bytes, elapsed),
                    "BlockOut": _rate(before.written_bytes, now.written_bytes, elapsed),
                    "UnixTime": now.time,
                }
            )
    return Table(COLUMNS, tuple(rows), form)


COLUMNS = (
    Column("Name", "NAME"),
    Column("Time", "TIME"),
    Column("CPUPerc", "CPU %"),
    Column("MemUsage", "MEM USAGE", "size"),
    Column("PIDs", "PIDS"),
    Column("NetIn", "NET IN/s", "size"),
    Column("NetOut", "NET OUT/s", "size"),
    Column("BlockIn", "READ/s", "size"),
    Column("BlockOut", "WRITTEN/s", "size"),
)


def _clock(moment: float, span_s: float) -> str:
    form = "%H:%M:%S" if span_s <= 600 else "%d %b %H:%M"
    return time.strftime(form, time.localtime(moment))


def _rate(before: int, now: int, elapsed_s: float) -> int:
    """Return bytes a second; a counter that has fallen began anew."""
    count = now - before if now >= before else now
    return int(count / elapsed_s) if elapsed_s > 0 else 0
