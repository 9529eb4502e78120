"""The registries there are: configured, logged in to, or used before, and how they do."""

from __future__ import annotations

import time

from core.errors import ConfigError, Error, RateLimited, Unauthorized, Unreachable, UsageError
from core.images.reference import DOCKER_HUB, parse_host
from core.model import RegistryInfo
from core.registry.transport.quota import LIMITED_S, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config
    from core.database import Database
    from core.registry.client import RegistryClient
    from core.registry.transport.quota import Quota

STATES = {Unauthorized: "unauthorized", RateLimited: "limited", Unreachable: "unreachable"}
HUB_LIMIT_IMAGE = ("ratelimitpreview/test", "latest")
"""Docker Hub tells the limit with this image, and a HEAD is not counted.

https://docs.docker.com/docker-hub/usage/pulls/#view-pull-rate-and-limit
"""


def known_registries(database: Database, config: Config) -> list[RegistryInfo]:
    """Return every known registry, the last used first; nothing is asked over the network."""
    rows = database.query(
        "SELECT host, state, last_used, last_error, quota, quota_reset FROM registries"
    )
    used = {host: tuple(facts) for host, *facts in rows}
    users, problem = _users()
    synced = _synced(database, config)
    insecure = config["registry", "insecure"]
    hosts = {_host(config["registry", "default"]), *map(_host, insecure), *users, *used}
    found = []
    for host in hosts:
        state, last_used, cause, granted, reset_at = used.get(host, ("", 0, "", "", 0))
        scheme = "http" if host in insecure else "https"
        found.append(
            RegistryInfo(
                host, state or "unknown", cause or problem, users.get(host, ""), scheme, last_used,
                describe(granted, reset_at), synced.get(host, 0),
            )
        )  # fmt: skip
    return sorted(found, key=lambda info: (-info.last_used, info.host))


def _synced(database: Database, config: Config) -> dict[str, float]:
    """Return when a rule that names a registry ended last, by its host."""
    found: dict[str, float] = {}
    if not config.sync:
        return found
    ended = dict(database.query("SELECT rule, ended FROM sync_runs"))
    for table in config.sync:
        ends = [str(table.get(key)) for key in ("from", "to")]
        name = table.get("name") or " -> ".join(ends)
        for end in ends:
            host = _host(end.removeprefix("docker://").partition("/")[0])
            found[host] = max(found.get(host, 0), ended.get(name, 0))
    return found


def probe_registries(
    database: Database, config: Config, timeout_s: float = 3
) -> list[RegistryInfo]:
    """Ask every known registry at once whether it answers; returns within about `timeout_s`.

    One that is silent for so long counts as unreachable.  What comes out is remembered.
    """
    import threading

    known = known_registries(database, config)
    answers: dict[str, RegistryInfo] = {}
    quotas: dict[str, Quota] = {}

    def ask(info: RegistryInfo) -> None:
        answers[info.host] = _probe(info, config, timeout_s, quotas)

    threads = [threading.Thread(target=ask, args=(info,), daemon=True) for info in known]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    silent = f"no answer within {timeout_s:g} s"
    found = [
        answers.get(info.host) or info.replace(state="unreachable", cause=silent) for info in known
    ]
    with database.write() as sql:
        sql.executemany(
            "INSERT INTO registries (host, last_used, state, last_error) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (host) DO UPDATE SET state = excluded.state,"
            " last_error = excluded.last_error",
            [(info.host, time.time(), info.state, info.cause) for info in found],
        )
        sql.executemany(
            "UPDATE registries SET quota=?, quota_reset=? WHERE host=?",
            [(quota.granted, quota.reset_at, host) for host, quota in list(quotas.items())],
        )
    return found


def note_use(database: Database, client: RegistryClient, error: Error | None = None) -> None:
    """Record that a registry was talked to, how that failed if it did, and what it grants.

    An error of another registry is none of this one's.
    """
    if error and error.subject not in ("", client.host):
        error = None
    granted, reset_at = "", 0.0
    if quota := client.quota:
        granted, reset_at = quota.granted, quota.reset_at
    if isinstance(error, RateLimited):
        granted = f"0/{quota.limit}" if quota else "0"
        reset_at = error.reset_at or time.time() + LIMITED_S
    with database.write() as sql:
        sql.execute(
            "INSERT INTO registries (host, last_used, state, last_error, quota, quota_reset) "
            "VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (host) DO UPDATE SET last_used = excluded.last_used,"
            " state = excluded.state, last_error = excluded.last_error,"
            " quota = CASE excluded.quota WHEN '' THEN quota ELSE excluded.quota END,"
            " quota_reset = CASE excluded.quota WHEN '' THEN quota_reset"
            " ELSE excluded.quota_reset END",
            (client.host, time.time(), _state(error), error.message if error else "", granted,
             reset_at),
        )  # fmt: skip


def _state(error: Error | None) -> str:
    """Return how a registry does after an error; most are about what was asked for."""
    for kind, state in STATES.items():
        if isinstance(error, kind):
            return state
    return "reachable"


def _probe(
    info: RegistryInfo, config: Config, timeout_s: float, quotas: dict[str, Quota]
) -> RegistryInfo:
    from core.registry.client import RegistryClient

    try:
        with RegistryClient(info.host, config, timeout_s=timeout_s, attempts=1) as client:
            scheme = client.scheme
            info = info.replace(scheme=scheme)
            client.ping()
            if info.host == DOCKER_HUB:
                client.digest_of_manifest(*HUB_LIMIT_IMAGE)
            if client.quota:
                quotas[info.host] = client.quota
                info = info.replace(quota=client.quota.describe())
    except (Unauthorized, RateLimited) as error:
        return info.replace(state=_state(error), cause=error.message)
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
