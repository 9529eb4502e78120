"""Options and an image's HEALTHCHECK to the check that is run."""

from __future__ import annotations

from core.containers.configuration.healthcheck import as_docker, make_healthcheck
from core.containers.configuration.options import ContainerOptions

IMAGE = {
    "Healthcheck": {
        "Test": ["CMD", "curl", "-f", "localhost"],
        "Interval": 10_000_000_000,
        "Timeout": 2_000_000_000,
        "Retries": 5,
    }
}


def options(**changes: object) -> ContainerOptions:
    return ContainerOptions("image").replace(**changes)


def test_the_images_check_with_dockers_defaults() -> None:
    check = make_healthcheck(options(), IMAGE)
    assert check is not None
    assert check["argv"] == ["curl", "-f", "localhost"]
    assert as_docker(check) == {
        "Test": ["CMD", "curl", "-f", "localhost"],
        "Interval": 10_000_000_000,
        "Timeout": 2_000_000_000,
        "StartPeriod": 0,
        "StartInterval": 5_000_000_000,
        "Retries": 5,
    }


def test_options_win_one_by_one() -> None:
    check = make_healthcheck(options(health_cmd="true", health_timeout_s=1.5), IMAGE)
    assert check is not None
    assert (check["argv"], check["timeout_s"], check["interval_s"], check["retries"]) == (
        ["/bin/sh", "-c", "true"], 1.5, 10.0, 5,
    )  # fmt: skip


def test_the_images_shell_runs_a_shell_check() -> None:
    settings = {"Shell": ["/bin/ash", "-eo", "pipefail", "-c"]}
    check = make_healthcheck(options(health_cmd="a | b"), settings)
    assert check is not None
    assert check["argv"] == ["/bin/ash", "-eo", "pipefail", "-c", "a | b"]


def test_no_check() -> None:
    assert make_healthcheck(options(), {}) is None
    assert make_healthcheck(options(), {"Healthcheck": {"Test": ["NONE"]}}) is None
    assert make_healthcheck(options(health_interval_s=5.0), {}) is None
    assert make_healthcheck(options(no_healthcheck=True), IMAGE) is None


def test_times_of_an_image_that_no_clock_can_count() -> None:
    image = {"Healthcheck": {"Test": ["CMD", "x"], "Interval": -5, "Timeout": 1, "Retries": -1}}
    check = make_healthcheck(options(), image)
    assert check is not None
    assert (check["interval_s"], check["timeout_s"], check["retries"]) == (30.0, 0.001, 3)
