"""The options of `run` and `create` that say how much of the host a container may use."""

from __future__ import annotations

from core.commands.grammar import flag, option
from core.commands.options import limit_values, values
from core.commands.options.network_options import Networked
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

THROTTLES = ("throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
             "throttleWriteIOPSDevice")  # fmt: skip


class Limited(Networked):
    """Memory, processors, disks, and what each process may have."""

    memory: int = option(
        "-m", "--memory", help="memory limit", default=0, metavar="SIZE", convert=values.size
    )
    memory_swap: int = option(
        "--memory-swap", help="memory and swap together; -1: any swap", default=0, metavar="SIZE",
        convert=limit_values.swap,
    )  # fmt: skip
    memory_reservation: int = option(
        "--memory-reservation", help="memory that is left to it when others want it", default=0,
        metavar="SIZE", convert=values.size,
    )  # fmt: skip
    memory_swappiness: int = option(
        "--memory-swappiness", help="how readily it is swapped, 0 to 100; cgroup v1", default=-1,
        metavar="N", convert=limit_values.percent,
    )  # fmt: skip
    oom_kill_disable: bool = flag("--oom-kill-disable", help="wait for memory, do not be killed")
    oom_score_adj: int = option(
        "--oom-score-adj", help="likelier (1000) or less likely (-1000) to be killed", default=0,
        metavar="N", convert=limit_values.oom_score,
    )  # fmt: skip
    cpus: float = option(
        "--cpus", help="how many processors' worth of time", default=0.0, metavar="N",
        convert=values.number,
    )  # fmt: skip
    cpu_shares: int = option(
        "-c", "--cpu-shares", help="its share when others want time; 1024 is usual", default=0,
        metavar="N", convert=limit_values.shares,
    )  # fmt: skip
    cpu_period: int = option(
        "--cpu-period", help="period of the quota", default=0, metavar="MICROSECONDS",
        convert=values.whole,
    )  # fmt: skip
    cpu_quota: int = option(
        "--cpu-quota", help="time in each period", default=0, metavar="MICROSECONDS",
        convert=values.whole,
    )  # fmt: skip
    cpuset_cpus: str = option(
        "--cpuset-cpus", help="the processors it may use", metavar="0-2,4",
        convert=limit_values.cpu_set,
    )  # fmt: skip
    cpuset_mems: str = option(
        "--cpuset-mems", help="the memory nodes it may use", metavar="0,1",
        convert=limit_values.cpu_set,
    )  # fmt: skip
    pids_limit: int = option(
        "--pids-limit", help="most processes; 0: no limit", default=-1, metavar="N",
        convert=values.whole,
    )  # fmt: skip
    blkio_weight: int = option(
        "--blkio-weight", help="its share of disks, 10 to 1000", default=0, metavar="N",
        convert=limit_values.weight,
    )  # fmt: skip
    device_read_bps: tuple[tuple[str, int], ...] = option(
        "--device-read-bps", help="bytes a second read from a disk", many=True,
        metavar="DEVICE:SIZE", convert=limit_values.bytes_rate,
    )  # fmt: skip
    device_write_bps: tuple[tuple[str, int], ...] = option(
        "--device-write-bps", help="bytes a second written to a disk", many=True,
        metavar="DEVICE:SIZE", convert=limit_values.bytes_rate,
    )  # fmt: skip
    device_read_iops: tuple[tuple[str, int], ...] = option(
        "--device-read-iops", help="reads a second from a disk", many=True, metavar="DEVICE:N",
        convert=limit_values.operations_rate,
    )  # fmt: skip
    device_write_iops: tuple[tuple[str, int], ...] = option(
        "--device-write-iops", help="writes a second to a disk", many=True, metavar="DEVICE:N",
        convert=limit_values.operations_rate,
    )  # fmt: skip
    ulimit: tuple[tuple[str, int, int], ...] = option(
        "--ulimit", help="a limit of each process", many=True, metavar="NAME=SOFT[:HARD]",
        convert=limit_values.ulimit,
    )  # fmt: skip
    sysctl: tuple[tuple[str, str], ...] = option(
        "--sysctl", help="a kernel parameter of its own", many=True, metavar="NAME=VALUE",
        convert=limit_values.sysctl,
    )  # fmt: skip
    shm_size: int = option(
        "--shm-size", help="size of /dev/shm", default=0, metavar="SIZE", convert=values.size
    )


def resource_options(args: Limited) -> dict[str, Any]:
    """Return the fields of ContainerOptions that these options set; UsageError for a clash."""
    check_memory(args.memory, args.memory_swap)
    check_cpus(args.cpus, args.cpu_quota, args.cpu_period)
    return {
        "memory_bytes": args.memory,
        "memory_swap_bytes": args.memory_swap,
        "memory_reservation_bytes": args.memory_reservation,
        "memory_swappiness": args.memory_swappiness,
        "oom_kill_disable": args.oom_kill_disable,
        "oom_score_adj": args.oom_score_adj,
        "cpus": args.cpus,
        "cpu_shares": args.cpu_shares,
        "cpu_period_us": args.cpu_period,
        "cpu_quota_us": args.cpu_quota,
        "cpuset_cpus": args.cpuset_cpus,
        "cpuset_mems": args.cpuset_mems,
        "pids_limit": args.pids_limit,
        "blkio_weight": args.blkio_weight,
        "throttles": _throttles(args),
        "ulimits": args.ulimit,
        "sysctls": args.sysctl,
        "shm_bytes": args.shm_size,
    }


def check_memory(memory_bytes: int, swap_bytes: int) -> None:
    """Raise UsageError when memory and swap together would be less than memory alone."""
    if 0 < swap_bytes < memory_bytes:
        raise UsageError(
            "--memory-swap is memory and swap together, so it cannot be below --memory",
            hint="give --memory-swap too; -1 is any swap, 0 twice the memory",
        )


def check_cpus(cpus: float | None, quota_us: int | None, period_us: int | None) -> None:
    """Raise UsageError when time of processors is limited in two ways."""
    if cpus and (quota_us or period_us):
        raise UsageError("--cpus and --cpu-quota say the same", hint="leave one of them out")


def _throttles(args: Limited) -> tuple[tuple[str, str, int], ...]:
    given = (args.device_read_bps, args.device_write_bps, args.device_read_iops,
             args.device_write_iops)  # fmt: skip
    return tuple(
        (kind, path, rate)
        for kind, rates in zip(THROTTLES, given, strict=True)
        for path, rate in rates
    )
