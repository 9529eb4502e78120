"""limpet's registry as its clients see it: skopeo, buildah, podman, limpet, a cache's users."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import pytest

from core.config import Config
from core.errors import NotFound, Unauthorized
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.browse import describe_tags, referrers
from core.registry.client import RegistryClient
from core.registry.credentials import login
from core.registry.push import push
from tests.e2e.command_line import environment, limpet, run
from tests.e2e.registry_server.place import INSECURE, blob_files, copy_in, do_pull
from tests.fault_proxy import FaultProxy, cut
from tests.fixture_images import Registry, make_certificate, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def test_skopeo_pushes_copies_and_deletes(
    registry: OwnRegistry, layout: Path, tmp_path: Path
) -> None:
    name = f"{registry.host}/team/app"
    copy_in(layout, f"{name}:1")
    copy_in(layout, f"{name}:docker", "--format", "v2s2")
    run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
        f"docker://{name}:1", f"docker://{registry.host}/other:1")  # fmt: skip
    for tag in (f"{name}:1", f"{name}:docker", f"{registry.host}/other:1"):
        run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{tag}",
            f"dir:{tmp_path}/{tag.rpartition(':')[2]}")  # fmt: skip
    tags = json.loads(run("skopeo", "list-tags", INSECURE, f"docker://{name}"))
    assert tags["Tags"] == ["1", "docker"]
    run("skopeo", "delete", INSECURE, f"docker://{name}:docker")
    tags = json.loads(run("skopeo", "list-tags", INSECURE, f"docker://{name}"))
    assert tags["Tags"] == ["1"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a name that podman does not find too long."""
    with tempfile.TemporaryDirectory(prefix="limpet-", dir="/tmp") as made:
        yield Path(made)


