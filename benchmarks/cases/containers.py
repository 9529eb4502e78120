"""Starting, running and entering containers."""

from __future__ import annotations

import itertools
import os

from benchmarks.measure import Aim, Case, command, interleave, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement


LEAST = 20
"""Rounds of what takes tens of milliseconds, and now and then twice as many."""


def start(host: BenchHost, rounds: int) -> Measurement:
    """Start a ready container and wait for its end: the engine's warm spawner beside crun."""
    from core.config import load_config
    from core.containers.configuration.options import ContainerOptions
    from core.engine import Engine
    from core.paths import Paths

    paths = Paths(host.env["LIMPET_DATA_ROOT"], host.env["LIMPET_RUN_ROOT"])
    engine = Engine(paths, load_config())
    null = os.open(os.devnull, os.O_RDWR)
    cases = []
    for network in ("none", "bridge"):
        options = ContainerOptions(host.limpet_image, ("true",), network=network)
        container = engine.containers.create(options)

        def start_and_wait(container: str = container) -> None:
            session = engine.containers.start_attached(container)
            code = session.relay(null, null, null, "ctrl-p,ctrl-q")
            assert code == 0, f"true ended with {code}"

        cases.append(Case(f"limpet, warm spawner, network {network}", start_and_wait))
    cases.append(_crun(host, "crun", seccomp=True))
    cases.append(_crun(host, "crun-no-seccomp", seccomp=False))
    note = "crun: process start to exit on a ready bundle; limpet: engine call to exit code."
    aims = (
        Aim(cases[0].name, "crun, no network", 0.35), Aim(cases[1].name, "crun, no network", 1.0),
    )  # fmt: skip
    try:
        return interleave("start a container of `true`", cases, max(rounds, LEAST), note, aims)
    finally:
        engine.close()
        os.close(null)


def _crun(host: BenchHost, name: str, *, seccomp: bool) -> Case:
    bundle = str(host.bundle(name, seccomp=seccomp))
    numbers = itertools.count()

    def once() -> None:
        argv = ["crun", "--root", str(host.work / "crun"), "run", "--bundle", bundle]
        run([*argv, f"{name}-{next(numbers)}"])

    return Case(f"{name}, no network", once)


def run_without_network(host: BenchHost, rounds: int) -> Measurement:
    """The whole command, process start to exit."""
    return _run(host, rounds, "none")


def run_on_bridge(host: BenchHost, rounds: int) -> Measurement:
    """The same on each one's default bridge network."""
    return _run(host, rounds, "")


def _run(host: BenchHost, rounds: int, network: str) -> Measurement:
    choice = ["--network", network] if network else []
    return interleave(
        f"`run --rm IMAGE true`, {'no' if network else 'default'} network",
        [
            command(
                "limpet", host.limpet("run", "--rm", *choice, host.limpet_image, "true"), host.env
            ),
            command(
                "podman",
                host.podman("run", "--rm", *choice, host.podman_image, "true"),
                host.podman_env,
            ),
        ],
        max(rounds, LEAST),
        aims=[Aim("limpet", "podman", 0.30 if network else 0.20)],
    )


def execute(host: BenchHost, rounds: int) -> Measurement:
    """`exec true` in a running container."""
    words = ["-d", "--network", "none", "--name", "bench-exec"]
    run(host.limpet("run", *words, host.limpet_image, "sleep", "3600"), host.env)
    run(host.podman("run", *words, host.podman_image, "sleep", "3600"), host.podman_env)
    try:
        return interleave(
            "`exec CONTAINER true`",
            [
                command("limpet", host.limpet("exec", "bench-exec", "true"), host.env),
                command("podman", host.podman("exec", "bench-exec", "true"), host.podman_env),
            ],
            max(rounds, LEAST),
            aims=[Aim("limpet", "podman", 0.30)],
        )
    finally:
        run(host.limpet("rm", "-f", "bench-exec"), host.env)
        run(host.podman("rm", "-f", "-t", "0", "bench-exec"), host.podman_env)
