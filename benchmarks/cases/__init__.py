"""The benchmarks by name: each takes the host and the number of rounds, and stands alone."""

from __future__ import annotations

from benchmarks.cases import app, containers, first_paint, listing, pulling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Figures, Measurement

CASES: dict[str, Callable[[BenchHost, int], Measurement | Figures]] = {
    "start": containers.start,
    "run": containers.run_without_network,
    "run-bridge": containers.run_on_bridge,
    "exec": containers.execute,
    "ps": listing.ps_few,
    "ps-many": listing.ps_many,
    "pull": pulling.pull,
    "paint": first_paint.paint,
    "app": app.app,
}
