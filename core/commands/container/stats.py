"""`stats`: what containers use now, again and again on a terminal, or used until now."""

from __future__ import annotations

import time

from core.commands.grammar import Listing, flag, option, positional, verb
from core.commands.options import values
from core.commands.result import Column, Live, Result, Table
from core.containers.state import ALIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.engine import Engine
    from core.model import ContainerInfo, Usage

MEASURE_S = 0.5
"""Over this time processor time is measured."""
SAMPLE_S = 3.0
"""The monitor's last sample is not older."""


class Stats(Listing):
    """Options of `stats`."""

    all: bool = flag("-a", "--all", help="those that do not run, too")
    no_stream: bool = flag("--no-stream", help="one look, on a terminal too")
    no_trunc: bool = flag("--no-trunc", help="whole IDs")
    history: float = option(
        "--history",
        help="what was used in this time: 5m by the second, up to 24h by the minute",
        default=0.0,
        metavar="TIME",
        convert=values.duration,
    )
    containers: tuple[str, ...] = positional(
        "names or IDs; none: all that run",
        default=(),
        many=True,
        metavar="CONTAINER",
        complete="running",
    )


@verb("container stats", Stats, "Show what running containers use", "stats", changes=False)
def stats(engine: Engine, args: Stats) -> Result:
    """Measure, on a terminal again and again until ctrl-c.

    Or show what the monitors kept, also of containers that have ended.
    """
    named = [engine.containers.resolve(name) for name in args.containers]
    if args.history:
        from core.commands.container.stats_history import show_history

        chosen = named or [info for info in engine.containers.list() if info.state in ALIVE]
        return show_history(engine, chosen, args.history, args.format)

    def look() -> Table:
        found = [engine.containers.resolve(info.id) for info in named]
        if not named:
            found = [one for one in engine.containers.list() if args.all or one.state in ALIVE]
        rows = tuple(_measure(engine, found))
        quiet = "ID" if args.quiet else ""
        return Table(COLUMNS, rows, args.format, quiet, full=args.no_trunc)

    first = look()
    if args.no_stream or args.quiet or args.format not in ("", "table"):
        return first
    return Live(COLUMNS, first.rows, args.format, full=args.no_trunc, again=look)


def _measure(engine: Engine, found: Sequence[ContainerInfo]) -> list[dict[str, Any]]:
    before = {info.id: engine.containers.usage(info.id) for info in found}
    started = time.monotonic_ns()
    time.sleep(MEASURE_S)
    elapsed_ns = time.monotonic_ns() - started
    whole = _host_memory()
    rows = []
    for info in found:
        first, now = before[info.id], engine.containers.usage(info.id)
        row = {"ID": info.id, "Container": info.id, "Name": info.name, **NOTHING}
        if first and now:
            row |= _used(first, now, elapsed_ns, whole) | _moved(engine, info)
        rows.append(row)
    return rows


def _used(first: Usage, now: Usage, elapsed_ns: int, whole: int) -> dict[str, Any]:
    limit = now.memory_limit_bytes or whole
    return {
        "PIDs": now.pids,
        "CPUPerc": f"{(now.cpu_ns - first.cpu_ns) / elapsed_ns * 100:.2f}%",
        "MemUsage": now.memory_bytes,
        "MemLimit": limit,
        "MemPerc": f"{now.memory_bytes / limit * 100:.2f}%" if limit else "",
    }


def _moved(engine: Engine, info: ContainerInfo) -> dict[str, str]:
    """Return what went over its network and to disks since its start, as last sampled."""
    from core.commands.show import size

    samples = engine.containers.history(info.id, SAMPLE_S)
    if not samples:
        return {}
    last = samples[-1]
    return {
        "NetIO": f"{size(last.received_bytes)} / {size(last.sent_bytes)}",
        "BlockIO": f"{size(last.read_bytes)} / {size(last.written_bytes)}",
    }


def _host_memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(file.readline().split()[1]) << 10


NOTHING = dict.fromkeys(
    ("PIDs", "CPUPerc", "MemUsage", "MemLimit", "MemPerc", "NetIO", "BlockIO"), ""
)
COLUMNS = (
    Column("ID", "CONTAINER ID", "id"),
    Column("Name", "NAME"),
    Column("CPUPerc", "CPU %"),
    Column("MemUsage", "MEM USAGE", "size"),
    Column("MemLimit", "LIMIT", "size"),
    Column("MemPerc", "MEM %"),
    Column("NetIO", "NET I/O"),
    Column("BlockIO", "BLOCK I/O"),
    Column("PIDs", "PIDS"),
)
