"""docker's log drivers: json-file, none, journald, and what may be said of each."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config
    from core.containers.configuration.options import ContainerOptions
    from core.containers.stored import Row

JSON_FILE, NONE, JOURNALD = "json-file", "none", "journald"
OPTIONS = {JSON_FILE: ("max-size", "max-file"), NONE: (), JOURNALD: ("tag",)}
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Limits(Record):
    """Of a json-file; `max_bytes` 0 is none."""

    max_bytes: int
    max_files: int


def check_log(options: ContainerOptions) -> None:
    """Raise UsageError for a driver or an option that is none, HostError for one not here."""
    from core.containers.log import journal
    from core.errors import HostError, UsageError

    driver = options.log_driver or JSON_FILE
    if driver not in OPTIONS:
        raise UsageError(
            f"there is no log driver {driver!r}", hint=f"drivers are: {', '.join(OPTIONS)}"
        )
    for name, value in options.log_opts:
        if name not in OPTIONS[driver]:
            known = " and ".join(OPTIONS[driver]) or "none"
            raise UsageError(
                f"the log driver {driver} has no option {name!r}", hint=f"it has {known}"
            )
        try:
            if driver == JSON_FILE:
                _number(name, value)
        except ValueError as error:
            raise UsageError(f"--log-opt {name}: {error}") from None
    if driver == JOURNALD and not journal.is_here():
        raise HostError(
            f"{journal.SOCKET} does not exist: no journald runs here",
            hint="use --log-driver json-file",
            subject=journal.SOCKET,
        )


def limits(config: Config, options: ContainerOptions) -> Limits:
    """Return the limits of a container's json-file."""
    said = dict(options.log_opts)
    size, files = said.get("max-size", ""), said.get("max-file", "")
    return Limits(
        _number("max-size", size) if size else config["container", "log_max_bytes"],
        _number("max-file", files) if files else config["container", "log_max_files"],
    )


def log_config(config: Config, options: ContainerOptions) -> dict[str, Any]:
    """Return docker's `LogConfig`."""
    driver = options.log_driver or JSON_FILE
    said = dict(options.log_opts)
    if driver == JSON_FILE:
        found = limits(config, options)
        said = {"max-size": str(found.max_bytes), "max-file": str(found.max_files)}
    return {"Type": driver, "Config": said}


def make_log(config: Config, row: Row, path: str) -> tuple[Any, ...]:
    """Return what `writer.open_log` takes: plain values."""
    options = row.options
    if options.log_driver == NONE:
        return (NONE,)
    if options.log_driver == JOURNALD:
        tag = dict(options.log_opts).get("tag", row.id[:12])
        return (JOURNALD, row.id, row.name, row.image, tag)
    found = limits(config, options)
    return (JSON_FILE, path, found.max_bytes, found.max_files)


def _number(name: str, value: str) -> int:
    """Parse max-size (10m; -1 for no limit) or max-file; ValueError says what is expected."""
    if name == "max-size":
        if value == "-1":
            return 0
        digits = value.lower().rstrip("bkmg")
        unit = value.lower()[len(digits) :]
        unit = unit.removesuffix("b") if len(unit) > 1 else unit
        if digits.isdecimal() and unit in UNITS and int(digits):
            return int(digits) * UNITS[unit]
        raise ValueError(f"{value!r} is not a size such as 10m")
    if value.isdecimal() and 0 < int(value) <= 1000:
        return int(value)
    raise ValueError(f"{value!r} is not a number of files from 1 to 1000")
