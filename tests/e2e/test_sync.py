"""Syncing between docker-registry, limpet's own registry, the store, layouts and directories."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Cancelled, NotFound, RateLimited, RegistryError, Unreachable, UnsafePath
from core.images.digest import digest_of
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry import upload
from core.registry.disk_ends import DirectoryEnd
from core.registry.pull import pull
from core.registry.sync import Report, check_reports, plan_rules, rule_states, run_rules
from core.registry.sync_plan import SyncPlan
from core.registry.sync_rules import read_rules
from core.trash import Trash
from tests.fault_proxy import FaultProxy, TokenGate, cut, late, silent
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NOISE = random.Random(8).randbytes(3 << 20)
PROGRAM = Path(__file__).parent.parent.parent / "bin/limpet"
ARM = "linux/s390x"


def run(*command: str | Path) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    """team/app has 1.0, 1.1 and latest over one large layer, many:1 is for two platforms."""
    place = tmp_path_factory.mktemp("source")
    base = layer_tar("large", NOISE)
    with Registry(place / "served") as registry:
        for tag in ("1.0", "1.1", "latest"):
            layout = write_oci_layout(place / tag, [base, layer_tar(tag, tag.encode())])
            registry.push(layout, f"team/app:{tag}")
        foreign = write_oci_layout(place / "foreign", [base, layer_tar("foreign", b"x")])
        run("umoci", "config", "--image", f"{foreign}:latest", "--architecture", "s390x")
        for name in (place / "1.0", foreign):
            registry.push(name, f"parts:{name.name}")
        push_index(registry, "many:1", [f"parts:{tag}" for tag in ("1.0", "foreign")])
        yield registry


def push_index(registry: Registry, name: str, parts: list[str]) -> None:
    """Push one index of images that are in the registry."""
    import http.client

    connection = http.client.HTTPConnection(registry.host, timeout=10)

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        connection.request(method, f"/v2/{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return content

    entries = []
    path, _, tag = name.partition(":")
    for part in parts:
        repository, _, name_of = part.partition(":")
        kind = "application/vnd.oci.image.manifest.v1+json"
        content = ask("GET", f"{repository}/manifests/{name_of}", Accept=kind)
        manifest = json.loads(content)
        for blob in (manifest["config"], *manifest["layers"]):
            ask("POST", f"{path}/blobs/uploads/?mount={blob['digest']}&from={repository}")
        import hashlib

        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        ask("PUT", f"{path}/manifests/{digest}", content, **{"Content-Type": kind})
        config = json.loads(ask("GET", f"{repository}/blobs/{manifest['config']['digest']}"))
        entries.append(
            {"mediaType": kind, "digest": digest, "size": len(content),
             "platform": {"os": "linux", "architecture": config["architecture"]}}
        )  # fmt: skip
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    ask("PUT", f"{path}/manifests/{tag}", index, **{"Content-Type": kind})
    connection.close()


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def target(tmp_path: Path, isolated: None) -> Iterator[OwnRegistry]:
    with OwnRegistry(Paths(str(tmp_path / "served"), str(tmp_path / "served-run"))) as served:
        yield served


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def rule(source: str, target: str, **keys: Any) -> Config:
    return Config(sync=({"name": "test", "from": source, "to": target, **keys},))


def config_of(config: Config, **keys: Any) -> Config:
    """Return the rule with other criteria."""
    return Config(sync=({**config.sync[0], **keys},))


def sync(store: ImageStore, config: Config) -> Report:
    reports = run_rules(store, config, read_rules(config), Job(1, "sync"))
    if reports[0].failure:
        raise reports[0].failure
    return reports[0]


def plan(store: ImageStore, config: Config) -> SyncPlan:
    return plan_rules(store, config, read_rules(config), Job(1, "plan"))[0]


def actions(report: Report | SyncPlan) -> dict[str, str]:
    return {step.target.rpartition(":")[2]: step.action for step in report.steps}


def digest(name: str) -> str:
    found = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    import hashlib

    return f"sha256:{hashlib.sha256(found.encode()).hexdigest()}"


def check_whole(name: str, place: Path, *options: str) -> None:
    """skopeo checks every blob's digest as it copies."""
    run("skopeo", "copy", "-q", "--src-tls-verify=false", *options, f"docker://{name}",
        f"dir:{place}")  # fmt: skip


