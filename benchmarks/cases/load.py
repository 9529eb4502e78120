"""A full host: many containers, images and indexed files, beside a tenth of all of it."""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cases.app import line
from benchmarks.cases.image_files import make_layer, make_rows
from benchmarks.measure import Figure, Figures, run
from core.config import load_config
from core.containers.configuration.options import ContainerOptions
from core.engine import Engine
from core.images.assemble import make_image
from core.images.manifest import Descriptor
from core.paths import Paths
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.bench_host import BenchHost

DEFINED, RUNNING, TAGGED, LAYERS = 1000, 200, 5000, 80
LAYER_FILES = 25_000
SHARE = 10
"""The other host has one of so many."""
GROWTH = 14.0
"""What ten times as much may cost: ten times, and what looking it up in longer lists adds."""
LAYERS_EACH = 3
APP_KEYS = 20

COMMANDS = (
    "ps -a", "ps -a --size", "ps -a --filter name=load-1", "ps -a --filter label=tier=3",
    "ps -a --filter ancestor=app0:1", "container inspect load-7", "container prune",
    "images", "images app7", "images --filter label=tier=3", "images --filter reference=app1*",
    "images --filter dangling=true", "image inspect app7:1", "history app7:1",
    "image find module_77.py", "image find *e_7777.py", "image find sha256:0123456789ab",
    "image prune", "image prune -a", "image prune --keep 3", "system df", "system df -v",
    "system prune -a", "image check app7:1",
    "volume ls", "network ls", "container updates", "trash ls", "info",
    "events --since 1h --until 0s",
)  # fmt: skip
"""What only looks; a removal is planned, and nobody says yes to it."""


def load(host: BenchHost, rounds: int) -> Figures:
    """Measure every kind of command on both hosts, interleaved, least against least."""
    rounds = max(3, rounds // 4)
    with _filled(host, "small", SHARE) as small, _filled(host, "large", 1) as large:
        figures: list[Figure] = []
        nothing = _compare(rounds, _command(host, small, "version"))[0].processor
        for words in COMMANDS:
            taken = _compare(rounds, *(_command(host, one, words) for one in (small, large)))
            figures += _figures(f"`{words}`", taken, nothing)
        for name, work in (("`tag` and `rmi` of a name", _tag), ("a name completed", _complete)):
            figures += _figures(name, _compare(rounds, work(host, small), work(host, large)))
        figures += _app(host, small, large)
    note = (
        f"{DEFINED:,} containers of which {RUNNING} run, {TAGGED:,} images with a name each, "
        f"{LAYERS * LAYER_FILES:,} files in the indexes; and a host with a tenth of all. Whole "
        "commands, the shortest of the rounds. Growth is that of the processor's time, without "
        f"the {nothing * 1000:.0f} ms of a command that does nothing."
    )
    return Figures("A full host", note, tuple(figures))


class Taken(Record):
    """What a piece of work takes at the least: seconds by the clock, and of the processor."""

    seconds: float
    processor: float


def _figures(name: str, taken: Sequence[Taken], nothing: float = 0) -> list[Figure]:
    little, much = (max(one.processor - nothing, 1e-3) for one in taken)
    return [
        Figure(name, taken[1].seconds * 1000, "ms", 0),
        Figure(f"{name}, times a tenth's", much / little, "", GROWTH),
    ]


def _compare(rounds: int, *works: Callable[[], object]) -> list[Taken]:
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(rounds):
        for place, work in enumerate(works):
            time.sleep(0.02)
            started, used = time.perf_counter(), _processor()
            work()
            taken[place].append((time.perf_counter() - started, _processor() - used))
    return [Taken(min(s for s, _ in one), min(p for _, p in one)) for one in taken]


def _processor() -> float:
    """Return the processor seconds of this process and of those that it has waited for."""
    times = os.times()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.user + times.system + children.ru_utime + children.ru_stime


def _command(host: BenchHost, place: Path, words: str) -> Callable[[], object]:
    argv, env = host.limpet(*words.split()), host.limpet_env(place)

    def once() -> None:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode and "needs a yes" not in done.stderr:
            raise RuntimeError(f"{words}: {done.returncode}: {done.stderr[-400:]}")

    return once


def _tag(host: BenchHost, place: Path) -> Callable[[], object]:
    env = host.limpet_env(place)

    def once() -> None:
        run(host.limpet("tag", "app7:1", "more:1"), env)
        run(host.limpet("rmi", "more:1"), env)

    return once


def _complete(host: BenchHost, place: Path) -> Callable[[], object]:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from core.commands.complete import LimpetCompleter

    engine = Engine(_paths(place), load_config())

    def once() -> None:
        completer = LimpetCompleter(engine)
        assert list(completer.get_completions(Document("rmi app1"), CompleteEvent()))

    return once


def _app(host: BenchHost, *places: Path) -> list[Figure]:
    """Open the app, and walk through its images."""
    figures = []
    for name, place in zip(("a tenth", "all"), places, strict=True):
        images = len(os.listdir(place / "data/blobs/sha256")) // 2
        with line(host.limpet(), host.limpet_env(place)) as program:
            rows = program.until(rb"Images \x1b?\S*\d{3}")
            program.drain(3)
            program.press(b"2")
            program.drain(1)
            keys = [program.key(key)[0] for key in (b"j", b"\x1b[6~") for _ in range(APP_KEYS)]
            program.press(b"/")
            program.drain(0.5)
            keys_of_filter = [program.key(key)[0] for key in (b"a", b"p", b"p", b"7")]
            figures += [
                Figure(f"the app on {name}: rows", rows * 1000, "ms", 0),
                Figure("- a key among the images, median", statistics.median(keys) * 1000, "ms",
                       15 if images > TAGGED // 2 else 0),
                Figure("- a letter of a filter, longest", max(keys_of_filter) * 1000, "ms", 0),
                Figure("- resident memory", program.memory_mib(), "MiB", 0),
            ]  # fmt: skip
    return figures


@contextmanager
def _filled(host: BenchHost, name: str, share: int) -> Iterator[Path]:
    """Make a host with one of `share` of everything; its containers go at the end."""
    place = host.work / f"load-{name}"
    engine = Engine(_paths(place), load_config())
    engine.images.make_starter().result()
    noise = random.Random(8)
    layers = LAYERS // share
    for number in range(100, 100 + layers):
        make_layer(engine, number, make_rows(noise, number - 99, LAYER_FILES))
    blobs = {
        number: Descriptor("application/vnd.oci.image.layer.v1.tar", _digest(number), 1)
        for number in range(100, 100 + layers)
    }
    for number in range(TAGGED // share):
        chosen = noise.sample(sorted(blobs), LAYERS_EACH)
        described = [(blobs[one], _digest(one)) for one in chosen]
        config = {"author": str(number), "config": {"Labels": {"tier": str(number % 50)}}}
        reference = engine.reference(f"app{number // 5}:{number % 5}").canonical
        make_image(engine.store, config, described, [reference])
    for number in range(DEFINED // share):
        made = engine.containers.create(
            ContainerOptions(
                "starter",
                ("sleep", "3600"),
                name=f"load-{number}",
                network="none",
                labels=(("tier", str(number % 50)),),
            )
        )  # fmt: skip
        if number < RUNNING // share:
            engine.containers.start(made)
    try:
        yield place
    finally:
        for info in engine.containers.list():
            engine.containers.rm(info.id, force=True)
        engine.close()


def _paths(place: Path) -> Paths:
    return Paths(f"{place}/data", f"{place}/run")


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"
