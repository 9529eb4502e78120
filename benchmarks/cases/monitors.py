"""What the process beside each container costs in memory, and where it goes."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

from benchmarks import containerd
from benchmarks.measure import Figure, Figures, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.bench_host import BenchHost

COUNT = 50
SHIMS = 10
SETTLE_S = 15
"""Several lines are logged by then, several checks and samples taken."""
SCRIPT = "while :; do echo a line of the log; sleep 2; done"
HEALTH = ("--health-cmd", "true", "--health-interval", "4s")


def memory(host: BenchHost, rounds: int) -> Figures:
    """PSS of a monitor with log, health check and samples on, beside conmon's and a shim's.

    Once for containers that single commands started, once for those of one session (the app,
    `boot`).  A process that has forked them shares its memory with all.
    """
    words = ["run", "-d", "--network", "none"]
    image, script = host.limpet_image, ["sh", "-c", SCRIPT]
    for _ in range(COUNT):
        run(host.limpet(*words, *HEALTH, image, *script), host.env)
    for _ in range(COUNT):
        run(host.podman(*words, host.podman_image, *script), host.podman_env)
    time.sleep(SETTLE_S)
    alone = statistics.mean(_pss(pid) for pid in _monitors(host))
    run(host.limpet("stop", "-t", "0", *run(host.limpet("ps", "-q"), host.env).split()), host.env)
    _start_in_one_session(host)
    time.sleep(SETTLE_S)
    monitors = _monitors(host)
    spawner = _parent(monitors[-1])
    conmons = [pid for pid in _pids() if _name(pid) == "conmon"]
    parts = _parts(monitors)
    figures = [
        Figure("a monitor of a single command, PSS, mean", alone, "KB", 1024),
        _figure("a monitor of one session, PSS, mean", [_pss(pid) for pid in monitors], 1024),
        *(Figure(f"- {name}", value, "KB", 0) for name, value in parts.items()),
        _figure("- of it nobody else's, mean", [_private(pid) for pid in monitors]),
        _figure("the spawner of all, PSS", [_pss(spawner)]),
        _figure("a monitor, page tables besides", [_page_tables(pid) for pid in monitors]),
        _figure("podman's conmon (log only), PSS, mean", [_pss(pid) for pid in conmons]),
        _figure("podman's conmon, page tables besides", [_page_tables(pid) for pid in conmons]),
        *_shim(host),
        Figure("processor time, all monitors", _processor(monitors), "% of one", 0),
    ]
    run(host.limpet("rm", "-f", *run(host.limpet("ps", "-aq"), host.env).split()), host.env)
    run(host.podman("rm", "-f", "-a", "-t", "0"), host.podman_env)
    note = (
        f"{COUNT} containers that write a line every two seconds run. Each limpet monitor logs, "
        "checks health every four seconds and takes a sample every second. conmon logs, and so "
        f"do containerd's shims, of which there are {SHIMS}."
    )
    return Figures("Memory of the process beside each container", note, tuple(figures))


def _shim(host: BenchHost) -> list[Figure]:
    """Return what one of containerd's costs, where that is installed."""
    if not containerd.is_here():
        return []
    with containerd.Containerd(host.work / "containerd", host.work / "busybox") as peer:
        for number in range(SHIMS):
            peer.start(f"shim-{number}", SCRIPT)
        time.sleep(SETTLE_S)
        return [_figure("containerd's shim (log only), PSS, mean", list(map(_pss, peer.shims())))]


def _monitors(host: BenchHost) -> list[int]:
    """Return the processes of the monitors that run."""
    states = Path(host.env["LIMPET_DATA_ROOT"]).glob("containers/*/state.json")
    found = [json.loads(state.read_text()) for state in states]
    return [one["monitor"] for one in found if one["state"] == "running"]


def _start_in_one_session(host: BenchHost) -> None:
    from core.config import load_config
    from core.engine import Engine
    from core.paths import Paths

    engine = Engine(Paths(host.env["LIMPET_DATA_ROOT"], host.env["LIMPET_RUN_ROOT"]), load_config())
    for info in engine.containers.list():
        engine.containers.start(info.id)
    engine.close()


def _figure(name: str, values: list[int], bound: float = 0) -> Figure:
    return Figure(name, statistics.mean(values), "KB", bound)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _field(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def _pss(pid: int) -> int:
    return _field(pid, "smaps_rollup", "Pss")


def _private(pid: int) -> int:
    return sum(_field(pid, "smaps_rollup", f"Private_{kind}") for kind in ("Clean", "Dirty"))


def _parent(pid: int) -> int:
    return _field(pid, "status", "PPid")


def _page_tables(pid: int) -> int:
    return _field(pid, "status", "VmPTE")


def _parts(pids: Iterable[int]) -> dict[str, float]:
    """Return the mean PSS by kind of mapping, the largest first."""
    sums: dict[str, int] = {}
    count = 0
    for pid in pids:
        count += 1
        kind = ""
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                kind = _kind(words)
            elif words[0] == "Pss:":
                sums[kind] = sums.get(kind, 0) + int(words[1])
    means = {name: value / count for name, value in sums.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _kind(words: list[str]) -> str:
    path = words[5] if len(words) > 5 else ""
    if path == "[heap]":
        return "heap"
    if path == "[stack]":
        return "stack"
    if not path.startswith("/"):
        return "anonymous: Python's objects"
    owner = "interpreter" if "python3" in os.path.basename(path) else "other libraries"
    return f"{owner}, {'data' if 'w' in words[1] else 'code'}"


def _processor(pids: Iterable[int]) -> float:
    """Return per cent of one processor over some seconds, children that were reaped included."""
    before, started = sum(map(_ticks, pids)), time.monotonic()
    time.sleep(8)
    used = (sum(map(_ticks, pids)) - before) / os.sysconf("SC_CLK_TCK")
    return used / (time.monotonic() - started) * 100


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))
