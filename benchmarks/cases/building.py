"""Building the same Dockerfile: cold, and with everything in the cache."""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.measure import Aim, Case, interleave, run
from tests.fixture_images import write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement

FILES, SCANNED = 2000, 50_000
DOCKERFILE = """\
FROM {base}
ENV A=1 B=2
WORKDIR /app
COPY src/ ./src/
RUN find src -type f | wc -l > count
COPY src/d1 ./other/
RUN cp -r src src2 && rm -r src2/d2
LABEL x=y
RUN echo done > /done
CMD ["cat", "/done"]
"""
NOTE = "Debian, ten instructions, 2,000 files (8 MB) in the context, RUN without a network."


def build_cold(host: BenchHost, rounds: int) -> Measurement:
    """Build with --no-cache; the base image is here."""
    context = _context(host)
    cases = [
        Case("limpet", lambda: _limpet(host, context, "--no-cache")),
        Case("podman", lambda: _podman(host, context, "--no-cache")),
    ]
    # In seconds: what BuildKit was once measured to take, which apt does not bring.
    aims = [Aim("limpet", "podman", 0.5), Aim("limpet", "", 1.5)]
    return interleave("`build --no-cache`", cases, max(3, rounds // 4), NOTE, aims)


def build_cached(host: BenchHost, rounds: int) -> Measurement:
    """Build again: nothing has changed."""
    context = _context(host)
    cases = [
        Case("limpet", lambda: _limpet(host, context)),
        Case("podman", lambda: _podman(host, context, "--layers")),
    ]
    aims = [Aim("limpet", "podman", 0.15), Aim("limpet", "", 0.12)]
    return interleave("`build`, all cached", cases, max(5, rounds // 2), NOTE, aims)


def scan(host: BenchHost, rounds: int) -> Measurement:
    """Look at a context of 50,000 files of which one has changed."""
    from core.build.context.files import Context, select
    from core.build.context.ignore import Ignore
    from core.paths import Paths

    root = host.work / "scan"
    for number in range(SCANNED):
        folder = root / f"d{number % 500}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_text(str(number))
    paths = Paths(host.env["LIMPET_DATA_ROOT"], host.env["LIMPET_RUN_ROOT"])
    paths.make()

    def once() -> float:
        (root / "d1/f1").write_text(str(time.time()))
        start = time.perf_counter()
        context = Context(paths, str(root), Ignore(()))
        groups = select(context.tree, ["."], Ignore(()), parents=False)
        context.digest([item for group in groups for item in group], lambda: None)
        context.save()
        return time.perf_counter() - start

    note = "Walk and digests, what a build does before it knows that it has to copy."
    cases = [Case("limpet", once)]
    title, aims = "a context of 50,000 files, one changed", [Aim("limpet", "", 2.0)]
    return interleave(title, cases, max(3, rounds // 4), note, aims)


def _limpet(host: BenchHost, context: Path, *more: str) -> None:
    words = ("build", "-q", "--network", "none", "-t", "bench", *more, str(context))
    run(host.limpet(*words), host.env)


def _podman(host: BenchHost, context: Path, *more: str) -> None:
    words = ("build", "-q", "--network", "none", "-t", "bench", *more, str(context))
    run(host.podman(*words), host.podman_env)


def _base(host: BenchHost) -> str:
    """Push a Debian and pull it with both; returns its name."""
    layout = host.work / "debian-one"
    if not layout.exists():
        write_oci_layout(layout, [host.debian], history=True)
    name = host.registry.push(layout, "debian:one")
    run(host.limpet("pull", name), host.env)
    run(host.podman("pull", "-q", "--tls-verify=false", name), host.podman_env)
    return name


def _context(host: BenchHost) -> Path:
    context = host.work / "context"
    if context.exists():
        return context
    random.seed(1)
    for number in range(FILES):
        folder = context / f"src/d{number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(random.randbytes(random.randint(200, 8000)))
    (context / "Dockerfile").write_text(DOCKERFILE.format(base=_base(host)))
    return context
