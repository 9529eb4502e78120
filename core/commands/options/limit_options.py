"""The options that change limits of a container; what is not said stays as it is."""

from __future__ import annotations

from core.commands.grammar import Args, option
from core.commands.options import limit_values, values
from core.commands.options.resource_options import check_cpus, check_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.containers.configuration.options import ContainerOptions


def or_none(convert: Callable[[str], Any], nothing: Any = 0) -> Callable[[str], Any]:
    """Return a parser to which 0 means no limit."""
    return lambda word: nothing if word == "0" else convert(word)


def processes(word: str) -> int:
    """Parse --pids-limit: 0 and -1 are no limit."""
    return max(0, values.whole(word))


class Limits(Args):
    """Limits and restart policy; None where nothing was said."""

    memory: int | None = option(
        "-m", "--memory", help="memory limit; 0: none", default=None, metavar="SIZE",
        convert=or_none(values.size),
    )  # fmt: skip
    memory_swap: int | None = option(
        "--memory-swap", help="memory and swap together; -1: any swap", default=None,
        metavar="SIZE", convert=or_none(limit_values.swap),
    )  # fmt: skip
    memory_reservation: int | None = option(
        "--memory-reservation", help="memory that is left to it when others want it; 0: none",
        default=None, metavar="SIZE", convert=or_none(values.size),
    )  # fmt: skip
    cpus: float | None = option(
        "--cpus", help="how many processors' worth of time; 0: all", default=None, metavar="N",
        convert=or_none(values.number, 0.0),
    )  # fmt: skip
    cpu_shares: int | None = option(
        "-c", "--cpu-shares", help="its share when others want time; 0: the usual", default=None,
        metavar="N", convert=or_none(limit_values.shares),
    )  # fmt: skip
    cpu_period: int | None = option(
        "--cpu-period", help="period of the quota", default=None, metavar="MICROSECONDS",
        convert=values.whole,
    )  # fmt: skip
    cpu_quota: int | None = option(
        "--cpu-quota", help="time in each period; 0: all", default=None, metavar="MICROSECONDS",
        convert=values.whole,
    )  # fmt: skip
    cpuset_cpus: str | None = option(
        "--cpuset-cpus", help="the processors it may use; all: all", default=None,
        metavar="0-2,4", convert=lambda word: "" if word == "all" else limit_values.cpu_set(word),
    )  # fmt: skip
    cpuset_mems: str | None = option(
        "--cpuset-mems", help="the memory nodes it may use; all: all", default=None,
        metavar="0,1", convert=lambda word: "" if word == "all" else limit_values.cpu_set(word),
    )  # fmt: skip
    pids_limit: int | None = option(
        "--pids-limit", help="most processes; 0: no limit", default=None, metavar="N",
        convert=processes,
    )  # fmt: skip
    blkio_weight: int | None = option(
        "--blkio-weight", help="its share of disks, 10 to 1000; 0: the usual", default=None,
        metavar="N", convert=or_none(limit_values.weight),
    )  # fmt: skip
    restart: str | None = option(
        "--restart", help="start it again when it ends: no, always, unless-stopped, on-failure[:N]",
        default=None, metavar="POLICY", choices=("no", "always", "unless-stopped", "on-failure"),
        convert=values.restart_policy,
    )  # fmt: skip


FIELDS = {
    "memory": "memory_bytes", "memory_swap": "memory_swap_bytes",
    "memory_reservation": "memory_reservation_bytes", "cpus": "cpus", "cpu_shares": "cpu_shares",
    "cpu_period": "cpu_period_us", "cpu_quota": "cpu_quota_us", "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems", "pids_limit": "pids_limit", "blkio_weight": "blkio_weight",
    "restart": "restart",
}  # fmt: skip
"""Option to the field of ContainerOptions that it sets."""


def with_limits(options: ContainerOptions, args: Limits) -> ContainerOptions:
    """Return the options with what was said.  Raises UsageError where it does not fit."""
    said = {field: value for name, field in FIELDS.items()
            if (value := getattr(args, name)) is not None}  # fmt: skip
    check_cpus(said.get("cpus"), said.get("cpu_quota_us"), said.get("cpu_period_us"))
    if said.get("cpus"):
        said |= {"cpu_quota_us": 0, "cpu_period_us": 0}
    elif said.get("cpu_quota_us"):
        said["cpus"] = 0.0
    changed = options.replace(**said)
    check_memory(changed.memory_bytes, changed.memory_swap_bytes)
    if changed.memory_swap_bytes > 0 and not changed.memory_bytes:
        changed = changed.replace(memory_swap_bytes=0)
    return changed
