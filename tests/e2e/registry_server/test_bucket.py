"""limpet's registry with its blobs in a bucket: of moto's S3, in the test's own process."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import pytest

from core.config import Config
from core.errors import ConfigError, Unreachable
from core.jobs import Job
from core.paths import Paths
from core.registry_server import bucket as bucket_module
from core.registry_server.blobs import ServedBlobs
from core.registry_server.bucket import open_bucket
from core.registry_server.garbage import Collected, collect
from core.registry_server.server import ServeOptions, serve
from tests.e2e.command_line import run
from tests.fixture_images import write_oci_layout
from tests.hostile_registry import digest_of, layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from moto.server import ThreadedMotoServer

NOISE = random.Random(12).randbytes(12 << 20)
PART = 5 << 20
"""S3 takes no smaller one but the last."""


@pytest.fixture(scope="module")
def s3(isolated: None) -> Iterator[str]:
    """The address of an S3."""
    from moto.server import ThreadedMotoServer

    server: ThreadedMotoServer = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Look into the bucket `blobs`, which has nothing."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(bucket_module, "PART", PART)
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket="blobs")
    yield client
    for upload in client.list_multipart_uploads(Bucket="blobs").get("Uploads", ()):
        client.abort_multipart_upload(Bucket="blobs", Key=upload["Key"],
                                      UploadId=upload["UploadId"])  # fmt: skip
    for key in objects(client):
        client.delete_object(Bucket="blobs", Key=key)
    client.delete_bucket(Bucket="blobs")


def config_of(endpoint: str, **more: Any) -> Config:
    keys = {"s3": "s3://blobs/registry", "s3_endpoint": endpoint, **more}
    return Config({("registry_server", name): value for name, value in keys.items()})


@pytest.fixture
def registry(s3: str, client: Any, paths: Paths) -> Iterator[OwnRegistry]:
    with OwnRegistry(paths, config=config_of(s3)) as served:
        yield served


def objects(client: Any) -> dict[str, int]:
    """Return the bytes of each object."""
    found = client.list_objects_v2(Bucket="blobs").get("Contents", ())
    return {item["Key"]: item["Size"] for item in found}


def files(paths: Paths) -> int:
    """Return the bytes of all blobs and half blobs on the disk."""
    places = (Path(paths.blobs), Path(paths.partial))
    return sum(file.stat().st_size for place in places for file in place.rglob("*")
               if file.is_file())  # fmt: skip


def push(registry: OwnRegistry, content: bytes, repository: str = "app") -> str:
    digest = digest_of(content)
    place = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    assert registry.ask("POST", place, content).status == 201
    return f"/v2/{repository}/blobs/{digest}"


def sweep(registry: OwnRegistry, s3: str) -> Collected:
    database = registry.store.database
    blobs = ServedBlobs(registry.store.blobs, database, open_bucket(config_of(s3)))
    try:
        return collect(registry.paths, database, blobs, untagged=True, keep_s=0)
    finally:
        database.close()


def test_images_go_to_the_bucket_and_come_back(
    registry: OwnRegistry, client: Any, tmp_path: Path
) -> None:
    layout = write_oci_layout(tmp_path / "layout", [layer_tar("large", NOISE)])
    name = f"{registry.host}/app:1"
    copy(f"oci:{layout}:latest", f"docker://{name}")
    assert sum(objects(client).values()) > len(NOISE)
    assert all(key.startswith("registry/blobs/") for key in objects(client))
    assert files(registry.paths) < 10_000  # the manifest alone
    copy(f"docker://{name}", f"dir:{tmp_path}/copied")


def copy(source: str, target: str) -> None:
    run("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", source, target)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, 2 * PART, len(NOISE)])
def test_every_size_and_range(registry: OwnRegistry, client: Any, size: int) -> None:
    content = NOISE[:size]
    path = push(registry, content)
    assert list(objects(client).values()) == [size]
    assert not client.list_multipart_uploads(Bucket="blobs").get("Uploads")
    assert registry.ask("GET", path).body == content
    head = registry.ask("HEAD", path)
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))
    if size:
        part = registry.ask("GET", path, headers={"Range": f"bytes={size // 2}-"})
        assert (part.status, part.body) == (206, content[size // 2 :])
        etag = {"If-None-Match": head.headers["ETag"]}
        assert registry.ask("GET", path, headers=etag).status == 304


def test_parts_leave_while_others_come_and_a_wrong_digest_leaves_nothing(
    registry: OwnRegistry, client: Any, s3: str
) -> None:
    place = registry.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
    half = 6 << 20
    sent = registry.ask("PATCH", place, NOISE[:half])
    assert sent.headers["Range"] == f"0-{half - 1}"
    assert client.list_multipart_uploads(Bucket="blobs")["Uploads"]
    wrong = registry.ask("PUT", f"{place}?digest={digest_of(b'other')}", NOISE[half:])
    assert wrong.code == "DIGEST_INVALID"
    sweep(registry, s3)
    assert not client.list_multipart_uploads(Bucket="blobs").get("Uploads")
    assert not objects(client)
    assert files(registry.paths) == 0


def test_another_server_goes_on_with_an_upload(paths: Paths, client: Any, s3: str) -> None:
    digest = digest_of(NOISE)
    with OwnRegistry(paths, config=config_of(s3)) as first:
        place = first.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
        first.ask("PATCH", place, NOISE[: 6 << 20])
    with OwnRegistry(paths, config=config_of(s3)) as second:
        assert second.ask("GET", place).headers["Range"] == f"0-{(6 << 20) - 1}"
        done = second.ask("PUT", f"{place}?digest={digest}", NOISE[6 << 20 :])
        assert done.status == 201
        assert second.ask("GET", f"/v2/app/blobs/{digest}").body == NOISE
    assert not client.list_multipart_uploads(Bucket="blobs").get("Uploads")


def test_one_content_is_one_object_and_goes_when_nothing_needs_it(
    registry: OwnRegistry, client: Any, s3: str
) -> None:
    path = push(registry, NOISE)
    push(registry, NOISE, "other")
    digest = path.rpartition("/")[2]
    mounted = registry.ask("POST", f"/v2/third/blobs/uploads/?mount={digest}&from=app")
    assert mounted.status == 201
    sweep(registry, s3)  # what the second upload had sent by then goes
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "x", "digest": digest, "size": len(NOISE)}, "layers": [],
    }).encode()  # fmt: skip
    push(registry, NOISE)
    assert registry.ask("PUT", "/v2/app/manifests/1", manifest).status == 201
    sweep(registry, s3)
    assert list(objects(client).values()) == [len(NOISE)]
    assert registry.ask("GET", path).body == NOISE
    assert registry.ask("DELETE", f"/v2/app/manifests/{digest_of(manifest)}").status == 202
    time.sleep(0.01)
    found = sweep(registry, s3)
    assert found.bytes_back >= len(NOISE)
    assert not objects(client)
    assert registry.ask("GET", path).status == 404


def test_clients_are_sent_to_the_bucket(paths: Paths, client: Any, s3: str, tmp_path: Path) -> None:
    with OwnRegistry(paths, config=config_of(s3, s3_redirect=True)) as registry:
        path = push(registry, NOISE)
        answer = registry.ask("GET", path)
        assert answer.status == 307
        assert answer.headers["Location"].startswith(f"{s3}/blobs/registry/")
        layout = write_oci_layout(tmp_path / "layout", [layer_tar("large", NOISE)])
        copy(f"oci:{layout}:latest", f"docker://{registry.host}/app:1")
        copy(f"docker://{registry.host}/app:1", f"dir:{tmp_path}/copied")


def test_a_bucket_that_fails_is_named(
    paths: Paths, client: Any, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def served(**keys: Any) -> None:
        serve(paths, store.store, config_of(s3, **keys), ServeOptions(port=0), Job(1, "serve"))

    with OwnRegistry(paths, config=config_of(s3)) as store:
        for address in ("blobs", "https://blobs", "s3://"):
            with pytest.raises(ConfigError, match="is not a bucket"):
                served(s3=address)
        with pytest.raises(Unreachable, match=r"s3://nothing: .*404"):
            served(s3="s3://nothing")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "boto3", None)
            with pytest.raises(ConfigError, match="needs boto3") as caught:
                served()
            assert "limpet[s3]" in caught.value.hint
        path = push(store, NOISE[:100])
        for key in objects(client):
            client.delete_object(Bucket="blobs", Key=key)
        lost = store.ask("GET", path)
        assert (lost.status, lost.code) == (503, "UNAVAILABLE")
        assert "s3://blobs" in lost.document["errors"][0]["message"]
        assert store.ask("GET", "/v2/").status == 200
