"""Opening the app: from the command to a table that can be read."""

from __future__ import annotations

import time

from benchmarks.measure import Aim, Case, interleave, run
from tests.e2e.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement


def paint(host: BenchHost, rounds: int) -> Measurement:
    """Start the app on a pty of 160x50 with one container, until its row is on the screen."""
    words = ["--network", "none", "--name", "bench-paint"]
    run(host.limpet("create", *words, host.limpet_image, "true"), host.env)

    def until(pattern: str) -> float:
        start = time.perf_counter()
        with Terminal(host.limpet(), columns=160, rows=50, env=host.env) as terminal:
            terminal.until(pattern)
            taken = time.perf_counter() - start
            terminal.keys("q")
            terminal.wait()
        return taken

    try:
        return interleave(
            "first paint of the app",
            [
                Case("limpet, first text", lambda: until("Containers")),
                Case("limpet, the container's row", lambda: until("bench-paint")),
                Case("limpet, loaded: its keys", lambda: until(r"\? help")),
            ],
            rounds,
            "No peer: the table of one container, read back from a pty by a terminal emulator.",
            [Aim("limpet, the container's row", "", 0.3)],
        )
    finally:
        run(host.limpet("rm", "-f", "bench-paint"), host.env)
