"""Words to values, as docker writes them: sizes, durations, ports, mounts, limits.

Every function takes one word and raises ValueError saying what was expected.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Converted = TypeVar("Converted")

SIZE_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
MOST_OWN_NAME = 64
"""Bytes of what the kernel calls itself inside, and of its domain: uts_namespaces(7)."""
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def whole(word: str) -> int:
    """Parse a whole number."""
    if not word.removeprefix("-").isdecimal():
        raise ValueError(f"{word!r} is not a whole number")
    return int(word)


def count(word: str) -> int:
    """Parse a whole number above 0."""
    value = whole(word)
    if value < 1:
        raise ValueError(f"{word!r} must be 1 or more")
    return value


def number(word: str) -> float:
    """Parse a number above 0."""
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{word!r} must be above 0")
    return value


def size(word: str) -> int:
    """Parse bytes with docker's suffixes b, k, m, g, t (powers of 1024)."""
    lower = word.lower().removesuffix("ib") if len(word) > 2 else word.lower()
    if lower.endswith("b") and lower[-2:-1] in ("k", "m", "g", "t"):
        lower = lower[:-1]
    digits = lower.rstrip("bkmgt")
    unit = lower[len(digits) :]
    try:
        value = float(digits) * SIZE_UNITS[unit]
    except (ValueError, KeyError):
        raise ValueError(f"{word!r} is not a size such as 512m or 2g") from None
    if not 0 < value < 1 << 62:
        raise ValueError(f"{word!r} is out of range")
    return int(value)


def duration(word: str) -> float:
    """Parse seconds, plain or with units: 90, 500ms, 1.5h, 1h30m."""
    total, digits, at = 0.0, "", 0
    while at < len(word):
        letter = word[at]
        unit = "ms" if word.startswith("ms", at) else letter
        at += len(unit)
        if letter.isdecimal() or letter == ".":
            digits += letter
        elif unit in DURATION_UNITS and digits.strip("."):
            total += float(digits) * DURATION_UNITS[unit]
            digits = ""
        else:
            raise ValueError(f"{word!r} is not a duration such as 90, 15m or 1h30m")
    try:
        return total + (float(digits) if digits else 0.0) if word else float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a duration such as 90, 15m or 1h30m") from None


def moment(word: str) -> float:
    """Parse a point in time to seconds since the epoch: a duration ago, or RFC 3339."""
    import time

    try:
        return time.time() - duration(word)
    except ValueError:
        pass
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError(f"{word!r} is neither a duration (10m) nor a date (2024-05-01)") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def signal(word: str) -> int:
    """Parse a signal by name, with or without SIG, or by number."""
    from core.containers.signals import number_of

    return number_of(word)


def environment(word: str) -> str:
    """Parse NAME=VALUE, or NAME to take the value from here; the name must not be empty."""
    import os

    name, equals, _ = word.partition("=")
    if not name or "\0" in word:
        raise ValueError(f"{word!r} is not NAME=VALUE")
    if equals:
        return word
    return f"{name}={os.environ[name]}" if name in os.environ else ""


def label(word: str) -> tuple[str, str]:
    """Parse NAME=VALUE or NAME."""
    name, _, value = word.partition("=")
    if not name:
        raise ValueError(f"{word!r} is not NAME=VALUE")
    return name, value


def own_name(word: str) -> str:
    """Check a host's or a domain's name that the kernel is to take; "" is none in particular."""
    if not word.isprintable() or " " in word:
        raise ValueError(f"{word!r} is not one word")
    if len(word.encode()) > MOST_OWN_NAME:
        raise ValueError(f"{word!r}: the kernel takes at most {MOST_OWN_NAME} bytes")
    return word


def container_name(word: str) -> str:
    """Check a container's name as docker does: [a-zA-Z0-9][a-zA-Z0-9_.-]+."""
    rest = word[1:].replace("_", "").replace(".", "").replace("-", "")
    if (
        len(word) < 2
        or not word.isascii()
        or not word[0].isalnum()
        or (rest and not rest.isalnum())
    ):
        raise ValueError(f"{word!r}: letters, digits, and _ . - after the first, at least two")
    return word


def tail(word: str) -> int:
    """Parse a number of lines, or `all` (-1)."""
    if word in ("all", "-1"):
        return -1
    if not word.isdecimal():
        raise ValueError(f"{word!r} is neither a number of lines nor all")
    return int(word)


def restart_policy(word: str) -> str:
    """Check a restart policy and keep it as it is written."""
    from core.containers.supervision.restarts import parse_policy

    parse_policy(word)
    return word


def log_option(word: str) -> tuple[str, str]:
    """Parse NAME=VALUE of --log-opt."""
    name, equals, value = word.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{word!r} is not NAME=VALUE, such as max-size=10m")
    return name, value


def signal_name(word: str) -> str:
    """Check a signal's name or number and keep it as it is written."""
    signal(word)
    return word


def lines_of(
    paths: tuple[str, ...], flag: str, convert: Callable[[str], Converted]
) -> tuple[Converted, ...]:
    """Read the lines of files that `flag` names; blank lines and # comments are left out.

    Raises UsageError naming file and line.
    """
    from core.errors import UsageError

    found = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")  # values may have what else ends lines
        except OSError as error:
            raise UsageError(f"{flag} {path}: {error.strerror}", subject=path) from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{flag} {path}: {error}", subject=path) from error
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    found.append(convert(line.lstrip()))
                except ValueError as error:
                    raise UsageError(f"{path}, line {number}: {error}") from error
    return tuple(found)