def test_what_is_planned_is_done_and_then_one_head_a_tag_is_enough(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    with FaultProxy(source.port) as near, FaultProxy(target.port) as far:
        config = rule(f"{near.host}/team/app", f"{far.host}/mirror/app")
        planned = plan(store, config)
        assert actions(planned) == {"1.0": "copy", "1.1": "copy", "latest": "copy"}
        assert len(NOISE) < planned.bytes < len(NOISE) + 10_000  # the base counts once
        assert target.ask("GET", "/v2/mirror/app/tags/list").status == 404
        report = sync(store, config)
        assert sum(done.bytes for done in report.steps) == planned.bytes
        assert [done.error for done in report.steps] == ["", "", ""]
        for tag in ("1.0", "1.1", "latest"):
            assert digest(f"{target.host}/mirror/app:{tag}") == digest(
                f"{source.host}/team/app:{tag}"
            )
            check_whole(f"{target.host}/mirror/app:{tag}", tmp_path / tag)
        near.requests.clear()
        far.requests.clear()
        again = sync(store, config)
        assert actions(again) == {"1.0": "keep", "1.1": "keep", "latest": "keep"}
        for end in (near, far):
            assert end.count("HEAD") == 3
            assert len(end.requests) == 3 + 2  # besides: the ping and the list of tags
        # A tag that somebody else moved is seen.
        mirror = f"docker://{target.host}/mirror/app"
        run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
            f"{mirror}:1.1", f"{mirror}:1.0")  # fmt: skip
        assert actions(sync(store, config))["1.0"] == "move"
    state = rule_states(store, read_rules(config))[0]
    assert (state.copied, state.kept, state.error) == (1, 2, "")


def test_extra_tags_go_only_where_the_rule_says_so(
    source: Registry, target: OwnRegistry, store: ImageStore
) -> None:
    places = f"{source.host}/team/app", f"{target.host}/app"
    sync(store, rule(*places))
    assert actions(sync(store, rule(*places, semver="1.x"))) == {"1.0": "keep", "1.1": "keep"}
    config = rule(*places, semver="1.x", newest=1, delete=True)
    assert actions(plan(store, config)) == {"1.0": "delete", "1.1": "keep", "latest": "delete"}
    sync(store, config)
    assert target.ask("GET", "/v2/app/tags/list").document["tags"] == ["1.1"]
    # A rule that means nothing empties nothing.
    slipped = sync(store, rule(*places, tags="2.*", delete=True))
    assert [done.action for done in slipped.steps] == ["skip"]
    gone = sync(store, rule(f"{source.host}/team/gone", places[1], delete=True))
    assert "nothing is deleted" in gone.steps[0].error
    assert target.ask("GET", "/v2/app/tags/list").document["tags"] == ["1.1"]


