"""Syncing between image layouts and directories: no registry, so all here is the disk's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import HostError
from core.file_lock import FileLock
from core.images.digest import digest_of
from core.images.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.sync import disk_ends
from core.registry.sync.disk_ends import DirectoryEnd, LayoutEnd
from core.registry.sync.rules import Rule
from core.registry.sync.runs import Report, plan_rules, run_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CONFIG = b'{"architecture":"amd64","os":"linux"}'


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def manifest(note: str, config_type: str = OCI_CONFIG) -> bytes:
    config = descriptor(CONFIG, config_type)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "config": config,
                "annotations": {"note": note}}  # fmt: skip
    return json.dumps(document).encode()


def index(*below: bytes) -> bytes:
    entries = [
        descriptor(one, OCI_INDEX if b'"manifests"' in one else OCI_MANIFEST) for one in below
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return json.dumps(document).encode()


def put(end: LayoutEnd | DirectoryEnd, repository: str, tag: str, content: bytes) -> None:
    end.blobs.write(digest_of(CONFIG), [CONFIG])
    kind = OCI_INDEX if b'"manifests"' in content else OCI_MANIFEST
    end.put(repository, tag, (content, kind, digest_of(content)))
    end.close()


def sync(store: ImageStore, source: str, target: str, **keys: Any) -> Report:
    return run_rules(store, Config(), [Rule("test", source, target, **keys)], Job(1, "sync"))[0]


def calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """Return a list to which each call of a function is added from now on."""
    made: list[tuple[Any, ...]] = []
    original = getattr(owner, name)

    def counted(*given: Any) -> Any:
        made.append(given)
        return original(*given)

    monkeypatch.setattr(owner, name, counted)
    return made


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_ends_on_disk_are_listed_once_for_all_their_repositories(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What is read and walked grows with the tags, not with tags times repositories."""
    source, target = f"{kind}:{tmp_path}/a", f"{kind}:{tmp_path}/b"
    end = LayoutEnd(source) if kind == "oci" else DirectoryEnd(source)
    for number in range(20):
        for tag in ("1", "2"):
            put(end, f"team/app{number}", tag, manifest(f"{number} {tag}"))
    assert {done.error for done in sync(store, source, target).steps} == {""}
    looks = calls(monkeypatch, disk_ends, "_ref_name" if kind == "oci" else "digest_of")
    again = sync(store, source, target)
    assert [done.action for done in again.steps] == ["keep"] * 40
    assert len(looks) == 2 * 40


def test_tags_of_one_image_come_into_directories_at_once(store: ImageStore, tmp_path: Path) -> None:
    end = LayoutEnd(f"oci:{tmp_path}/a")
    for number in range(100):
        put(end, "app", str(number), manifest("the same"))
    target = f"dir:{tmp_path}/b"
    sync(store, end.name, target, tags=("0",))  # the blobs: from now on nothing is waited for
    report = sync(store, end.name, target)
    assert {done.error for done in report.steps} == {""}
    for number in range(100):
        image = tmp_path / "b" / f"app:{number}"
        names = sorted(path.name for path in image.iterdir())
        assert names == sorted([digest_of(CONFIG)[7:], "manifest.json", "version"])
    assert sorted(path.name for path in (tmp_path / "b").iterdir() if path.name < "a") == [".blobs"]


def test_a_place_that_cannot_be_written_ends_its_rule_alone(
    store: ImageStore, tmp_path: Path
) -> None:
    end = LayoutEnd(f"oci:{tmp_path}/a")
    put(end, "app", "1", manifest("one"))
    (tmp_path / "file").touch()
    rules = [Rule(kind, end.name, f"{kind}:{tmp_path}/{place}")
             for kind, place in (("oci", "file"), ("dir", "file"), ("dir", "b"))]  # fmt: skip
    reports = run_rules(store, Config(), rules, Job(1, "sync"))
    for report in reports[:2]:
        assert isinstance(report.failure, HostError)
        assert "Not a directory" in report.error
    assert reports[2].error == ""


def test_tags_of_a_layout_are_there_at_once_and_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index has all tags: written with each, it would be written tags times tags."""
    writes = calls(monkeypatch, disk_ends, "write_whole")
    end, other = LayoutEnd(f"oci:{tmp_path}/a"), LayoutEnd(f"oci:{tmp_path}/a")
    contents = [manifest(str(number)) for number in range(100)]
    for number, content in enumerate(contents):
        end.put("app", str(number), (content, OCI_MANIFEST, digest_of(content)))
        assert end.manifest("app", str(number))[0] == content
    put(other, "app", "other", contents[0])
    end.delete("app", "0", set())
    assert end.digest("app", "0") == ""
    end.close()
    assert set(LayoutEnd(end.name).tags("app")) == {"other", *map(str, range(1, 100))}
    assert len(writes) < 50  # a second each


def test_an_index_is_read_once_however_often_it_is_named(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else twice a level would be two to the power of the levels."""
    end = LayoutEnd(f"oci:{tmp_path}/a")
    content = manifest("leaf")
    put(end, "", "", content)
    for _ in range(6):
        content = index(content, content)
        put(end, "", "", content)
    put(end, "app", "deep", content)
    reads = calls(monkeypatch, LayoutEnd, "manifest")
    plan = plan_rules(store, Config(), [Rule("t", end.name, f"oci:{tmp_path}/b")], Job(1, "t"))[0]
    assert len(plan.steps[0].manifests) == len(reads) == 7
    assert {done.error for done in sync(store, end.name, f"oci:{tmp_path}/b").steps} == {""}


def test_an_index_without_end_fails_and_the_other_tags_are_copied(
    store: ImageStore, tmp_path: Path
) -> None:
    end = LayoutEnd(f"oci:{tmp_path}/a")
    content = manifest("leaf")
    for number in range(20):
        put(end, "", "", content)
        content = index(content) if number else content
    put(end, "app", "deep", content)
    put(end, "app", "good", manifest("good"))
    report = sync(store, end.name, f"oci:{tmp_path}/b")
    deep, good = report.steps
    assert (good.action, good.error) == ("copy", "")
    assert deep.action == "fail"
    assert "names more manifests" in deep.error
    assert report.error == deep.error


def test_what_is_no_image_is_left_out_of_this_hosts_store_alone(
    store: ImageStore, tmp_path: Path
) -> None:
    """A chart or a signature beside the images is nothing to unpack."""
    end = LayoutEnd(f"oci:{tmp_path}/a")
    put(end, "h/app", "chart", manifest("chart", "application/vnd.cncf.helm.config.v1+json"))
    put(end, "h/app", "image", manifest("image"))
    chart, image = sync(store, end.name, "store", platforms=("linux/amd64",)).steps
    assert (chart.action, image.action, image.error) == ("skip", "copy", "")
    assert "not a container image" in chart.error


def test_what_a_killed_run_was_making_goes_unless_somebody_is_making_it(tmp_path: Path) -> None:
    left = tmp_path / ".new-1-1"
    (left / "image").mkdir(parents=True)
    (tmp_path / ".blobs").mkdir()
    with FileLock(f"{tmp_path}/.blobs/lock", shared=True):
        put(DirectoryEnd(f"dir:{tmp_path}"), "app", "1", manifest("one"))
    assert left.exists()
    put(DirectoryEnd(f"dir:{tmp_path}"), "app", "1", manifest("two"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".blobs", "app:1"]
