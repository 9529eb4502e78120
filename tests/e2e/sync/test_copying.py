"""Syncing between docker-registry, limpet's own registry, the store, layouts and directories."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.config import Config
from core.errors import NotFound, UnsafePath
from core.images.digest import digest_of
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.pull import pull
from core.registry.sync.disk_ends import DirectoryEnd
from core.registry.sync.rules import read_rules
from core.registry.sync.runs import check_reports, rule_states
from core.trash import Trash
from tests.e2e.command_line import run
from tests.e2e.sync.ends import (
    ARM,
    NOISE,
    actions,
    check_whole,
    config_of,
    digest,
    plan,
    rule,
    sync,
)
from tests.fault_proxy import FaultProxy
from tests.fixture_images import Registry
from tests.own_registry import OwnRegistry


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


def test_a_watch_copies_what_comes(
    source: Registry, target: OwnRegistry, store: ImageStore, tmp_path: Path
) -> None:
    import threading

    from core.registry.sync.runs import watch_rules

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
        deadline = time.monotonic() + 40
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
