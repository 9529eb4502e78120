"""Health checks: run by the monitor, inside the container, without waiting for them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from core.engine import Engine
from core.errors import UsageError
from tests.containers import processes_named, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.lifecycle import Containers

SLEEP = "exec sleep 1000"


def start(containers: Containers, check: str, script: str = SLEEP, **more: Any) -> str:
    """Start a container whose check is quick, unless said otherwise."""
    more = {"health_interval_s": 0.1, "health_timeout_s": 5.0, "health_retries": 2, **more}
    container = containers.create(shell(script, health_cmd=check, **more))
    containers.start(container)
    return container


def health(containers: Containers, container: str) -> str:
    return containers.resolve(container).health


def log(containers: Containers, container: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = containers.inspect(container)["State"]["Health"]["Log"]
    return found


def test_a_check_makes_healthy_and_unhealthy(containers: Containers) -> None:
    container = start(containers, "echo looking; echo closely >&2; test -e /ok")
    assert health(containers, container) == "starting"
    until(lambda: health(containers, container) == "unhealthy")
    found = containers.inspect(container)["State"]["Health"]
    assert found["FailingStreak"] >= 2
    assert found["Log"][0]["ExitCode"] == 1
    assert found["Log"][0]["Output"] == "looking\nclosely\n"
    containers.exec(container, ["touch", "/ok"], detach=True).close()
    until(lambda: health(containers, container) == "healthy")
    assert containers.inspect(container)["State"]["Health"]["FailingStreak"] == 0
    containers.stop(container, 0)
    assert health(containers, container) == ""
    assert containers.inspect(container)["State"]["Health"]["Status"] == "unhealthy"


def test_the_last_five_results_are_kept_and_their_output_is_cut(containers: Containers) -> None:
    container = start(containers, "head -c 100000 /dev/zero | tr '\\0' x", health_interval_s=0.02)
    until(lambda: len(log(containers, container)) == 5)
    first = log(containers, container)[0]["Start"]
    until(lambda: log(containers, container)[0]["Start"] > first)
    results = log(containers, container)
    assert len(results) == 5
    assert all(len(result["Output"]) == 4096 + 3 for result in results)


def test_a_check_that_hangs_is_killed_with_what_it_started(containers: Containers) -> None:
    words = ("sleep", f"{1_000_000 + os.getpid()}")  # no other test's
    check = f"{' '.join(words)} & {' '.join(words)}"
    container = start(containers, check, health_timeout_s=0.2, health_retries=1)
    until(lambda: health(containers, container) == "unhealthy")
    result = log(containers, container)[0]
    assert result["ExitCode"] == -1
    assert "exceeded timeout (0.2 s)" in result["Output"]
    until(lambda: len(log(containers, container)) >= 3)
    until(lambda: len(processes_named("\0".join(words))) <= 2)  # of the check under way


def test_failures_of_the_start_period_do_not_count(containers: Containers) -> None:
    container = start(
        containers, "false", health_retries=1, health_interval_s=60.0,
        health_start_period_s=30.0, health_start_interval_s=0.05,
    )  # fmt: skip
    until(lambda: len(log(containers, container)) == 5)
    assert health(containers, container) == "starting"
    healthy = start(
        containers, "true", health_interval_s=60.0, health_start_period_s=30.0,
        health_start_interval_s=0.05,
    )  # fmt: skip
    until(lambda: health(containers, healthy) == "healthy")


def test_a_check_that_cannot_run_tells_why(containers: Containers) -> None:
    container = start(containers, "true", "mv /bin/sh /bin/gone; exec /bin/busybox sleep 1000")
    until(lambda: health(containers, container) == "unhealthy")
    result = log(containers, container)[-1]
    assert result["ExitCode"] == 127
    assert "sh" in result["Output"]


def test_a_check_with_an_odd_name_harms_nobody(containers: Containers) -> None:
    check = {
        "test": ["CMD", "/b\udcff"], "argv": ["/b\udcff"], "interval_s": 0.05, "timeout_s": 5.0,
        "start_period_s": 0.0, "start_interval_s": 5.0, "retries": 1,
    }  # fmt: skip
    container = containers.create(shell(SLEEP, health_cmd="true"))
    with containers._database.write() as sql:
        (text,) = sql.execute("SELECT options FROM containers").fetchone()
        changed = json.dumps({**json.loads(text), "health": check})
        sql.execute("UPDATE containers SET options=?", (changed,))
    containers.start(container)
    until(lambda: health(containers, container) == "unhealthy")
    assert log(containers, container)[0]["ExitCode"] == 127


def test_a_frozen_container_is_not_checked(containers: Containers) -> None:
    container = start(containers, "date >> /seen; sleep 0.05")
    until(lambda: health(containers, container) == "healthy")
    containers.pause(container)
    time.sleep(0.3)
    before = log(containers, container)[-1]["Start"]
    time.sleep(0.3)
    assert log(containers, container)[-1]["Start"] == before
    assert health(containers, container) == "healthy"
    containers.unpause(container)
    until(lambda: log(containers, container)[-1]["Start"] > before)
    assert health(containers, container) == "healthy"


def test_the_end_does_not_wait_for_a_check(containers: Containers) -> None:
    container = start(containers, "sleep 100", SLEEP, health_timeout_s=60.0)
    until(lambda: processes_named("sleep\x00100\0"))
    began = time.monotonic()
    containers.kill(container)
    assert time.monotonic() - began < 30


def test_a_restart_starts_again(containers: Containers) -> None:
    script = (
        "[ -e /again ] && exec sleep 1000; touch /again /ok\n"
        "while [ -e /ok ]; do sleep 0.02; done; exit 1"
    )
    container = start(containers, "test -e /ok", script, restart="always")
    until(lambda: health(containers, container) == "healthy")
    containers.exec(container, ["rm", "/ok"], detach=True).close()
    until(lambda: containers.resolve(container).restarts == 1)
    until(lambda: health(containers, container) == "unhealthy")


def test_checks_leave_no_zombies(containers: Containers, engine: Engine) -> None:
    container = start(containers, "sleep 0.01 &", health_interval_s=0.02)
    slow = start(containers, "sleep 5", health_timeout_s=0.05, health_interval_s=0.02)
    until(lambda: all(len(log(containers, each)) == 5 for each in (container, slow)))
    from core.containers.state import read_state

    for each in (container, slow):
        monitor = read_state(engine.paths.container(each)).monitor
        children = Path(f"/proc/{monitor}/task/{monitor}/children")
        until(lambda: len(children.read_text().split()) <= 3)  # noqa: B023 - called here


def test_a_check_runs_as_the_containers_user_without_its_terminal(containers: Containers) -> None:
    container = start(containers, "id -u; tty", user="1234", tty=True)
    until(lambda: log(containers, container))
    assert log(containers, container)[0]["Output"] == "1234\nnot a tty\n"


def test_without_a_check_nothing_is_said(containers: Containers) -> None:
    container = containers.create(shell(SLEEP, no_healthcheck=True))
    containers.start(container)
    assert health(containers, container) == ""
    assert "Health" not in containers.inspect(container)["State"]
    assert not os.path.exists(f"{containers._paths.container(container)}/health.json")


def test_options_that_exclude_each_other(containers: Containers) -> None:
    with pytest.raises(UsageError, match="no-healthcheck"):
        containers.create(shell("true", no_healthcheck=True, health_cmd="true"))
