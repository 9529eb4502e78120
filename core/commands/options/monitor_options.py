"""The options of `run` and `create` that the container's monitor follows."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option
from core.commands.options import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Monitored(Args):
    """Restarts, health checks, logs."""

    restart: str = option(
        "--restart", help="start it again when it ends: no, always, unless-stopped, on-failure[:N]",
        metavar="POLICY", choices=("no", "always", "unless-stopped", "on-failure"),
        convert=values.restart_policy,
    )  # fmt: skip
    log_driver: str = option(
        "--log-driver", help="where its output is kept: json-file, none or journald",
        metavar="DRIVER", choices=("json-file", "none", "journald"),
    )  # fmt: skip
    log_opt: tuple[tuple[str, str], ...] = option(
        "--log-opt", help="max-size=SIZE and max-file=N of json-file, tag=TEXT of journald",
        many=True, metavar="NAME=VALUE", choices=("max-size=", "max-file=", "tag="),
        convert=values.log_option,
    )  # fmt: skip
    health_cmd: str = option(
        "--health-cmd", help="a shell command whose exit code tells whether all is well",
        metavar="COMMAND",
    )  # fmt: skip
    health_interval: float = option(
        "--health-interval", help="time between two checks (30s)", default=0.0, metavar="TIME",
        convert=values.duration,
    )  # fmt: skip
    health_timeout: float = option(
        "--health-timeout", help="a check that takes longer is killed and has failed (30s)",
        default=0.0, metavar="TIME", convert=values.duration,
    )  # fmt: skip
    health_retries: int = option(
        "--health-retries", help="so many failures in a row make it unhealthy (3)", default=0,
        metavar="N", convert=values.whole,
    )  # fmt: skip
    health_start_period: float = option(
        "--health-start-period", help="failures in this time after the start do not count",
        default=0.0, metavar="TIME", convert=values.duration,
    )  # fmt: skip
    health_start_interval: float = option(
        "--health-start-interval", help="time between two checks within it (5s)", default=0.0,
        metavar="TIME", convert=values.duration,
    )  # fmt: skip
    no_healthcheck: bool = flag("--no-healthcheck", help="leave the image's health check out")


def monitor_options(args: Monitored) -> dict[str, Any]:
    """Return the fields of ContainerOptions that these options set."""
    return {
        "restart": args.restart,
        "log_driver": args.log_driver,
        "log_opts": args.log_opt,
        "health_cmd": args.health_cmd,
        "health_interval_s": args.health_interval,
        "health_timeout_s": args.health_timeout,
        "health_retries": args.health_retries,
        "health_start_period_s": args.health_start_period,
        "health_start_interval_s": args.health_start_interval,
        "no_healthcheck": args.no_healthcheck,
    }
