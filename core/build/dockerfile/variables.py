"""The variables a Dockerfile sees: predefined ones, ARGs, the environment."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy",
           "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")  # fmt: skip
"""ARGs that need no declaration, and that neither the cache nor the history knows of."""
EPOCH = "SOURCE_DATE_EPOCH"


def platform_args(target: str, host: str) -> dict[str, str]:
    """Return TARGETPLATFORM and its like; both platforms are os/arch[/variant]."""
    found: dict[str, str] = {}
    for prefix, platform in (("TARGET", target), ("BUILD", host)):
        system, architecture, *variant = platform.split("/")
        found |= {
            f"{prefix}PLATFORM": platform,
            f"{prefix}OS": system,
            f"{prefix}ARCH": architecture,
            f"{prefix}VARIANT": variant[0] if variant else "",
        }
    return found


class Variables:
    """The ARGs of one stage."""

    def __init__(self, given: Mapping[str, str], above: Mapping[str, str]) -> None:
        self._given = given
        self._above = above
        self.args: dict[str, str] = {}
        self.declared: set[str] = set()

    def declare(self, name: str, default: str | None) -> None:
        """ARG: what was given wins over the default, and that over the ARG before FROM."""
        self.declared.add(name)
        value = self._given.get(name, default if default is not None else self._above.get(name))
        if value is not None:
            self.args[name] = value

    def inherit(self, other: Variables) -> None:
        """Take over the ARGs of the stage this one is made from."""
        self.args = {**other.args, **self.args}
        self.declared |= other.declared

    def seen(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return what `$NAME` stands for: the environment hides ARGs."""
        return {**self.args, **env}

    def run_env(self, env: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return a RUN's ARGs, and those that the cache must not know of, as NAME=VALUE."""
        args = {name: value for name, value in self.args.items() if name not in env}
        public = [f"{n}={v}" for n, v in sorted(args.items()) if n not in PROXIES]
        hidden = [
            f"{name}={self._given[name]}"
            for name in PROXIES if name in self._given and name not in env
        ]  # fmt: skip
        return public, hidden


def unused(given: Iterable[str], used: set[str]) -> list[str]:
    """Return the --build-arg names that no ARG takes."""
    return sorted(name for name in given if name not in used and name not in PROXIES)
