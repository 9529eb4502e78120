"""Times alternatives side by side, so that what disturbs one disturbs all of them."""

from __future__ import annotations

import random
import statistics
import subprocess
import time

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Work = Callable[[], "float | None"]

IDLE_S = 0.05
"""Between two measurements: what the last one left running settles."""


class Case(Record):
    """One alternative: `work` does it once, and may return its own figure in seconds."""

    name: str
    work: Work


class Row(Record):
    """What one alternative took."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


class Aim(Record):
    """What one of limpet's rows should take: at most a part of what a peer's row takes.

    Without a peer `most` is in seconds.
    """

    row: str
    peer: str
    most: float


class Measurement(Record):
    """Alternatives measured in one run; the first is limpet's."""

    title: str
    note: str
    rows: tuple[Row, ...]
    aims: tuple[Aim, ...] = ()

    def ratio(self, row: Row) -> float:
        """limpet's median as a part of the row's: 0.5 is half the time."""
        return self.rows[0].median / row.median

    def reached(self, aim: Aim) -> float:
        """Return what came of an aim, in its unit."""
        medians = {row.name: row.median for row in self.rows}
        return medians[aim.row] / (medians[aim.peer] if aim.peer else 1)


class Figure(Record):
    """One figure of limpet's own with the bound that it should keep, 0 for none."""

    name: str
    value: float
    unit: str
    bound: float


class Figures(Record):
    """Figures without a peer."""

    title: str
    note: str
    figures: tuple[Figure, ...]


class Growth(Record):
    """What one piece of work takes on a small host and on a large one."""

    name: str
    little: float
    """Milliseconds by the clock on the small one."""
    much: float
    """And on the large one."""
    times: float
    """What it takes there, as a multiple."""
    most: float
    """What that should be at most, 0 for none."""


class Growths(Record):
    """How things grow with what there is, and figures of the large host alone."""

    title: str
    note: str
    rows: tuple[Growth, ...]
    figures: tuple[Figure, ...] = ()


class Failure(Exception):
    """A command that should have worked did not; says which and what it printed."""


def interleave(
    title: str, cases: Sequence[Case], rounds: int, note: str = "", aims: Sequence[Aim] = ()
) -> Measurement:
    """Do every case once a round in a fresh random order; a first round warms up, uncounted."""
    order = list(cases)
    taken: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        random.shuffle(order)
        for case in order:
            time.sleep(IDLE_S)
            start = time.perf_counter()
            own = case.work()
            seconds = time.perf_counter() - start if own is None else own
            if number:
                taken[case.name].append(seconds)
    return Measurement(
        title, note, tuple(Row(case.name, tuple(taken[case.name])) for case in cases), tuple(aims)
    )


def run(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None) -> str:
    """Run a command and return its output; Failure when it exits with anything but 0."""
    ran = subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip()[-600:]
        raise Failure(f"{' '.join(argv)}: exit {ran.returncode}: {said}")
    return ran.stdout


def command(name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Case:
    """Make a case of a command line: the whole process, from start to exit."""
    return Case(name, lambda: _quiet(run(argv, env)))


def _quiet(_: str) -> None:
    return None
