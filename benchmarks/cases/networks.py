"""Starting containers on networks of one's own, where others have to hear of them."""

from __future__ import annotations

from benchmarks.measure import command, interleave, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement

OTHERS = 50


def run_on_network(host: BenchHost, rounds: int) -> Measurement:
    """The whole command, on a network with nobody else and on one with many others."""
    run(host.limpet("network", "create", "bench-empty"), host.env)
    run(host.limpet("network", "create", "bench-full"), host.env)
    run(host.podman("network", "create", "bench-empty"), host.podman_env)
    names = [f"bench-{number}" for number in range(OTHERS)]
    for name in names:
        words = ["run", "-d", "--network", "bench-full", "--name", name]
        run(host.limpet(*words, host.limpet_image, "sleep", "3600"), host.env)
    here = ["run", "--rm", "--network"]
    try:
        return interleave(
            "`run --rm --network NETWORK IMAGE true`",
            [
                command(
                    "limpet, alone",
                    host.limpet(*here, "bench-empty", host.limpet_image, "true"),
                    host.env,
                ),
                command(
                    f"limpet, {OTHERS} others",
                    host.limpet(*here, "bench-full", host.limpet_image, "true"),
                    host.env,
                ),
                command(
                    "podman, alone",
                    host.podman(*here, "bench-empty", host.podman_image, "true"),
                    host.podman_env,
                ),
            ],
            rounds,
            "Others on the network learn the new container's names, and forget them at its end.",
        )
    finally:
        run(host.limpet("rm", "-f", *names), host.env)
        run(host.limpet("network", "prune", "-f"), host.env)
        run(host.podman("network", "rm", "bench-empty"), host.podman_env)
