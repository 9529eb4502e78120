"""Many containers: a thousand defined, two hundred of them running."""

from __future__ import annotations

import statistics
import time

from benchmarks.measure import Figure, Figures, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost

DEFINED, RUNNING = 1000, 200
SAMPLE = 20
"""So many starts at either end are compared by their medians."""


def scale(host: BenchHost, rounds: int) -> Figures:
    """How a start and `ps -a` grow with what is there."""
    from core.config import load_config
    from core.containers.configuration.options import ContainerOptions
    from core.engine import Engine
    from core.paths import Paths

    paths = Paths(host.env["LIMPET_DATA_ROOT"], host.env["LIMPET_RUN_ROOT"])
    engine = Engine(paths, load_config())
    options = ContainerOptions(host.limpet_image, ("sleep", "3600"), network="bridge")
    warm = engine.containers.create(options)
    engine.containers.start(warm)
    names = [engine.containers.create(options) for _ in range(RUNNING)]
    taken = []
    for name in names:
        time.sleep(0.02)
        started = time.perf_counter()
        engine.containers.start(name)
        taken.append((time.perf_counter() - started) * 1000)
    for _ in range(DEFINED - RUNNING - 1):
        engine.containers.create(options)
    listings = [_ps(host) for _ in range(rounds)]
    first, last = statistics.median(taken[:SAMPLE]), statistics.median(taken[-SAMPLE:])
    for info in engine.containers.list():
        engine.containers.rm(info.id, force=True)
    engine.network.teardown()
    engine.close()
    note = (
        f"{DEFINED} containers, {RUNNING} of them running on the default network; `ps -a` is the "
        f"whole command, a start the engine's call. Medians of {SAMPLE} starts."
    )
    return Figures(
        "Many containers",
        note,
        (
            Figure("`ps -a`, median", statistics.median(listings), "ms", 150),
            Figure("`ps -a`, minimum", min(listings), "ms", 0),
            Figure("a start among the first", first, "ms", 0),
            Figure("a start among the last", last, "ms", 0),
            Figure("last / first", last / first, "", 1.3),
        ),
    )


def _ps(host: BenchHost) -> float:
    time.sleep(0.05)
    started = time.perf_counter()
    run(host.limpet("ps", "-a"), host.env)
    return (time.perf_counter() - started) * 1000
