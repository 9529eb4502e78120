"""Writes what was measured, with the machine and the date it was measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.measure import Figures, Growths
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Figure, Growth, Measurement

    Measured = Measurement | Figures | Growths


def machine() -> dict[str, str]:
    """Return what figures depend on: processor, kernel, versions, load."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "processor": f"{os.cpu_count()} x {model}",
        "kernel": platform.release(),
        "cgroups": "v1" if Path("/sys/fs/cgroup/pids").is_dir() else "v2",
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        "python": platform.python_version(),
        "podman": _version("podman", "--version"),
        "crun": _version("crun", "--version"),
    }


def _version(*argv: str) -> str:
    said = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
    return said[0].split()[-1] if said else "missing"


class Result(Record):
    """What came of one aim."""

    what: str
    measured: str
    aim: str
    part: float
    """Of what was aimed at: up to 1 the aim is met."""

    @property
    def met(self) -> bool:
        """As shown: to the digits that a table has."""
        return round(self.part, 2) <= 1


def results(measured: Sequence[Measured]) -> list[Result]:
    """Return what came of every aim, those missed by most first."""
    found = []
    for one in measured:
        if isinstance(one, Figures | Growths):
            found += [
                Result(f"{one.title}: {figure.name}", _value(figure), _bound(figure),
                       figure.value / figure.bound)
                for figure in one.figures
                if figure.bound
            ]  # fmt: skip
        if isinstance(one, Growths):
            found += _growing(one)
        if isinstance(one, Figures | Growths):
            continue
        for aim in one.aims:
            reached, beside = one.reached(aim), f" of {aim.peer}" if aim.peer else ""
            shown = (f"{reached:.2f}{beside}", f"{aim.most:g}{beside}")
            if not aim.peer:
                shown = (_shown(reached), _shown(aim.most))
            row = "" if aim.row == "limpet" else f", {aim.row}"
            found.append(Result(f"{one.title}{row}", *shown, reached / aim.most))
    return sorted(found, key=lambda result: -result.part)


def _growing(one: Growths) -> list[Result]:
    """Return what grew too much, and of all else what came nearest to each bound."""
    found = [
        Result(f"{one.title}: {row.name}", f"x {row.times:.1f}", f"x {row.most:g}",
               row.times / row.most)
        for row in sorted(one.rows, key=lambda row: row.times)
        if row.most
    ]  # fmt: skip
    nearest = {result.aim: result for result in found if result.met}
    return [result for result in found if not result.met or result is nearest[result.aim]]


def markdown(
    facts: Mapping[str, str],
    measured: Sequence[Measured],
    failed: Sequence[str] = (),
) -> str:
    """Return the page: what was aimed at and what came of it, then a table per benchmark."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += [
        "Written by `./bench`. Everything beside limpet was measured in the same run. Times are "
        "medians; a ratio is limpet's part of the other's, below 1 limpet was quicker.",
        "",
    ]
    lines += [f"Could not be measured: {text}." for text in failed] + [""] * bool(failed)
    lines += _summary(results(measured))
    for one in measured:
        lines += [f"## {one.title}", ""]
        lines += [one.note, ""] if one.note else []
        if isinstance(one, Growths):
            lines += [*_growths(one.rows), ""]
        if isinstance(one, Figures | Growths):
            lines += _figures(one.figures)
        else:
            lines += _measurement(one)
        lines.append("")
    return "\n".join(lines)


def _summary(found: Sequence[Result]) -> list[str]:
    missed = [result for result in found if not result.met]
    lines = ["## Aims", "", f"{len(found) - len(missed)} of {len(found)} are met.", ""]
    met = [result for result in found if result.met]
    for title, some in (("missed", missed), ("met", met)):
        if some:
            lines += [f"| {title} | measured | aim |", "|---|---|---|"]
            lines += [f"| {one.what} | {one.measured} | {one.aim} |" for one in some]
            lines.append("")
    return lines


def _figures(figures: Sequence[Figure]) -> list[str]:
    return [
        "| | measured | at most |",
        "|---|---|---|",
        *(f"| {figure.name} | {_value(figure)} | {_bound(figure)} |" for figure in figures),
    ]


def _growths(rows: Sequence[Growth]) -> list[str]:
    return [
        "| | a tenth | all | grows | at most |",
        "|---|---|---|---|---|",
        *(
            f"| {row.name} | {row.little:.1f} ms | {row.much:.1f} ms | x {row.times:.1f} "
            f"| {f'x {row.most:g}' if row.most else ''} |"
            for row in rows
        ),
    ]


def _measurement(one: Measurement) -> list[str]:
    return [
        "| | median | minimum | rounds | limpet / this |",
        "|---|---|---|---|---|",
        *(
            f"| {row.name} | {_shown(row.median)} | {_shown(min(row.seconds))} "
            f"| {len(row.seconds)} | {one.ratio(row):.2f} |"
            for row in one.rows
        ),
    ]


def _value(figure: Figure) -> str:
    return f"{figure.value:.1f} {figure.unit}".rstrip()


def _bound(figure: Figure) -> str:
    return f"{figure.bound:g} {figure.unit}".rstrip() if figure.bound else ""


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _rows(one: Measured) -> list[dict[str, object]]:
    if isinstance(one, Figures | Growths):
        rows = one.rows if isinstance(one, Growths) else ()
        return [record.as_dict() for record in (*rows, *one.figures)]
    return [{"name": row.name, "median_s": row.median, "seconds": row.seconds} for row in one.rows]


def write(
    directory: Path, facts: Mapping[str, str], measured: Sequence[Measured], page: str
) -> None:
    """Write results.json (every single time) and results.md (the page)."""
    directory.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": dict(facts),
        "measurements": [
            {"title": one.title, "note": one.note, "rows": _rows(one)} for one in measured
        ],
    }
    (directory / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    (directory / "results.md").write_text(page)
