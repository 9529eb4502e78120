"""What the three tables show: columns, and rows made of the engine's facts."""

from __future__ import annotations

import time
from functools import lru_cache
from sys import intern

from core.commands.container.facts import port_text
from core.commands.keys import CONTAINERS, IMAGES, REGISTRIES
from core.commands.show import short, size, span
from tui.bridge import HISTORY
from tui.theme import Glyphs, sparkline
from tui.widgets.table.columns import Column
from tui.widgets.table.rows import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.model import ContainerInfo, ImageInfo, RegistryInfo
    from tui.bridge import Sample, Snapshot
    from tui.theme import Part

COLUMNS: dict[str, tuple[Column, ...]] = {
    CONTAINERS: (
        Column("name", "NAME", 12, 32),
        Column("image", "IMAGE", 14, 36, 2),
        Column("state", "STATE", 10, 20, 1),
        Column("cpu", "CPU", 6, 6, 3, right=True),
        Column("graph", "", HISTORY, HISTORY, 6),
        Column("memory", "MEM", 7, 7, 4, right=True),
        Column("ports", "PORTS", 10, 40, 5),
        Column("address", "ADDRESS", 11, 15, 7),
        Column("command", "COMMAND", 16, 400, 9),
        Column("id", "ID", 12, 12, 8),
    ),
    IMAGES: (
        Column("name", "NAME", 28, 60),
        Column("id", "ID", 12, 12, 4),
        Column("size", "SIZE", 6, 8, 1, right=True),
        Column("age", "CREATED", 7, 9, 3),
        Column("layers", "LAYERS", 6, 6, 5, right=True),
        Column("used", "USED BY", 7, 24, 2),
        Column("platform", "PLATFORM", 8, 16, 6),
    ),
    REGISTRIES: (
        Column("host", "HOST", 14, 40),
        Column("state", "STATE", 11, 14, 1),
        Column("user", "USER", 4, 20, 2),
        Column("used", "USED", 4, 9, 4),
        Column("limit", "LIMIT", 5, 9, 6),
        Column("synced", "SYNCED", 6, 9, 5),
        Column("cause", "CAUSE", 5, 40, 3),
    ),
}

EMPTY: dict[str, tuple[Part, ...]] = {
    CONTAINERS: (
        ("", ""),
        ("no containers yet", "dim"),
        ("press 2 for images, R on one of them runs it", "dim"),
    ),
    IMAGES: (
        ("", ""),
        ("no images yet", "dim"),
        ("press S for a starter image made of this host's own programs", "dim"),
        ("or type  pull NAME", "dim"),
    ),
    REGISTRIES: (("", ""), ("no registry was used yet: pull NAME", "dim")),
}
WELCOME: tuple[Part, ...] = (
    ("", ""),
    ("nothing here yet", "dim"),
    ("", ""),
    ("S  or enter makes an image of this host's programs and", "bold"),
    ("   runs it: no network, a second or two", "bold"),
    ("", ""),
    (":  opens the command line, for example  pull alpine", ""),
    ("?  shows every key, f1 shows you around", ""),
)
"""The containers' table on the very first screen."""


class ContainerRows:
    """Makes a row for each container; one whose facts are the same is not made again."""

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._made: dict[str, tuple[ContainerInfo, Sample | None, Row]] = {}

    def make(self, snapshot: Snapshot, rows: list[Row], *, aged: bool = False) -> Iterator[None]:
        """Append the rows of a snapshot in its order, yielding after each.

        `aged`: how old things are may differ.
        """
        samples = dict(snapshot.samples)
        made: dict[str, tuple[ContainerInfo, Sample | None, Row]] = {}
        for info in snapshot.containers:
            sample = samples.get(info.id)
            old = self._made.get(info.id)
            if old is None or aged or not (old[0] is info or old[0] == info):
                row = _container(info, sample, self._glyphs)
                row = old[2] if old is not None and old[2] == row else row
            elif old[1] is sample:
                row = old[2]
            elif old[1] is None or sample is None:
                row = _container(info, sample, self._glyphs)
            else:
                row = _sampled(old[2], sample, self._glyphs)
            made[info.id] = (info, sample, row)
            rows.append(row)
            yield
        self._made = made


USED = slice(3, 6)
"""The cells that tell what a container uses."""


def _container(info: ContainerInfo, sample: Sample | None, glyphs: Glyphs) -> Row:
    sign, tone, words = _state(info, glyphs)
    ports = ", ".join(
        port_text(port).replace("0.0.0.0:", "").removesuffix("/tcp") for port in info.ports
    )
    command = intern(" ".join(info.command))
    quiet = "" if sample else "dim"
    name_tone = tone if sign != glyphs.stopped else quiet
    row = Row(
        info.id,
        (f"{sign} {info.name}", info.image, words, "", "", "", ports, info.address, command,
         info.id[:12]),
        _same((name_tone, quiet, tone, "", "primary", "", quiet, "dim", "dim", "faint")),
        (info.name, info.image, words, 0.0, 0.0, 0.0, ports, info.address, command, info.id),
        info.name,
        info.state,
        _labels(info.labels),
    )  # fmt: skip
    return _sampled(row, sample, glyphs) if sample else row


