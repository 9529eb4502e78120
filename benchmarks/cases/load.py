"""A full host: many containers, images and indexed files, beside a tenth of all of it."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time

from benchmarks.cases.app import line
from benchmarks.cases.full_host import LAYER_FILES, Amounts, filled, paths_of
from benchmarks.cases.load_words import AND_BACK, EACH, MANY, ONE
from benchmarks.measure import Figure, Growth, Growths, run
from core.config import load_config
from core.engine import Engine
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.bench_host import BenchHost
    from benchmarks.cases.app import Line

    Work = Callable[[Path], Callable[[], object]]

ALL = Amounts()
SHARE = 10
"""The other host has one of so many."""
GROWTH = 14.0
"""What ten times as much may cost: ten times, and what looking it up in longer lists adds."""
GROWTH_OF_ONE = 3.0
"""What one thing among ten times as many may cost: a name is looked up in longer lists."""
AT_LEAST_S, MOST_ROUNDS = 3.0, 20
"""So long each is measured, or so often: of a quick one little is left without what every
command takes, and three rounds tell nothing about that."""
KEYS, ANSWER_S, SETTLED_S = 10, 1.0, 0.1
SCREENS = (
    ("containers", b"1", b""), ("images", b"2", b""),
    ("networks", b"4", rb"net-\d"), ("volumes", b"5", rb"volume-\d"),
    ("registries", b"3", b""),
    ("disk", b"6", rb"Build Cache"), ("events", b"0", rb"load-\d|create"),
    ("statistics", b":go stats\r", rb"load-\d"), ("build cache", b":go cache\r", rb"make \d"),
    ("trash", b":go trash\r", rb"gone\d|more:1|made:1"), ("updates", b":go updates\r", rb"load-\d"),
    ("sync", b":go sync\r", rb"store:app"), ("doctor", b":go doctor\r", rb"kernel"),
    ("jobs", b":jobs\r", rb"JOB"),
)  # fmt: skip
"""Tables of the app: the keys that lead there, and what is in rows that are not there before."""
PAINTED = ", a key"
ESCAPE = b"\x1b"
HOME, PAGE_UP, PAGE_DOWN = b"\x1b[H", b"\x1b[5~", b"\x1b[6~"
RULES = """
[[sync]]
name = "one"
from = "store:*starter"
to = "{registry}/mirror"
[[sync]]
name = "all"
from = "store:app1*"
to = "{registry}/other"
"""


def load(host: BenchHost, rounds: int) -> Growths:
    """Measure every kind of command on both hosts, interleaved with one that does nothing."""
    rounds = max(3, rounds // 4)
    places = [host.work / "load-small", host.work / "load-large"]
    with filled(places[0], ALL.part(SHARE)), filled(places[1], ALL):
        for place in places:
            _prepare(host, place)
        nothing = _command(host, places[0], "version")
        rows = [
            _growth(name, _compare(rounds, nothing, *(work(place) for place in places)), most, of)
            for name, work, most, of in _works(host)
        ]
        shown, figures = _app(host, *places)
    note = (
        f"{ALL.containers:,} containers of which {ALL.running} run, {ALL.images:,} images with a "
        f"name each, {ALL.layers * LAYER_FILES:,} files in the indexes, {ALL.volumes} volumes, "
        f"{ALL.networks} networks; beside a host with a tenth of all. Whole commands by the clock, "
        "the shortest of the rounds. What grows is the processor's time, without that of a "
        "command that does nothing, the median of the rounds; of the app's tables, the time "
        f"until a table has rows, and the longest from a key to its paint, of {KEYS}."
    )
    return Growths("A full host", note, (*rows, *shown), figures)


def _works(host: BenchHost) -> Iterator[tuple[str, Work, float, int]]:
    """Yield what is measured: its name, itself, how it may grow, and how many commands it is."""
    for words in MANY:
        yield _shown(words), _worded(host, words), GROWTH, 1
    for words, names in EACH:
        yield f"`{words} $({names})`", _worded(host, words, names=names), GROWTH, 2
    for words in ONE:
        yield _shown(words), _worded(host, words), GROWTH_OF_ONE, 1
    for lines in AND_BACK:
        yield _shown(*lines), _worded(host, *lines), GROWTH_OF_ONE, len(lines)
    yield "a name completed", _complete, GROWTH, 0


def _shown(*lines: str) -> str:
    return f"`{'; '.join(lines).format(registry='REGISTRY', place='DIR')}`"


def _worded(host: BenchHost, *lines: str, names: str = "") -> Work:
    def work(place: Path) -> Callable[[], object]:
        asked = [_command(host, place, words, names) for words in lines]
        return lambda: [once() for once in asked]

    return work


class Taken(Record):
    """What a piece of work took in each round: seconds by the clock, and of the processor."""

    seconds: tuple[float, ...]
    processor: tuple[float, ...]

    def without(self, nothing: Taken, commands: int) -> float:
        """Return the processor's seconds of the work alone: what is left of a round, the median."""
        rounds = zip(self.processor, nothing.processor, strict=True)
        return max(statistics.median(own - commands * other for own, other in rounds), 1e-3)


