"""How values look: sizes, ages, identifiers, the same in every front end."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = ((31536000, "year"), (2592000, "month"), (604800, "week"), (86400, "day"),
         (3600, "hour"), (60, "minute"), (1, "second"))  # fmt: skip
"""Seconds in a unit, largest first."""


def size(count: float) -> str:
    """Return bytes in docker's decimal units: 7.8MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g}{unit}" if unit != "B" else f"{count:.0f}B"


def binary_size(count: int) -> str:
    """Return bytes as limits are written, in powers of 1024: 512m."""
    for shift, unit in ((40, "t"), (30, "g"), (20, "m"), (10, "k")):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.4g}{unit}"
    return f"{count}b"


def span(since: float, now: float = 0) -> str:
    """Return how long ago `since` (seconds since the epoch) is: `3 minutes`."""
    seconds = int((now or time.time()) - since)
    if seconds < 1:
        return "less than a second"
    for length, unit in STEPS:
        count = seconds // length
        # docker keeps the smaller unit until there are two of the larger, months excepted
        if count >= (2 if unit in ("week", "month", "year", "day") else 1):
            return f"{count} {unit}{'s' * (count != 1)}"
    return "1 second"


def ago(since: float) -> str:
    """Return `3 minutes ago`; a dash for a time that never was."""
    return f"{span(since)} ago" if since > 0 else "-"


def seconds(count: float) -> str:
    """Return how long something took: 0.4s, 12.3s, 3m05s."""
    if count < 99.95:
        return f"{count:.1f}s"
    return f"{int(count) // 60}m{int(count) % 60:02d}s"


def counted(count: int, noun: str, several: str = "") -> str:
    """Return `1 layer`, `2 layers`; `several` where that is more than an s."""
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def short(digest: str) -> str:
    """Return the twelve hex digits that name a thing well enough."""
    return digest.rpartition(":")[2][:12]


def cell(value: Any, kind: str, *, full: bool = False) -> str:
    """Return a table's value as text; `kind` as in `core.commands.result.Column`."""
    if value is None or value == "":
        return ""
    if kind == "size":
        return size(value)
    if kind == "age":
        return ago(value)
    if kind == "id":
        return value if full else short(value)
    return str(value)


def printable(text: str) -> str:
    """Return the text with control characters made visible: images may carry hostile names."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or "\udc80" <= c <= "\udcff" else f"\\x{ord(c):02x}" for c in text
    )