def test_repositories_lend_each_other_what_they_have(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    report = sync(store, rule(f"{source.host}/*", f"{target.host}/all"))
    assert {done.target for done in report.steps} >= {f"{target.host}/all/team/app:1.0"}
    assert sum(done.mounted for done in report.steps) >= 2
    large = [done.bytes for done in report.steps if done.bytes > 1 << 20]
    assert len(large) == 1
    check_whole(f"{target.host}/all/many:1", tmp_path / "many", "--all")
    # Within one registry, nothing is sent at all.
    inside = sync(store, rule(f"{target.host}/all/team/app", f"{target.host}/copy"))
    assert sum(done.bytes for done in inside.steps) == 0
    assert all(done.mounted and not done.error for done in inside.steps)


def test_platforms(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    config = rule(f"{source.host}/many", f"{target.host}/one", platforms=[ARM])
    sync(store, config)
    raw = json.loads(
        run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target.host}/one:1")
    )
    assert "layers" in raw
    assert actions(sync(store, config)) == {"1": "keep"}
    both = rule(f"{source.host}/many", f"{target.host}/both", platforms=[ARM, "linux/amd64"])
    sync(store, both)
    check_whole(f"{target.host}/both:1", tmp_path / "both", "--all")
    none = sync(store, rule(f"{source.host}/many", f"{target.host}/none", platforms="linux/arm"))
    assert [done.action for done in none.steps] == ["skip"]
    check_reports([none])


def test_into_a_layout_and_directories_and_back(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    for kind in ("oci", "dir"):
        place = f"{kind}:{tmp_path}/{kind}"
        sync(store, rule(f"{source.host}/team/app", place))
        assert actions(sync(store, rule(f"{source.host}/team/app", place)))["1.0"] == "keep"
        name = f"oci:{tmp_path}/oci:1.1" if kind == "oci" else f"dir:{tmp_path}/dir/app:1.1"
        back = f"{target.host}/{kind}"
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", name, f"docker://{back}/skopeo:1")
        assert digest(f"{back}/skopeo:1") == digest(f"{source.host}/team/app:1.1")
        sync(store, rule(place, f"{back}/limpet"))
        tags = rule(f"{source.host}/team/app", place, tags="1.*", delete=True)
        assert actions(sync(store, tags))["latest"] == "delete"
    assert target.ask("GET", "/v2/oci/limpet/tags/list").document["tags"] == [
        "1.0",
        "1.1",
        "latest",
    ]
    assert target.ask("GET", "/v2/dir/limpet/app/tags/list").status == 200
    sync(store, rule(f"{source.host}/many", f"oci:{tmp_path}/many"))
    run("skopeo", "copy", "-q", "--all", f"oci:{tmp_path}/many:1", f"dir:{tmp_path}/copied")


def test_into_the_store_and_out_of_it(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    config = rule(f"{source.host}/team/app", "store", semver="1.x")
    sync(store, config)
    image = store.resolve(f"{source.host}/team/app:1.1")
    assert image.digest == digest(f"{source.host}/team/app:1.1")
    assert store.lowerdirs(image.digest)
    assert actions(sync(store, config)) == {"1.0": "keep", "1.1": "keep"}
    sync(store, rule(f"{source.host}/many", "store"))
    assert store.resolve(f"{source.host}/many:1").platform != ARM
    out = rule("store:*/team/*", f"{target.host}/out")
    assert actions(sync(store, out)) == {"1.0": "copy", "1.1": "copy"}
    check_whole(f"{target.host}/out/team/app:1.1", tmp_path / "out")
    # What a rule takes away here can be brought back.
    name = f"{source.host}/team/app:1.0"
    assert actions(sync(store, config_of(config, tags="1.1", delete=True)))["1.0"] == "delete"
    with pytest.raises(NotFound):
        store.resolve(name)
    Trash(store.paths, store.database, Config(), lambda: store).undo()
    assert store.lowerdirs(store.resolve(name).digest)


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
    monkeypatch.setattr("core.registry.http.BACKOFF_S", 0.05)
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
    monkeypatch.setattr("core.registry.http.BACKOFF_S", 0.01)

    def impatient(timeout_s: float, to: str) -> Config:
        given = rule(f"{near.host}/team/app", f"{far.host}/{to}", tags="1.0")
        return Config({("registry", "timeout_s"): timeout_s}, sync=given.sync)

    with FaultProxy(source.port) as near, FaultProxy(target.port) as far:
        faulty = near if end == "source" else far
        faulty.once(method, late(0.1), 99)
        assert [done.error for done in sync(store, impatient(0.5, "slow")).steps] == [""]
        for act, cause in (
            (silent, r"nothing (came|was taken) for 0\.1 s"),
            (lambda handler: handler.say(429, {"Retry-After": "90"}), "too many requests.*90 s"),
            (lambda handler: handler.say(502), "the server fails: HTTP 502"),
        ):
            faulty.faults.clear()
            faulty.requests.clear()
            faulty.once(method, act, 99)
            config = impatient(0.1, "app")
            begun = time.monotonic()
            with pytest.raises(RegistryError) as caught:
                check_reports([sync(store, config)])
            assert time.monotonic() - begun < 4
            told = f"{caught.value.message} {caught.value.hint}"
            assert re.search(cause, told), told
            assert faulty.host in told
            if isinstance(caught.value, RateLimited):
                # Those that were on their way at the same time may meet it, too.
                assert faulty.count(method) <= 2 + config["registry", "parallel_layers"]
        faulty.faults.clear()
        assert [done.error for done in sync(store, impatient(5, "app")).steps] == [""]
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


def cut_answer(handler: Any) -> None:
    """Pass the request on and hang up in the middle of the answer."""
    import http.client
    import socket

    far = http.client.HTTPConnection("127.0.0.1", handler.proxy.port, timeout=10)
    headers = {name: value for name, value in handler.headers.items() if name != "Host"}
    far.request(handler.command, handler.path, headers=headers)
    answer = far.getresponse()
    body = answer.read()
    far.close()
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_one_image_that_fails_does_not_end_the_others(
    source: Registry, target: OwnRegistry, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry.http.BACKOFF_S", 0.05)
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
            [PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    killed = subprocess.Popen([PROGRAM, "sync", "run"], env=environment, stderr=subprocess.DEVNULL,
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


def test_a_watch_copies_what_comes(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    import threading

    from core.registry.sync import watch_rules

    with OwnRegistry(Paths(f"{tmp_path}/near", f"{tmp_path}/near-run")) as near:
        config = rule(f"{near.host}/app", f"{target.host}/app")
        job = Job(1, "watch")
        watch = threading.Thread(
            target=job.run,
            args=(lambda job: watch_rules(store, config, read_rules(config), 0.1, job),),
        )
        watch.start()
        run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
            f"docker://{source.host}/team/app:1.0", f"docker://{near.host}/app:1.0")  # fmt: skip
        deadline = time.monotonic() + 10
        while target.ask("GET", "/v2/app/manifests/1.0").status != 200:
            assert time.monotonic() < deadline, list(job.log)
            time.sleep(0.05)
        job.cancel()
        watch.join()


def test_a_store_image_is_compared_with_its_registry_after_a_sync(
    source: Registry, store: ImageStore
) -> None:
    """A synced image is no stranger to pull: nothing is fetched again."""
    sync(store, rule(f"{source.host}/team/app", "store", tags="1.0"))
    job = Job(1, "pull")
    pull(store, Config(), parse_reference(f"{source.host}/team/app:1.0"), "", job)
    assert {item.note for item in job.snapshot().items} == {"exists"}


def test_a_tag_that_is_a_path_leads_nowhere(store: ImageStore, tmp_path: Path) -> None:
    """A hostile registry names its tags as it likes; a directory is made and removed here alone."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("data")
    end = DirectoryEnd(f"dir:{tmp_path}/images")
    for name in ("../precious", "a/../../precious", ".blobs", "/etc"):
        for act in (end.digest, lambda path, tag: end.delete(path, tag, set())):
            with pytest.raises(UnsafePath):
                act("", name)
        with pytest.raises(UnsafePath):
            end.put("", name, (b"{}", "", digest_of(b"{}")))
    assert (precious / "file").read_text() == "data"
