"""Restart policies: when a container is started again, and after what time."""

from __future__ import annotations

import pytest

from core.containers.supervision.restarts import (
    KEPT_RUNS,
    Policy,
    Restarts,
    parse_policy,
    starts_at_boot,
)


def short(code: int = 1, oom: bool = False) -> tuple[float, float, int, bool]:
    return 100.0, 100.5, code, oom


def long(code: int = 1) -> tuple[float, float, int, bool]:
    return 100.0, 110.0, code, False


@pytest.mark.parametrize(
    ("word", "policy"),
    [
        ("no", Policy()),
        ("always", Policy("always")),
        ("unless-stopped", Policy("unless-stopped")),
        ("on-failure", Policy("on-failure")),
        ("on-failure:3", Policy("on-failure", 3)),
    ],
)
def test_policies(word: str, policy: Policy) -> None:
    assert parse_policy(word) == policy


@pytest.mark.parametrize("word", ["", "never", "always:3", "on-failure:", "on-failure:-1", "No"])
def test_words_that_are_no_policy(word: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_policy(word)


def test_the_wait_doubles_up_to_a_minute() -> None:
    restarts = Restarts("always")
    waits = [restarts.delay(short()) for _ in range(12)]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-2:] == [60.0, 60.0]
    assert restarts.count == 12


def test_ten_seconds_of_running_begin_again() -> None:
    restarts = Restarts("always")
    for _ in range(5):
        restarts.delay(short())
    assert restarts.crash_looping
    assert restarts.delay(long()) == 0.1
    assert not restarts.crash_looping


def test_a_success_ends_on_failure_only() -> None:
    assert Restarts("on-failure").delay(short(0)) is None
    assert Restarts("always").delay(short(0)) == 0.1
    assert Restarts("unless-stopped").delay(short(0)) == 0.1
    assert Restarts("").delay(short(1)) is None


def test_on_failure_counts_its_tries() -> None:
    restarts = Restarts("on-failure:2")
    assert [restarts.delay(short()) for _ in range(3)] == [0.1, 0.2, None]
    assert Restarts("on-failure:2", count=2).delay(short()) is None


def test_three_short_runs_are_a_crash_loop() -> None:
    restarts = Restarts("always")
    seen = []
    for _ in range(4):
        restarts.delay(short())
        seen.append(restarts.crash_looping)
    assert seen == [False, False, True, True]


def test_the_last_runs_are_kept_only_under_a_policy() -> None:
    restarts, none = Restarts("always"), Restarts("no")
    for code in range(KEPT_RUNS + 2):
        restarts.note(short(code))
        none.note(short(code))
    assert [run[2] for run in restarts.runs] == list(range(2, KEPT_RUNS + 2))
    assert none.runs == ()


@pytest.mark.parametrize(
    ("policy", "stopped", "ran", "starts"),
    [
        ("always", False, True, True),
        ("always", True, True, True),
        ("unless-stopped", False, True, True),
        ("unless-stopped", True, True, False),
        ("on-failure", False, True, False),
        ("", False, True, False),
        ("always", False, False, False),
    ],
)
def test_what_starts_with_the_host(policy: str, stopped: bool, ran: bool, starts: bool) -> None:
    assert starts_at_boot(policy, stopped=stopped, ran=ran) == starts
