"""The layer browser of the app: from the command to a tree, and what its keys cost."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

from benchmarks.cases.app import line, median, p95
from benchmarks.cases.image_files import make_image_of, make_layer
from benchmarks.measure import Figure, Figures
from core.config import Config
from core.engine import Engine
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.cases.app import Line

LAYERS, LAYER_FILES = 8, 4000
IMAGE = "app:1"
FIRST = b"folder_00"
FOLDERS = 30
KEYS = {
    "down": ((b"\x1b[B",), 20),
    "open": ((b"\r",), 3),
    "a page down, and up": ((b"\x1b[6~", b"\x1b[5~"), 6),
    "to the end, and to the top": ((b"G", b"g"), 4),
    "the next layer": ((b"]",), LAYERS - 1),
    "only added files, and all again": ((b"a",), 4),
}
"""What is pressed in turn, and how often; each of them changes the picture."""


def browse(host: BenchHost, rounds: int) -> Figures:
    """Open an image of 32,000 files in 8 layers, walk, open, fold, filter."""
    place = host.work / "browse"
    _make(place)
    opened, whole = [], []
    used: dict[str, list[float]] = {name: [] for name in KEYS}
    for _ in range(max(3, rounds // 2)):
        with line(host.limpet(), host.limpet_env(place)) as program:
            program.until(b"help")
            program.drain(2)
            program.press(f":go images {IMAGE} layers".encode())
            program.drain(1)
            opened.append(_seconds(program, b"\r", FIRST))
            program.drain(2)
            for name, (keys, times) in KEYS.items():
                pressed = itertools.islice(itertools.cycle(keys), times)
                used[name] += [_processor(program, key) for key in pressed]
            whole.append(_seconds(program, b"t", rb"layer 8"))
    every = [seconds for took in used.values() for seconds in took]
    return Figures(
        "the layer browser on a line of 160x50",
        "An image of 8 layers of 4,000 files each. Processor: of all threads, from the key "
        "until nothing was written for a third of a second.",
        (
            Figure("from the command to the first tree", median(opened) * 1e3, "ms", 100),
            Figure("a key, processor, p95", p95(every) * 1e3, "ms", 16),
            *(Figure(f"{name}, processor", median(took) * 1e3, "ms", 0)
              for name, took in used.items()),
            Figure("the whole image as one tree", median(whole) * 1e3, "ms", 0),
        ),
    )  # fmt: skip


def _make(place: Path) -> None:
    engine = Engine(Paths(f"{place}/data", f"{place}/run"), Config())
    noise = random.Random(7)
    for number in range(1, LAYERS + 1):
        rows: list[tuple[object, ...]] = [
            (f"folder_{n % FOLDERS:02}/part_{n // 400}/layer_{number}_{n}.py", "file", 0o644, 0, 0,
             n, 1_700_000_000_000_000_000 + n, noise.randbytes(32).hex(), "")
            for n in range(LAYER_FILES)
        ]  # fmt: skip
        make_layer(engine, number, rows)
    make_image_of(engine, IMAGE, list(range(1, LAYERS + 1)))
    engine.close()


def _seconds(program: Line, key: bytes, words: bytes) -> float:
    """Press a key; return seconds until something is written."""
    pressed = time.perf_counter() - program.started
    program.press(key)
    return program.until(words) - pressed


def _processor(program: Line, key: bytes) -> float:
    """Press a key; return seconds of processor that the program used for it."""
    before = _used(program.pid)
    program.key(key)
    return _used(program.pid) - before


def _used(pid: int) -> float:
    """Return processor seconds of all threads of a process (proc(5), schedstat), to the ns."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += int((thread / "schedstat").read_text().split()[0])
    return found / 1e9
