"""How bad a log line says it is, and JSON lines in the words of a person.

Formats differ; a level is what many programs write: `WARN`, `[error]`, `level=info`,
`"severity":"ERROR"`, klog's `E0412 …`.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tui.theme import Part

TRACE, DEBUG, INFO, WARN, ERROR = range(1, 6)
NAMES = {
    "trace": TRACE, "debug": DEBUG, "dbg": DEBUG, "info": INFO, "inf": INFO, "notice": INFO,
    "warn": WARN, "wrn": WARN, "warning": WARN, "error": ERROR, "err": ERROR, "eror": ERROR,
    "fatal": ERROR, "panic": ERROR, "critical": ERROR, "crit": ERROR, "emerg": ERROR,
    "alert": ERROR, "severe": ERROR,
}  # fmt: skip
WORDS = {TRACE: "trace", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error"}
TONES = {TRACE: "faint", DEBUG: "dim", INFO: "good", WARN: "warn", ERROR: "bad"}
LOOKED_AT = 200
"""Characters of a line in which a level is expected."""
LONGEST_JSON = 64 << 10

_WORD = re.compile(
    rf"(?<![\w-])(?:{'|'.join(sorted(NAMES, key=len, reverse=True))})(?![\w-])", re.IGNORECASE
)
_KLOG = re.compile(r"^([IWEF])\d{4} \d\d:")
_KLOG_LEVELS = {"I": INFO, "W": WARN, "E": ERROR, "F": ERROR}
_PYTHON_NUMBERS = {10: DEBUG, 20: INFO, 30: WARN, 40: ERROR, 50: ERROR, 60: ERROR}
"""What bunyan, pino and Python's logging write as numbers."""

LEVEL_KEYS = ("level", "lvl", "severity", "levelname", "log.level", "loglevel", "@level")
MESSAGE_KEYS = ("msg", "message", "@message", "event", "text", "log")
TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "datetime", "t", "date")


def find_level(text: str) -> tuple[int, int, int]:
    """Return the level and where its word begins and ends; 0 when the line tells none."""
    klog = _KLOG.match(text)
    if klog:
        return _KLOG_LEVELS[klog[1]], klog.start(1), klog.end(1)
    for found in _WORD.finditer(text, 0, LOOKED_AT):
        word = found[0]
        # In the middle of a sentence `error` is just a word; levels stand out.
        if word.isupper() or found.start() < 2 or text[found.start() - 1] in "=[\"'(<:|":
            return NAMES[word.lower()], found.start(), found.end()
    return 0, 0, 0


def read_json(text: str) -> dict[str, Any] | None:
    """Return the object that a line is, None for a line that is none."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")) or len(text) > LONGEST_JSON:
        return None
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def short_json(document: Mapping[str, Any]) -> list[Part]:
    """Return a JSON line as its level, its message and the rest as NAME=VALUE."""
    rest = dict(document)
    level = _take(rest, LEVEL_KEYS)
    message = _take(rest, MESSAGE_KEYS)
    _take(rest, TIME_KEYS)  # the line's own time is shown with T
    number = _PYTHON_NUMBERS.get(level, 0) if isinstance(level, int) else 0
    number = number or NAMES.get(str(level).lower(), 0)
    parts: list[Part] = []
    if level is not None:
        word = WORDS.get(number, _value(level)).upper()
        parts.append((f"{word:<6}", TONES.get(number, "dim")))
    if message is not None:
        parts.append((_value(message), ""))
    for name, value in rest.items():
        parts += [
            ("  " if parts else "", ""),
            (f"{_value(name)}=", "dim"),
            (_value(value), "primary"),
        ]
    return parts


def _take(document: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((document.pop(name) for name in names if name in document), None)


def _value(value: Any) -> str:
    from tui.answers import visible

    if isinstance(value, str):
        return visible(value)
    import json

    return visible(json.dumps(value, ensure_ascii=False))


def pretty_json(document: Mapping[str, Any]) -> list[str]:
    """Return a JSON line as lines, indented."""
    import json

    return json.dumps(document, indent=2, ensure_ascii=False).split("\n")
