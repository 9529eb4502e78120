"""A full host: many containers, images and indexed files, beside a tenth of all of it."""

from __future__ import annotations

import os
import resource
import subprocess
import time

from benchmarks.cases.app import line
from benchmarks.cases.full_host import LAYER_FILES, Amounts, filled, paths_of
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
KEYS, ANSWER_S, SETTLED_S = 10, 1.0, 0.1
SCREENS = (
    ("containers", b"1", b""), ("images", b"2", b""),
    ("networks", b"4", rb"net-\d"), ("volumes", b"5", rb"volume-\d"),
    ("disk", b"6", rb"Build Cache"), ("events", b"0", rb"load-\d|create"),
    ("statistics", b":go stats\r", rb"load-\d"), ("build cache", b":go cache\r", rb"make \d"),
    ("trash", b":go trash\r", rb"gone\d"),
)  # fmt: skip
"""Tables of the app: the keys that lead there, and what is in rows that are not there before."""
PAINTED = ", a key"
ESCAPE = b"\x1b"
HOME, PAGE_UP, PAGE_DOWN = b"\x1b[H", b"\x1b[5~", b"\x1b[6~"

COMMANDS = (
    "ps", "ps -a --size", "ps -a --filter name=load-1", "ps -a --filter label=tier=3",
    "ps -a --filter ancestor=app0:1", "ps -a --filter volume=volume-7",
    "ps -a --filter network=net-2", "ps -a --filter publish=80", "ps -a --filter status=exited",
    "stats --no-stream", "stats --history 5m", "logs load-0", "diff load-1",
    "container prune", "container updates",
    "images", "images app7", "images --filter label=tier=3", "images --filter reference=app1*",
    "images --filter dangling=true", "images --filter before=app7:1",
    "image find module_77.py", "image find *e_7777.py", "image find sha256:0123456789ab",
    "image prune", "image prune -a", "image prune --keep 3", "image fsck --quick",
    "system df", "system df -v", "system prune -a", "build cache", "build prune -a",
    "volume ls", "volume ls --filter dangling=true", "volume prune -a",
    "network ls", "network prune", "trash ls", "info",
    "events --since 1h --until 0s",
)  # fmt: skip
"""What only looks at all there is; a removal is planned, and nobody says yes to it."""
EACH = (
    ("container inspect", "ps -aq"), ("image inspect", "images -q"),
    ("volume inspect", "volume ls -q"), ("network inspect", "network ls -q"),
)  # fmt: skip
"""Commands that are given all names, and what tells them."""
ONE = (
    "container inspect load-7", "container command load-7", "port load-5", "logs -n 10 load-0",
    "top load-7", "diff load-7", "stats --no-stream load-7", "stats --history 5m load-7",
    "exec load-7 true", "restart -t 0 load-7", "restart -t 0 load-5",
    "run --rm --network none starter true", "run --rm starter true",
    "run --rm --network net-2 starter true", "run --rm -p 127.0.0.1::80 starter true",
    "run --rm --network none -v volume-7:/data starter true",
    "image inspect app7:1", "history app7:1", "image files app7:1", "image check app7:1",
    "image hints app7:1", "image diff app7:1 app8:1",
    "container export -o /dev/null load-7", "inspect load-7",
    "image save -o /dev/null starter", "volume inspect volume-7", "network inspect net-2",
    "volume export -o /dev/null volume-7", "registry ls", "sync ls", "system config",
    "doctor", "unit show",
)  # fmt: skip
"""Commands about one thing: what else there is shall not matter."""


def load(host: BenchHost, rounds: int) -> Growths:
    """Measure every kind of command on both hosts, interleaved, least against least."""
    rounds = max(3, rounds // 4)
    places = [host.work / "load-small", host.work / "load-large"]
    with filled(places[0], ALL.part(SHARE)), filled(places[1], ALL):
        nothing = _compare(rounds, _command(host, places[0], "version"))[0].processor
        rows = [
            _growth(name, _compare(rounds, *(work(place) for place in places)), most, without)
            for name, work, most, without in _works(host, nothing)
        ]
        shown, figures = _app(host, *places)
    note = (
        f"{ALL.containers:,} containers of which {ALL.running} run, {ALL.images:,} images with a "
        f"name each, {ALL.layers * LAYER_FILES:,} files in the indexes, {ALL.volumes} volumes, "
        f"{ALL.networks} networks; beside a host with a tenth of all. Whole commands by the clock, "
        "the shortest of the rounds. What grows is the processor's time, without the "
        f"{nothing * 1000:.0f} ms of a command that does nothing; of the app's tables, the time "
        f"until a table has rows, and the longest from a key to its paint, of {KEYS}."
    )
    return Growths("A full host", note, (*rows, *shown), figures)


def _works(host: BenchHost, nothing: float) -> Iterator[tuple[str, Work, float, float]]:
    """Yield what is measured: its name, itself, how it may grow, and what of it is no work."""
    for words in COMMANDS:
        yield f"`{words}`", _worded(host, words), GROWTH, nothing
    for words, names in EACH:
        yield f"`{words} $({names})`", _worded(host, words, names), GROWTH, 2 * nothing
    for words in ONE:
        yield f"`{words}`", _worded(host, words), GROWTH_OF_ONE, nothing
    yield "`tag` and `rmi` of a name", lambda place: _tag(host, place), GROWTH_OF_ONE, 2 * nothing
    yield "a name completed", _complete, GROWTH, 0


def _worded(host: BenchHost, words: str, names: str = "") -> Work:
    return lambda place: _command(host, place, words, names)


class Taken(Record):
    """What a piece of work takes at the least: seconds by the clock, and of the processor."""

    seconds: float
    processor: float


def _growth(name: str, taken: Sequence[Taken], most: float, nothing: float) -> Growth:
    little, much = (max(one.processor - nothing, 1e-3) for one in taken)
    return Growth(name, taken[0].seconds * 1000, taken[1].seconds * 1000, much / little, most)


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


def _command(host: BenchHost, place: Path, words: str, names: str = "") -> Callable[[], object]:
    argv, env = host.limpet(*words.split()), host.limpet_env(place)

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


def _tag(host: BenchHost, place: Path) -> Callable[[], object]:
    env = host.limpet_env(place)

    def once() -> None:
        run(host.limpet("tag", "app7:1", "more:1"), env)
        run(host.limpet("rmi", "more:1"), env)

    return once


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
        with line(host.limpet(), host.limpet_env(place)) as program:
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