def test_buildah_and_podman(
    registry: OwnRegistry, layout: Path, tmp_path: Path, short: Path
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    conf = tmp_path / "containers.conf"
    conf.write_text('[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n')
    storage = ("--root", short / "root", "--runroot", short / "run", "--storage-driver", "vfs")
    buildah, podman = ("buildah", *storage), ("podman", *storage)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{}")  # buildah wants to see it
    environment = {"CONTAINERS_CONF": str(conf)}
    name = f"{registry.host}/app"
    run(*buildah, "manifest", "create", "list", **environment)
    run(*buildah, "manifest", "add", INSECURE, "list", f"docker://{name}:1", **environment)
    run(*buildah, "manifest", "push", INSECURE, "--all", "list", f"docker://{name}:list",
        **environment)  # fmt: skip
    made = run(*buildah, "from", INSECURE, "--pull", f"{name}:list", **environment).strip()
    run(*buildah, "config", "--label", "made=here", made, **environment)
    run(*buildah, "commit", "-q", made, f"{name}:built", **environment)
    run(*buildah, "push", INSECURE, f"{name}:built", **environment)
    run(*podman, "pull", "-q", INSECURE, f"{name}:built", **environment)
    run(*podman, "tag", f"{name}:built", f"{registry.host}/podman/app:2", **environment)
    run(*podman, "push", "-q", INSECURE, f"{registry.host}/podman/app:2", **environment)
    found = json.loads(run("skopeo", "inspect", INSECURE, f"docker://{registry.host}/podman/app:2"))
    assert found["Labels"]["made"] == "here"


def test_limpet_pushes_and_pulls_side_by_side(
    registry: OwnRegistry, layout: Path, far: ImageStore
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    digest = do_pull(far, f"{registry.host}/app:1")
    image = far.resolve(digest)
    far.tag(digest, f"{registry.host}/lent:1")
    job = Job(1, "push")
    pushed = push(far, Config(), [image], parse_reference(f"{registry.host}/new/app:2"), job)
    assert pushed.digest == digest
    assert {item.note for item in job.snapshot().items} == {"mounted"}
    with RegistryClient(registry.host, Config()) as client:
        assert [tag.digest for tag in describe_tags(client, "new/app", ["2"])] == [digest]
        assert referrers(client, "new/app", digest) == []


def test_the_hosts_own_images_are_served_and_nothing_is_stored_twice(
    registry: OwnRegistry, layout: Path, far: ImageStore, tmp_path: Path
) -> None:
    with Registry(tmp_path / "source") as source:
        name = source.push(layout, "library/app:3")
        digest = do_pull(registry.store, name)
    before = blob_files(registry.paths)
    assert registry.ask("GET", "/v2/_catalog").document == {"repositories": ["library/app"]}
    assert registry.ask("GET", "/v2/library/app/tags/list").document["tags"] == ["3"]
    assert do_pull(far, f"{registry.host}/library/app:3") == digest
    # Nobody removes the host's images from afar.
    for place in ("3", digest):
        denied = registry.ask("DELETE", f"/v2/library/app/manifests/{place}")
        assert (denied.status, denied.code) == (409, "DENIED")
    env = environment(registry.paths, tmp_path)
    told = limpet(env, "registry", "rm", "-f", f"{registry.host}/library/app:3", code=1)
    assert "limpet rmi removes it there" in told
    assert "login" not in told
    # A push finds its blobs there, and leaves one copy of everything.
    copy_in(layout, f"{registry.host}/library/app:4")
    run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{registry.host}/library/app:4",
        f"dir:{tmp_path}/copied")  # fmt: skip
    assert blob_files(registry.paths) == before
    assert registry.ask("GET", "/v2/library/app/tags/list").document["tags"] == ["3", "4"]
    # What was pushed stays when the host lets go of the image.
    plan = registry.store.plan_removal([name], force=False, users={})
    registry.store.apply_removal(plan)
    registry.store.database.close()
    assert do_pull(far, f"{registry.host}/library/app:4") == digest
    assert blob_files(registry.paths) == before


def test_a_damaged_image_of_the_host_does_not_stop_a_push(
    registry: OwnRegistry, layout: Path, tmp_path: Path
) -> None:
    with Registry(tmp_path / "source") as source:
        digest = do_pull(registry.store, source.push(layout, "library/app:3"))
    registry.store.blobs.remove(digest)
    assert registry.ask("GET", "/v2/library/app/manifests/3").status == 404
    copy_in(layout, f"{registry.host}/library/app:4")
    assert registry.ask("GET", "/v2/library/app/manifests/4").status == 200


def test_what_was_pushed_is_pulled_on_the_spot_without_a_second_copy(
    registry: OwnRegistry, layout: Path
) -> None:
    copy_in(layout, f"{registry.host}/app:1")
    before = blob_files(registry.paths)
    do_pull(registry.store, f"{registry.host}/app:1")
    assert blob_files(registry.paths) == before


def test_users_are_asked_for_their_passwords(
    paths: Paths, layout: Path, tmp_path: Path, far: ImageStore
) -> None:
    users = tmp_path / "users"
    users.write_text(run("htpasswd", "-Bbn", "me", "s3cret"))
    with OwnRegistry(paths, htpasswd=str(users)) as registry:
        refused = registry.ask("GET", "/v2/")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
        for words in ("me:wrong", "you:s3cret", "me", ":"):
            header = {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
            assert registry.ask("GET", "/v2/_catalog", headers=header).status == 401
        copy_in(layout, f"{registry.host}/app:1", "--dest-creds", "me:s3cret")
        with pytest.raises(Unauthorized):
            do_pull(far, f"{registry.host}/app:1")
        login(Config(), registry.host, "me", "s3cret")
        do_pull(far, f"{registry.host}/app:1")
        # The file is read again when it changes.
        users.write_text(run("htpasswd", "-Bbn", "you", "other"))
        with pytest.raises(Unauthorized):
            do_pull(far, f"{registry.host}/app:1")


def test_tls_and_read_only(paths: Paths, layout: Path, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    options = {"tls_certificate": made["certificate"], "tls_key": made["key"]}
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes(Path(made["certificate"]).read_bytes())
    with OwnRegistry(paths, **options) as registry:
        run("skopeo", "copy", "-q", "--dest-cert-dir", trusted,
            f"oci:{layout}:latest", f"docker://{registry.host}/app:1")  # fmt: skip
        run("skopeo", "copy", "-q", "--src-cert-dir", trusted,
            f"docker://{registry.host}/app:1", f"dir:{tmp_path}/copied")  # fmt: skip
    with OwnRegistry(paths, read_only=True) as registry:
        assert registry.ask("GET", "/v2/app/manifests/1").status == 200
        for method, path in (("POST", "/v2/app/blobs/uploads/"), ("DELETE", "/v2/app/manifests/1")):
            assert registry.ask(method, path).code == "UNSUPPORTED"


def test_a_cache_serves_what_its_upstream_no_longer_can(
    paths: Paths, layout: Path, tmp_path: Path, far: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry_server.upstream.FRESH_S", 0)
    with Registry(tmp_path / "upstream") as upstream, FaultProxy(upstream.port) as proxy:
        upstream.push(layout, "mirrored/app:1")
        with OwnRegistry(paths, upstream=f"{proxy.host}/mirrored") as cache:
            proxy.once("GET", cut(0))
            digest = do_pull(far, f"{cache.host}/app:1")
            fetched = proxy.count("GET")
            for _ in range(2):
                run("skopeo", "copy", "-q", "--src-tls-verify=false",
                    f"docker://{cache.host}/app:1", f"dir:{tmp_path}/copied")  # fmt: skip
            assert proxy.count("GET") == fetched
            with pytest.raises(NotFound):
                do_pull(far, f"{cache.host}/app:absent")
            assert cache.ask("PUT", "/v2/app/manifests/1", b"{}").code == "UNSUPPORTED"
            # The tag moves upstream, and the cache follows.
            newer = write_oci_layout(tmp_path / "newer", [layer_tar("new", b"new")])
            upstream.push(newer, "mirrored/app:1")
            moved = do_pull(far, f"{cache.host}/app:1")
            assert moved != digest
            for method in ("GET", "HEAD"):
                proxy.once(method, lambda handler: handler.say(503), 99)
            assert cache.ask("GET", "/v2/app/manifests/1").status == 200
            assert cache.ask("GET", "/v2/app/manifests/2").status == 503


def test_many_follow_one_fetch_from_the_upstream(
    paths: Paths, layout: Path, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    index = json.loads((layout / "index.json").read_text())
    entry = index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads((layout / "blobs/sha256" / entry).read_text())
    large = manifest["layers"][0]["digest"]
    whole = (layout / "blobs/sha256" / large.partition(":")[2]).read_bytes()
    with Registry(tmp_path / "upstream") as upstream, FaultProxy(upstream.port) as proxy:
        upstream.push(layout, "app:1")
        with OwnRegistry(paths, upstream=proxy.host) as cache, ThreadPoolExecutor(8) as threads:
            path = f"/v2/app/blobs/{large}"
            asked = [threads.submit(cache.ask, "GET", path) for _ in range(8)]
            assert all(future.result().body == whole for future in asked)
            part = cache.ask("GET", path, headers={"Range": "bytes=-5"})
            assert (part.status, part.body) == (206, whole[-5:])
            assert proxy.count("GET") <= 2  # the ping, and the blob
