"""Looking into images: trees, searches and comparisons from the index; names coming and going."""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path

from benchmarks.measure import Figure, Figures, run
from core.config import Config
from core.engine import Engine
from core.images.assemble import make_image
from core.images.files.file_tree import Rows
from core.images.files.layer_stack import Stack
from core.images.index import read_index
from core.images.manifest import Descriptor
from core.paths import Paths
from tests.layers import write_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench_host import BenchHost

FILES = 30_000
LAYERS, LAYER_FILES = 40, 25_000
"""A store of a million files."""


def image_files(host: BenchHost, rounds: int) -> Figures:
    """Measure what the issue of a screen or a script waits for: whole commands, or the core."""
    place = host.work / "files"
    paths = Paths(f"{place}/data", f"{place}/run")
    engine = Engine(paths, Config())
    noise = random.Random(4)
    for number in range(1, LAYERS + 1):
        make_layer(engine, number, make_rows(noise, number, LAYER_FILES))
    rows = make_rows(noise, 100, FILES)
    changed = [(*row[:7], noise.randbytes(32).hex(), "") if n % 100 == 0 else row
               for n, row in enumerate(rows)]  # fmt: skip
    make_layer(engine, 101, rows)
    make_layer(engine, 102, changed)
    for number in (101, 102):
        make_image_of(engine, f"app:{number}", [number])
    make_image_of(engine, "shared:1", [101])
    index = f"{paths.layers}/101.index"
    size = os.stat(index).st_size / FILES
    env = host.limpet_env(place)
    name = "module_777777.py"

    def command(*words: str) -> float:
        return _median(rounds, lambda: run(host.limpet(*words), env))

    def tree() -> None:
        stack = Stack()
        stack.add(read_index(index))
        Rows(stack.image_tree(0), set())

    def removal() -> None:
        run(host.limpet("tag", "shared:1", "more:1"), env)
        took.append(_once(lambda: run(host.limpet("rmi", "more:1"), env)))

    took: list[float] = []
    for _ in range(rounds):
        removal()
    figures = (
        Figure("index of a file", size, "bytes", 150),
        Figure(f"first tree of {FILES:,} files", 1e3 * _median(rounds, tree), "ms", 100),
        Figure("image find, 1,000,000 files", 1e3 * command("image", "find", name), "ms", 100),
        Figure("image find by pattern", 1e3 * command("image", "find", f"*{name[7:]}"), "ms", 100),
        Figure(f"image diff, two of {FILES:,} files",
               1e3 * command("image", "diff", "-q", "app:101", "app:102"), "ms", 300),
        Figure("tag", 1e3 * command("tag", "shared:1", "tagged:1"), "ms", 0),
        Figure("rmi of a name", 1e3 * statistics.median(took), "ms", 0),
        Figure("tag, in the engine", 1e3 * _median(
            rounds, lambda: engine.store.tag("shared:1", "docker.io/library/t:1")), "ms", 30),
        Figure("rmi of a shared image, in the engine", 1e3 * _removal(engine, rounds), "ms", 30),
    )  # fmt: skip
    engine.close()
    note = "Medians; commands are whole processes, from start to exit."
    return Figures("Files of images", note, figures)


def _removal(engine: Engine, rounds: int) -> float:
    took = []
    for _ in range(rounds):
        make_image_of(engine, "gone:1", [101], author="me")

        def remove() -> None:
            plan = engine.store.plan_removal(("gone:1",), force=False, users={})
            engine.store.apply_removal(plan, engine.trash.open("rmi"))

        took.append(_once(remove))
        engine.trash.empty()
    return statistics.median(took)


def make_rows(noise: random.Random, layer: int, count: int) -> list[tuple[object, ...]]:
    """Return the files of a layer, named so that no two layers have the same."""
    first = (layer - 1) * LAYER_FILES
    return [
        (f"usr/lib/python3/dist-packages/package_{n // 50}/part_{n % 7}/module_{n}.py", "file",
         0o644, 0, 0, n % 70_000, 1_700_000_000_000_000_000 + n, noise.randbytes(32).hex(), "")
        for n in range(first, first + count)
    ]  # fmt: skip


def make_layer(engine: Engine, number: int, rows: list[tuple[object, ...]]) -> None:
    """Put a layer into the store that is an index, an empty directory and an empty blob."""
    engine.paths.make()
    blob = Path(engine.store.blobs.path(_digest(number)))
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.touch()
    Path(f"{engine.paths.layers}/{number}").mkdir()
    write_index(f"{engine.paths.layers}/{number}.index", rows)
    with engine.database.write() as sql:
        sql.execute(
            "INSERT INTO layers (id, diff_id, size, files) VALUES (?,?,1,?)",
            (number, _digest(number), len(rows)),
        )


def make_image_of(engine: Engine, name: str, layers: list[int], **config: str) -> None:
    """Put an image of such layers into the store."""
    blob = Descriptor("application/vnd.oci.image.layer.v1.tar", _digest(layers[0]), 1)
    described = [(blob, _digest(number)) for number in layers]
    make_image(engine.store, config, described, [engine.reference(name).canonical])


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median(rounds: int, work: Callable[[], object]) -> float:
    work()
    return statistics.median(_once(work) for _ in range(rounds))
