"""The registries there are: configured, logged in to, or used before, and how they do."""

from __future__ import annotations

import time

from core.errors import ConfigError, Error, Unauthorized, UsageError
from core.images.reference import parse_host
from core.model import RegistryInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config
    from core.database import Database


def known_registries(database: Database, config: Config) -> list[RegistryInfo]:
    """Return every known registry, the last used first; nothing is asked over the network."""
    used = {
        host: (last_used, cause)
        for host, last_used, cause in database.query(
            "SELECT host, last_used, last_error FROM registries"
        )
    }
    users, problem = _users()
    insecure = config["registry", "insecure"]
    hosts = {_host(config["registry", "default"]), *map(_host, insecure), *users, *used}
    found = []
    for host in hosts:
        last_used, cause = used.get(host, (0, ""))
        scheme = "http" if host in insecure else "https"
        found.append(
            RegistryInfo(host, "unknown", cause or problem, users.get(host, ""), scheme, last_used)
        )
    return sorted(found, key=lambda info: (-info.last_used, info.host))


def probe_registries(
    database: Database, config: Config, timeout_s: float = 3
) -> list[RegistryInfo]:
    """Ask every known registry at once whether it answers; returns within about `timeout_s`.

    One that is silent for so long counts as unreachable.
    """
    import threading

    known = known_registries(database, config)
    answers: dict[str, RegistryInfo] = {}

    def ask(info: RegistryInfo) -> None:
        answers[info.host] = _probe(info, config, timeout_s)

    threads = [threading.Thread(target=ask, args=(info,), daemon=True) for info in known]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    silent = f"no answer within {timeout_s:g} s"
    return [
        answers.get(info.host) or info.replace(state="unreachable", cause=silent) for info in known
    ]


def note_use(database: Database, host: str, error: Error | None = None) -> None:
    """Record that a registry was talked to, and how that failed if it did."""
    with database.write() as sql:
        sql.execute(
            "INSERT INTO registries VALUES (?, ?, ?) ON CONFLICT (host) DO UPDATE SET"
            " last_used = excluded.last_used, last_error = excluded.last_error",
            (host, time.time(), error.message if error else ""),
        )


def _probe(info: RegistryInfo, config: Config, timeout_s: float) -> RegistryInfo:
    from core.registry.client import RegistryClient

    try:
        with RegistryClient(info.host, config, timeout_s=timeout_s, attempts=1) as client:
            scheme = client.scheme
            info = info.replace(scheme=scheme)
            client.ping()
    except Unauthorized as error:
        return info.replace(state="unauthorized", cause=error.message)
    except Error as error:
        return info.replace(state="unreachable", cause=error.message)
    return info.replace(state="reachable", cause="")


def _users() -> tuple[dict[str, str], str]:
    """Return user names by registry, and why docker's file could not be read."""
    from core.registry.credentials import known_users

    try:
        return known_users(), ""
    except ConfigError as error:
        return {}, error.message


def _host(text: str) -> str:
    try:
        return parse_host(text)
    except UsageError:
        return text