def _growth(name: str, taken: Sequence[Taken], most: float, commands: int) -> Growth:
    nothing, little, much = taken
    times = much.without(nothing, commands) / little.without(nothing, commands)
    return Growth(name, min(little.seconds) * 1000, min(much.seconds) * 1000, times, most)


def _compare(rounds: int, *works: Callable[[], object]) -> list[Taken]:
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    begun = time.perf_counter()
    while len(taken[0]) < rounds or (
        len(taken[0]) < MOST_ROUNDS and time.perf_counter() - begun < AT_LEAST_S
    ):
        for place, work in enumerate(works):
            time.sleep(0.02)
            started, used = time.perf_counter(), _processor()
            work()
            taken[place].append((time.perf_counter() - started, _processor() - used))
    return [Taken(*zip(*one, strict=True)) for one in taken]


def _processor() -> float:
    """Return the processor seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _command(host: BenchHost, place: Path, words: str, names: str = "") -> Callable[[], object]:
    words = words.format(registry=host.registry.host, place=place)
    argv, env = host.limpet(*words.split()), _env(host, place)

    def once() -> None:
        more = run(host.limpet(*names.split()), env).split() if names else []
        done = subprocess.run(
            [*argv, *more], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        finds = "fsck" in words  # the layers here were never pulled
        if done.returncode and not finds and "needs a yes" not in done.stderr:
            raise RuntimeError(f"{words}: {done.returncode}: {done.stderr[-400:]}")

    return once


def _env(host: BenchHost, place: Path) -> dict[str, str]:
    return {**host.limpet_env(place), "LIMPET_CONFIG": str(place / "config.toml")}


def _prepare(host: BenchHost, place: Path) -> None:
    """Write what commands are given: rules of sync, and a context for a build."""
    (place / "config.toml").write_text(RULES.format(registry=host.registry.host))
    (place / "context").mkdir()
    (place / "context/Dockerfile").write_text("FROM starter\nCOPY file /file\n")
    (place / "context/file").write_text("of the context\n")


def _complete(place: Path) -> Callable[[], object]:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from core.commands.complete import LimpetCompleter

    engine = Engine(paths_of(place), load_config())

    def once() -> None:
        completer = LimpetCompleter(engine)
        assert list(completer.get_completions(Document("rmi app1"), CompleteEvent()))

    return once


def _app(host: BenchHost, *places: Path) -> tuple[list[Growth], tuple[Figure, ...]]:
    """Open each table of the app on both hosts, move, sort and filter there."""
    taken: list[dict[str, float]] = []
    for place in places:
        with line(host.limpet(), _env(host, place)) as program:
            found = {"first rows": program.until(rb"app\d+")}
            program.drain(3)
            for name, keys, row in SCREENS:
                found |= _screen(program, name, keys, row)
            memory = program.memory_mib()
        taken.append(found)
    little, much = taken
    rows = [
        Growth(f"the app: {name}", 1e3 * little[name], 1e3 * much[name],
               much[name] / max(little[name], 1e-3), 0)
        for name in little
        if little[name] or much[name]  # else a key that changes nothing there
    ]  # fmt: skip
    longest = max(seconds for name, seconds in much.items() if name.endswith(PAINTED))
    return rows, (
        Figure("the app on all: a key to its paint, the longest of any table", longest * 1e3,
               "ms", 100),
        Figure("the app on all: resident memory", memory, "MiB", 0),
    )  # fmt: skip


def _screen(program: Line, name: str, keys: bytes, row: bytes) -> dict[str, float]:
    """Go to a table, and back; return the seconds of what was done there."""
    begun = time.perf_counter() - program.started
    for key in keys:
        program.press(bytes([key]))
    opened = program.until(row) - begun
    program.drain(1)
    program.press(HOME)  # each key from here moves: one that does not would wait for a clock
    program.drain(SETTLED_S)
    moved = [_painted(program, key) for key in (b"j", b"k", PAGE_DOWN, PAGE_UP) * (KEYS // 4)]
    sorted_ = [_painted(program, b">") for _ in range(3)]
    program.press(b"/")
    program.drain(0.3)
    filtered = [_painted(program, key) for key in (b"o", b"a")]
    for _ in range(3):
        program.press(ESCAPE)
        program.drain(0.3)
    times = {"moved": moved, "sorted": sorted_, "filtered": filtered}
    found = {f"{name}, {what}{PAINTED}": max(seconds) for what, seconds in times.items()}
    return {f"{name}, opened": opened, **found} if row else found


def _painted(program: Line, key: bytes) -> float:
    """Press a key; return the seconds to the first byte of its answer, once all have come.

    0 for a key that changes nothing, as at the end of a table.
    """
    pressed = time.perf_counter()
    program.press(key)
    first = time.perf_counter() - pressed if program.read(ANSWER_S) else 0.0
    program.drain(SETTLED_S)
    return first
