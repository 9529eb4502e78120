"""A registry that grants only so many requests: shown before, waited for, never run into."""

from __future__ import annotations

import time

import pytest

from core.config import Config
from core.database import Database
from core.errors import RateLimited
from core.paths import Paths
from core.registry.status import known_registries, note_use
from tests.e2e.registry_faults.asking import find_app, make_client
from tests.hostile_registry import HostileRegistry

MOMENT = 4102444800
"""The first of January 2100."""


def test_too_many_requests_are_not_repeated(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        429, b'{"errors": [{"message": "slow down"}]}', {"Retry-After": "90"}
    )
    with pytest.raises(RateLimited, match=r"slow down .* in 90 s") as caught:
        find_app(registry)
    assert 80 < caught.value.reset_at - time.time() < 100
    assert len(registry.asked("/manifests/latest")) == 1


@pytest.mark.parametrize(
    ("headers", "reset_at"),
    [
        ({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 4102444800),
        ({"X-RateLimit-Reset": "4102444800"}, 4102444800),
        ({"Retry-After": "soon"}, 0),
        ({"X-RateLimit-Reset": "-1"}, 0),
        ({}, 0),
    ],
)
def test_when_requests_are_welcome_again(
    registry: HostileRegistry, headers: dict[str, str], reset_at: float
) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(429, b"", headers)
    with pytest.raises(RateLimited) as caught:
        find_app(registry)
    assert caught.value.reset_at == reset_at


def test_a_limit_is_not_run_into_again(registry: HostileRegistry, paths: Paths) -> None:
    """What else the command wants fails at once, until the registry may be asked."""
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        429, b"", {"Retry-After": "3"}
    )
    with make_client(registry) as client:
        with pytest.raises(RateLimited):
            client.manifest("app", "latest")
        before = len(registry.requests)
        with pytest.raises(RateLimited) as caught:
            list(client.tags("app"))
        assert len(registry.requests) == before
        database = Database(paths)
        note_use(database, client, caught.value)
        known = {info.host: info for info in known_registries(database, Config())}
        assert known[client.host].state == "limited"
        assert known[client.host].quota.startswith("0, reset in ")
        database.close()
        time.sleep(3.1)
        client.ping()


def test_a_limit_ends_though_the_clock_is_put_back(
    registry: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        429, b"", {"Retry-After": "1"}
    )
    with make_client(registry) as client:
        with pytest.raises(RateLimited):
            client.manifest("app", "latest")
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 1e8)
        time.sleep(1.1)
        client.ping()


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}, 21600),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "76"}, 60),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "76", "RateLimit-Reset": "90"}, 90),
        ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "76",
          "X-RateLimit-Reset": str(MOMENT)}, MOMENT),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "76"}, 0),
        ({"RateLimit-Limit": "100"}, None),
        ({"RateLimit-Limit": "many", "RateLimit-Remaining": "-1"}, None),
    ],
    ids=["window", "policy", "draft", "moment", "no reset", "no rest", "nonsense"],
)  # fmt: skip
def test_what_is_still_granted_is_shown(
    registry: HostileRegistry, paths: Paths, headers: dict[str, str], wait_s: float | None
) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        200, body, {"Content-Type": kind, **headers}
    )
    database = Database(paths)
    with make_client(registry) as client:
        client.manifest("app", "latest")
        note_use(database, client)
        quota = client.quota
        shown = next(
            info.quota for info in known_registries(database, Config()) if info.host == client.host
        )
        if wait_s is None:
            assert (quota, shown) == (None, "")
            return
        assert quota
        assert (quota.limit, quota.remaining) == (100, 76)
        expected = wait_s if wait_s in (0, MOMENT) else time.time() + wait_s
        assert abs(quota.reset_at - expected) < 60
        assert shown.startswith("76/100, reset in " if wait_s else "76/100")
        # Its count begins anew: what is granted then is not known.
        with database.write() as sql:
            sql.execute("UPDATE registries SET quota_reset = 1")
        known = known_registries(database, Config())
        assert "76" not in "".join(info.quota for info in known)
    database.close()