def _sampled(row: Row, sample: Sample, glyphs: Glyphs) -> Row:
    """Return the row with what its container uses now."""
    before, after = slice(USED.start), slice(USED.stop, None)
    cpu, memory = sample.cpu, sample.memory_bytes
    used = (f"{cpu:.1f}%", _graph(sample, glyphs), size(memory))
    tones = ("warn" if cpu >= 80 else "", "primary", "")
    return Row(
        row.key,
        (*row.cells[before], *used, *row.cells[after]),
        _same((*row.tones[before], *tones, *row.tones[after])),
        (*row.sorts[before], cpu, cpu, float(memory), *row.sorts[after]),
        row.name,
        row.state,
        row.labels,
    )


@lru_cache(1000)
def _labels(labels: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return labels as they are filtered by; most containers share theirs with others."""
    return tuple(f"{key}={value}" for key, value in labels)


@lru_cache(1000)
def _same(tones: tuple[str, ...]) -> tuple[str, ...]:
    """Return one object for equal values: there are thousands of rows."""
    return tones


def _graph(sample: Sample, glyphs: Glyphs) -> str:
    return sparkline(sample.history, max(10.0, *sample.history), glyphs.bars)


def _state(info: ContainerInfo, glyphs: Glyphs) -> tuple[str, str, str]:
    """Return the sign, its tone and a few words."""
    if info.state == "running":
        if info.health in ("unhealthy", "starting"):
            tone = "bad" if info.health == "unhealthy" else "warn"
            return glyphs.running, tone, f"{info.health} {age(info.started)}"
        return glyphs.running, "good", f"up {age(info.started)}"
    if info.state == "crash-looping":
        return glyphs.failed, "bad", f"crash-looping, exit {info.exit_code}"
    if info.state in ("paused", "restarting"):
        return glyphs.paused, "warn", info.state
    if info.state == "exited":
        if info.oom_killed:
            return glyphs.failed, "bad", "out of memory"
        ended = f" {age(info.finished)}" if info.finished else ""
        if info.exit_code in BY_SIGNAL:
            return glyphs.stopped, "dim", f"exit {info.exit_code}{ended}"
        if info.exit_code:
            return glyphs.failed, "bad", f"exit {info.exit_code}{ended}"
        return glyphs.stopped, "dim", f"done{ended}"
    return glyphs.stopped, "bad" if info.state == "dead" else "dim", info.state


BY_SIGNAL = (130, 137, 143)
"""Exit codes of programs that `stop`, `kill` or ctrl-c ended: no failure of theirs."""


def image_rows(snapshot: Snapshot) -> list[Row]:
    """Return a row for each name of each image, and one for an image without a name."""
    return [_image(info, tag) for info in snapshot.images for tag in info.tags or ("",)]


def _image(info: ImageInfo, tag: str) -> Row:
    used = ", ".join(info.used_by)
    name = tag or "<none>"
    return Row(
        tag or info.config_digest,
        (
            name,
            short(info.config_digest),
            size(info.size_bytes),
            age(info.created),
            str(info.layers),
            used,
            info.platform,
        ),
        ("" if tag else "dim", "faint", "", "dim", "dim", "good", "dim"),
        (
            name,
            info.config_digest,
            float(info.size_bytes),
            -info.created,
            float(info.layers),
            used,
            info.platform,
        ),
        tag or short(info.config_digest),
    )


def registry_rows(snapshot: Snapshot) -> list[Row]:
    """Return a row for each registry."""
    return [_registry(info) for info in snapshot.registries]


def _registry(info: RegistryInfo) -> Row:
    tones = {"reachable": "good", "unauthorized": "warn", "limited": "warn", "unreachable": "bad"}
    used, synced, cause = age(info.last_used), age(info.last_sync), _cause(info)
    return Row(
        info.host,
        (info.host, info.state, info.user, used, info.quota, synced, cause),
        ("", tones.get(info.state, "dim"), "", "dim", "dim", "dim", "dim"),
        (info.host, info.state, info.user, -info.last_used, info.quota, -info.last_sync,
         info.cause),
        info.host,
        info.state,
    )  # fmt: skip


def _cause(info: RegistryInfo) -> str:
    """Return why a registry is as it is, without its name, which stands in front already."""
    words = info.cause.removeprefix(info.host).lstrip()
    if words.startswith("(at "):
        words = words.partition(")")[2]
    return words.removeprefix(":").lstrip()


UNITS = {
    "second": "s",
    "minute": "m",
    "hour": "h",
    "day": "d",
    "week": "w",
    "month": "mo",
    "year": "y",
}


def age(since: float) -> str:
    """Return how long ago that was in few letters; below a minute only `<1m`, which is calm."""
    if since <= 0:
        return ""
    if time.time() - since < 60:
        return "<1m"
    count, unit = span(since).split()
    return count + UNITS[unit.removesuffix("s")]
