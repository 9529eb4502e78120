"""Limits to what is written into cgroup files, for a new container and for a running one.

`resources` is that part of the OCI runtime configuration: `memory` (limit, reservation,
swap), `cpu` (shares, quota, period, cpus, mems), `pids` (limit), `blockIO`; what is missing
or 0 has no limit.  The result is (path, value, the option that asked for it).
https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#control-groups
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Write = tuple[str, str, str]
    Home = Callable[[str], str]

CPU_PERIOD_US = 100_000
THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", "--device-read-bps"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", "--device-write-bps"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", "--device-read-iops"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops",
     "--device-write-iops"),
)  # fmt: skip


def writes_v1(resources: Mapping[str, Any], home: Home) -> list[Write]:
    """Return the writes for cgroup v1; `home(controller)` is the container's directory there."""
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    found: list[Write] = []
    if limit := memory.get("limit"):
        found += [
            (f"{home('memory')}/memory.limit_in_bytes", str(limit), "--memory"),
            (f"{home('memory')}/memory.memsw.limit_in_bytes", str(swap_total(memory)),
             "--memory-swap" if memory.get("swap") else ""),
        ]  # fmt: skip
    if reservation := memory.get("reservation"):
        found.append((f"{home('memory')}/memory.soft_limit_in_bytes", str(reservation),
                      "--memory-reservation"))  # fmt: skip
    if memory.get("swappiness") is not None:
        found.append((f"{home('memory')}/memory.swappiness", str(memory["swappiness"]),
                      "--memory-swappiness"))  # fmt: skip
    if memory.get("disableOOMKiller"):
        found.append((f"{home('memory')}/memory.oom_control", "1", "--oom-kill-disable"))
    if quota := cpu.get("quota"):
        found += [
            (f"{home('cpu')}/cpu.cfs_period_us", str(_period(cpu)), ""),
            (f"{home('cpu')}/cpu.cfs_quota_us", str(quota), "--cpus"),
        ]
    if shares := cpu.get("shares"):
        found.append((f"{home('cpu')}/cpu.shares", str(shares), "--cpu-shares"))
    for key in ("cpus", "mems"):
        if cpu.get(key):
            found.append((f"{home('cpuset')}/cpuset.{key}", cpu[key], f"--cpuset-{key}"))
    found += _pids(resources, home("pids"))
    block = resources.get("blockIO") or {}
    if weight := block.get("weight"):
        found.append((f"{home('blkio')}/blkio.bfq.weight", str(weight), "--blkio-weight"))
    for key, file, _, option in THROTTLES:
        for device in block.get(key) or ():
            value = f"{device['major']}:{device['minor']} {device['rate']}"
            found.append((f"{home('blkio')}/{file}", value, option))
    return found


def writes_v2(resources: Mapping[str, Any], home: str) -> list[Write]:
    """Return the writes for cgroup v2 into the container's directory."""
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    found: list[Write] = []
    if limit := memory.get("limit"):
        total = swap_total(memory)
        swap = "max" if total < 0 else str(max(0, total - limit))
        found += [
            (f"{home}/memory.max", str(limit), "--memory"),
            (f"{home}/memory.swap.max", swap, "--memory-swap" if memory.get("swap") else ""),
        ]
    if reservation := memory.get("reservation"):
        found.append((f"{home}/memory.low", str(reservation), "--memory-reservation"))
    if quota := cpu.get("quota"):
        found.append((f"{home}/cpu.max", f"{quota} {_period(cpu)}", "--cpus"))
    if shares := cpu.get("shares"):
        # The scales differ; the kernel's documentation gives no way, OCI's runtimes share this.
        weight = 1 + (shares - 2) * 9999 // 262142
        found.append((f"{home}/cpu.weight", str(weight), "--cpu-shares"))
    for key in ("cpus", "mems"):
        if cpu.get(key):
            found.append((f"{home}/cpuset.{key}", cpu[key], f"--cpuset-{key}"))
    found += _pids(resources, home)
    block = resources.get("blockIO") or {}
    if weight := block.get("weight"):
        found.append((f"{home}/io.bfq.weight", str(weight), "--blkio-weight"))
    for key, _, file, option in THROTTLES:
        for device in block.get(key) or ():
            value = f"{device['major']}:{device['minor']} {file}={device['rate']}"
            found.append((f"{home}/io.max", value, option))
    return found


def controllers(writes: list[Write]) -> list[str]:
    """Return the controllers of cgroup v2 that the writes need, and the usual three."""
    wanted = {path.rpartition("/")[2].partition(".")[0] for path, _, _ in writes}
    return ["cpu", "memory", "pids", *sorted(wanted & {"cpuset", "io"})]


def swap_total(memory: Mapping[str, Any]) -> int:
    """Return memory and swap together, -1 for no limit: as much swap as memory, by default."""
    return int(memory.get("swap") or 2 * memory["limit"])


def _pids(resources: Mapping[str, Any], home: str) -> list[Write]:
    limit = (resources.get("pids") or {}).get("limit")
    return [(f"{home}/pids.max", str(limit), "--pids-limit")] if limit else []


def _period(cpu: Mapping[str, Any]) -> int:
    return int(cpu.get("period") or CPU_PERIOD_US)


def cpu_quota(cpus: float) -> int:
    """Return how many microseconds of each period so many processors are."""
    return max(1000, int(cpus * CPU_PERIOD_US))
