"""What a health check is: docker's options over the image's HEALTHCHECK.

https://docs.docker.com/reference/dockerfile/#healthcheck
"""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions

# moby: daemon/health.go
INTERVAL_S, TIMEOUT_S, START_INTERVAL_S, RETRIES = 30.0, 30.0, 5.0, 3
SHORTEST_S = 0.001
NS = 1_000_000_000


def make_healthcheck(options: ContainerOptions, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the monitor runs, None for no check.

    `settings` is the image's `config`.  `test` is as docker writes it, `argv` what is run.
    Raises UsageError when options exclude each other.
    """
    own = options.health_cmd or any(
        (options.health_interval_s, options.health_timeout_s, options.health_retries,
         options.health_start_period_s, options.health_start_interval_s)
    )  # fmt: skip
    if options.no_healthcheck:
        if own:
            raise UsageError(
                "--no-healthcheck does not go with other --health options",
                hint="leave one of the two out",
            )
        return None
    image = settings.get("Healthcheck") or {}
    test = ["CMD-SHELL", options.health_cmd] if options.health_cmd else image.get("Test") or []
    argv = _argv(test, settings)
    if not argv:
        return None
    return {
        "test": test,
        "argv": argv,
        "interval_s": options.health_interval_s or _seconds(image, "Interval") or INTERVAL_S,
        "timeout_s": options.health_timeout_s or _seconds(image, "Timeout") or TIMEOUT_S,
        "start_period_s": options.health_start_period_s or _seconds(image, "StartPeriod"),
        "start_interval_s": options.health_start_interval_s
        or _seconds(image, "StartInterval")
        or START_INTERVAL_S,
        "retries": options.health_retries or max(image.get("Retries") or 0, 0) or RETRIES,
    }


def as_docker(check: dict[str, Any]) -> dict[str, Any]:
    """Return a check as docker's `Config.Healthcheck`, its times in nanoseconds."""
    return {
        "Test": check["test"],
        "Interval": int(check["interval_s"] * NS),
        "Timeout": int(check["timeout_s"] * NS),
        "StartPeriod": int(check["start_period_s"] * NS),
        "StartInterval": int(check["start_interval_s"] * NS),
        "Retries": check["retries"],
    }


def _argv(test: list[str], settings: dict[str, Any]) -> list[str]:
    if len(test) > 1 and test[0] == "CMD":
        return test[1:]
    if len(test) == 2 and test[0] == "CMD-SHELL":
        return [*(settings.get("Shell") or ("/bin/sh", "-c")), test[1]]
    return []  # NONE, or nothing that docker would run


def _seconds(image: dict[str, Any], name: str) -> float:
    """Return a time of the image's, 0 for none or one that no clock can count."""
    nanoseconds: int = image.get(name) or 0
    return max(nanoseconds / NS, SHORTEST_S) if nanoseconds > 0 else 0.0
