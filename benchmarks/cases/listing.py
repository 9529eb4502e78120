"""Listing containers: how the time grows with their number."""

from __future__ import annotations

from benchmarks.measure import Aim, command, interleave, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement


def ps_few(host: BenchHost, rounds: int) -> Measurement:
    """`ps -a` with 10 containers."""
    return _ps(host, rounds, 10)


def ps_many(host: BenchHost, rounds: int) -> Measurement:
    """`ps -a` with 200 containers."""
    return _ps(host, rounds, 200)


def _ps(host: BenchHost, rounds: int, count: int) -> Measurement:
    """Two of the containers run, so that looking at processes is part of the work."""
    names = [f"bench-ps-{number}" for number in range(count)]
    words = ["--network", "none", "--name"]
    programs = (
        (host.limpet, host.env, host.limpet_image, ["rm", "-f"]),
        (host.podman, host.podman_env, host.podman_image, ["rm", "-f", "-t", "0"]),
    )
    try:
        for program, env, image, _ in programs:
            for name in names[2:]:
                run(program("create", *words, name, image, "true"), env)
            for name in names[:2]:
                run(program("run", "-d", *words, name, image, "sleep", "3600"), env)
        return interleave(
            f"`ps -a`, {count} containers",
            [
                command("limpet", host.limpet("ps", "-a"), host.env),
                command("podman", host.podman("ps", "-a"), host.podman_env),
            ],
            rounds,
            aims=[Aim("limpet", "podman", 1.0 if count == 10 else 0.5)],
        )
    finally:
        for program, env, _, remove in programs:
            run(program(*remove, *names), env)
