"""Writes what was measured, with the machine and the date it was measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.measure import Figures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Figure, Measurement


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


def markdown(facts: Mapping[str, str], measured: Sequence[Measurement | Figures]) -> str:
    """Return a table per benchmark; `limpet / this` below 1 means limpet was quicker."""
    lines = ["# Figures", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    for one in measured:
        lines += [f"## {one.title}", ""]
        lines += [one.note, ""] if one.note else []
        if isinstance(one, Figures):
            lines += ["| | measured | bound |", "|---|---|---|"]
            lines += [_figure(figure) for figure in one.figures]
            lines.append("")
            continue
        lines += ["| | median | minimum | rounds | limpet / this |", "|---|---|---|---|---|"]
        lines += [
            f"| {row.name} | {_shown(row.median)} | {_shown(min(row.seconds))} "
            f"| {len(row.seconds)} | {one.ratio(row):.2f} |"
            for row in one.rows
        ]
        lines.append("")
    return "\n".join(lines)


def _figure(figure: Figure) -> str:
    bound = f"{figure.bound:g} {figure.unit}" if figure.bound else ""
    return f"| {figure.name} | {figure.value:.1f} {figure.unit} | {bound} |"


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _rows(one: Measurement | Figures) -> list[dict[str, object]]:
    if isinstance(one, Figures):
        return [
            {"name": f.name, "value": f.value, "unit": f.unit, "bound": f.bound}
            for f in one.figures
        ]
    return [{"name": row.name, "median_s": row.median, "seconds": row.seconds} for row in one.rows]


def write(
    directory: Path, facts: Mapping[str, str], measured: Sequence[Measurement | Figures]
) -> None:
    """Write results.json (every single time) and results.md (the tables)."""
    directory.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": dict(facts),
        "measurements": [
            {"title": one.title, "note": one.note, "rows": _rows(one)} for one in measured
        ],
    }
    (directory / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    (directory / "results.md").write_text(markdown(facts, measured))
