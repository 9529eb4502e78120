"""A sync whose ends fail, are slow, ask for tokens; one that is cancelled or killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from core.config import Config
from core.errors import Cancelled, RateLimited, RegistryError, Unreachable
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry import upload
from core.registry.sync.rules import read_rules
from core.registry.sync.runs import check_reports, rule_states, run_rules
from tests.e2e.command_line import LIMPET
from tests.e2e.sync.ends import (
    actions,
    check_whole,
    cut_answer,
    digest,
    plan,
    rule,
    sync,
)
from tests.fault_proxy import FaultProxy, TokenGate, cut, late, silent
from tests.fixture_images import Registry
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


every_request = pytest.mark.parametrize(
    ("end", "method"),
    [
        *(("source", method) for method in ("HEAD", "GET")),
        *(("target", method) for method in ("HEAD", "GET", "POST", "PATCH", "PUT")),
    ],
)


@pytest.mark.parametrize("fault", ["cut", "late", "500"])
@every_request
def test_faults_of_either_end_are_survived(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch,
    method: str, fault: str, end: str, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(upload, "PART", 1 << 20)
    monkeypatch.setattr("core.registry.transport.http.BACKOFF_S", 0.05)
    acts = {"cut": cut(0), "late": cut_answer, "500": lambda handler: handler.say(503)}
    if method in ("POST", "PATCH", "PUT"):
        acts["late"] = cut(300_000)
    with FaultProxy(source.port) as near, FaultProxy(target.port) as far:
        (near if end == "source" else far).once(method, acts[fault], 2)
        report = sync(store, rule(f"{near.host}/team/app", f"{far.host}/app", tags="1.0"))
        assert [done.error for done in report.steps] == [""]
    check_whole(f"{target.host}/app:1.0", tmp_path / "copied")


@every_request
def test_a_slow_end_is_waited_for_and_a_silent_or_limiting_one_ends_the_sync(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch,
    method: str, end: str, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(upload, "PART", 1 << 20)
    monkeypatch.setattr("core.registry.transport.http.BACKOFF_S", 0.01)

    def impatient(timeout_s: float, to: str) -> Config:
        given = rule(f"{near.host}/team/app", f"{far.host}/{to}", tags="1.0")
        return Config({("registry", "timeout_s"): timeout_s}, sync=given.sync)

    with FaultProxy(source.port) as near, FaultProxy(target.port) as far:
        faulty = near if end == "source" else far
        faulty.once(method, late(0.1), 99)
        assert [done.error for done in sync(store, impatient(3, "slow")).steps] == [""]
        for act, timeout_s, cause in (
            (silent, 0.2, r"nothing (came|was taken) for 0\.2 s"),
            (lambda handler: handler.say(429, {"Retry-After": "90"}), 9, "too many requests.*90 s"),
            (lambda handler: handler.say(502), 9, "the server fails: HTTP 502"),
        ):
            faulty.faults.clear()
            faulty.requests.clear()
            faulty.once(method, act, 99)
            config = impatient(timeout_s, "app")
            begun = time.monotonic()
            with pytest.raises(RegistryError) as caught:
                check_reports([sync(store, config)])
            assert time.monotonic() - begun < 8
            told = f"{caught.value.message} {caught.value.hint}"
            assert re.search(cause, told), told
            assert faulty.host in told
            if isinstance(caught.value, RateLimited):
                # Those that were on their way at the same time may meet it, too.
                assert faulty.count(method) <= 2 + config["registry", "parallel_layers"]
        faulty.faults.clear()
        assert [done.error for done in sync(store, impatient(9, "app")).steps] == [""]
    check_whole(f"{target.host}/app:1.0", tmp_path / "copied")


@every_request
def test_a_token_that_expires_in_the_middle_is_asked_for_anew(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch,
    method: str, end: str, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(upload, "PART", 1 << 20)
    with FaultProxy(source.port) as near, FaultProxy(target.port) as far:
        proxy = near if end == "source" else far
        gate = TokenGate(proxy)

        def alone(to: str) -> Config:
            given = rule(f"{near.host}/team/app", f"{far.host}/{to}", tags="1.0")
            return Config({("registry", "parallel_layers"): 1}, sync=given.sync)

        gate.expire(method)
        assert [done.error for done in sync(store, alone("app")).steps] == [""]
        gate.expire(method, 99)
        with pytest.raises(RegistryError, match=proxy.host) as caught:
            check_reports([sync(store, alone("never"))])
        assert "asks for credentials" in caught.value.message
        assert "token-" not in f"{caught.value.message} {caught.value.hint}"
    check_whole(f"{target.host}/app:1.0", tmp_path / "copied")


def test_one_image_that_fails_does_not_end_the_others(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry.transport.http.BACKOFF_S", 0.05)
    with FaultProxy(source.port) as near:
        config = rule(f"{near.host}/team/app", f"{target.host}/app")
        spoilt = plan(store, config).steps[0].blobs[-1][0]

        def corrupt(handler: Any) -> bool:
            if handler.command != "GET" or spoilt not in handler.path:
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", "10")
            handler.end_headers()
            handler.wfile.write(b"0123456789")
            return True

        near.faults.append(corrupt)
        report = sync(store, config)
        failed = [done for done in report.steps if done.error]
        assert len(failed) == 1
        with pytest.raises(RegistryError, match="1 of 3") as caught:
            check_reports([report])
        assert failed[0].target in caught.value.hint
        near.faults.clear()
        assert sorted(actions(sync(store, config)).values()) == ["copy", "keep", "keep"]
        near.once("HEAD", lambda handler: handler.say(429, {"Retry-After": "90"}), 99)
        with pytest.raises(RateLimited):
            sync(store, config)
    assert "90 s" in rule_states(store, read_rules(config))[0].error


def test_one_rule_that_fails_does_not_end_the_others(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    with FaultProxy(source.port) as limiting:
        limiting.once("GET", lambda handler: handler.say(429, {"Retry-After": "90"}), 99)
        ends = {
            "refused": ("127.0.0.1:1/app", f"{target.host}/refused"),
            "limited": (f"{limiting.host}/team/app", f"{target.host}/limited"),
            "limited too": (f"{limiting.host}/parts", f"{target.host}/limited"),
            "good": (f"{source.host}/team/app", f"{target.host}/good"),
        }
        tables = [{"name": name, "from": near, "to": far, "tags": "1.0"}
                  for name, (near, far) in ends.items()]  # fmt: skip
        config = Config(sync=tuple(tables))
        file = tmp_path / "report.json"
        reports = run_rules(store, config, read_rules(config), Job(1, "sync"), str(file))
        assert len(limiting.requests) == 1
    assert ["refused" in reports[0].error, reports[3].error] == [True, ""]
    assert all(isinstance(report.failure, RateLimited) for report in reports[1:3])
    assert digest(f"{target.host}/good:1.0")
    assert [item["error"] for item in json.loads(file.read_text())] == [
        report.error for report in reports
    ]
    assert [state.copied for state in rule_states(store, read_rules(config))] == [0, 0, 0, 1]
    with pytest.raises(Unreachable):
        check_reports(reports)


def test_a_sync_that_was_cancelled_goes_on(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 1 << 20)
    config = rule(f"{source.host}/team/app", f"{target.host}/app")
    job = Job(1, "sync")
    report = job.progress

    def progress(name: str, done: int, total: int, note: str = "") -> None:
        report(name, done, total, note)
        if done > 1 << 20:
            job.cancel()

    job.progress = progress  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        run_rules(store, config, read_rules(config), job)
    with FaultProxy(source.port) as near:
        config = rule(f"{near.host}/team/app", f"{target.host}/app")
        again = sync(store, config)
        assert [done.error for done in again.steps] == ["", "", ""]


@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.5])
def test_a_sync_that_was_killed_goes_on_and_the_program_tells(
    source: Registry, target: OwnRegistry, paths: Paths, tmp_path: Path, after_s: float
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[sync]]\nname = "app"\nfrom = "{source.host}/team/app"\nto = "{target.host}/app"\n'
    )
    environment = {
        **os.environ, "LIMPET_DATA_ROOT": paths.data, "LIMPET_RUN_ROOT": paths.run,
        "LIMPET_CONFIG": str(config),
    }  # fmt: skip

    def limpet(*words: str) -> str:
        done = subprocess.run(
            [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    killed = subprocess.Popen([LIMPET, "sync", "run"], env=environment, stderr=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)  # fmt: skip
    time.sleep(after_s)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert "app" in limpet("sync", "ls")
    limpet("sync", "plan", "--format", "json")
    limpet("sync", "run", "app", "--report", str(tmp_path / "report.json"))
    document = json.loads((tmp_path / "report.json").read_text())[0]
    assert (document["rule"], document["error"], len(document["steps"])) == ("app", "", 3)
    assert limpet("sync", "plan", "-q") == ""
    for tag in ("1.0", "1.1", "latest"):
        check_whole(f"{target.host}/app:{tag}", tmp_path / tag)
