"""The registry server against the OCI distribution specification, case by case.

The cases are those of the specification's own conformance suite.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import hashlib
import json
import random
from urllib.parse import quote

import pytest

from core.config import Config
from core.images.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from core.paths import Paths
from core.registry.browse import referrers
from core.registry.client import RegistryClient
from tests.own_registry import Answered, OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Descriptor = dict[str, Any]

REPO, OTHER = "conformance/repo1", "conformance/repo2"
UPLOADS = f"/v2/{REPO}/blobs/uploads/"
EXAMPLE = "application/vnd.example.one"
NOISE = random.Random(6)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[OwnRegistry]:
    root = tmp_path_factory.mktemp("served")
    with OwnRegistry(Paths(str(root / "data"), str(root / "run"))) as served:
        yield served


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def begin(registry: OwnRegistry) -> str:
    answer = registry.ask("POST", UPLOADS)
    assert answer.status == 202
    assert answer.headers["Range"] == "0-0"
    return answer.headers["Location"]


def end(registry: OwnRegistry, place: str, digest: str, body: bytes = b"", **more: str) -> Answered:
    return registry.ask("PUT", f"{place}?digest={quote(digest)}", body, more)


def patch(registry: OwnRegistry, place: str, blob: bytes, start: int, length: int) -> Answered:
    part = blob[start : start + length]
    span = {"Content-Range": f"{start}-{start + len(part) - 1}"}
    return registry.ask("PATCH", place, part, span)


def push_blob(registry: OwnRegistry, content: bytes, kind: str, algorithm: str = "sha256",
              repo: str = REPO) -> Descriptor:  # fmt: skip
    digest = digest_of(content, algorithm)
    answer = registry.ask("POST", f"/v2/{repo}/blobs/uploads/?digest={quote(digest)}", content)
    assert answer.status == 201
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def push_manifest(
    registry: OwnRegistry, document: dict[str, Any], reference: str = "", algorithm: str = "sha256"
) -> Descriptor:
    content = json.dumps(document).encode()
    digest = digest_of(content, algorithm)
    kind = document["mediaType"]
    answer = registry.ask(
        "PUT", f"/v2/{REPO}/manifests/{reference or digest}", content, {"Content-Type": kind}
    )
    assert answer.status == 201, answer.body
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers.get("OCI-Subject", "") == document.get("subject", {}).get("digest", "")
    for name in {answer.headers["Location"].rpartition("/")[2], reference or digest}:
        check_manifest(registry, name, content, kind, digest)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def check_manifest(
    registry: OwnRegistry, reference: str, content: bytes, kind: str, digest: str
) -> None:
    for method in ("GET", "HEAD"):
        found = registry.ask(method, f"/v2/{REPO}/manifests/{reference}")
        assert found.status == 200
        assert found.headers["Content-Type"] == kind
        assert found.headers["Content-Length"] == str(len(content))
        assert found.headers["Docker-Content-Digest"] == digest
        assert found.body == (content if method == "GET" else b"")


def image(registry: OwnRegistry, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
    """Push an image's blobs and return its manifest."""
    config = push_blob(
        registry, NOISE.randbytes(64), "application/vnd.oci.image.config.v1+json", algorithm
    )
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    layers = [push_blob(registry, NOISE.randbytes(300), kind, algorithm) for _ in range(2)]
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
            **more}  # fmt: skip


def index(*entries: Descriptor, **more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries), **more}


def gone(registry: OwnRegistry, path: str) -> bool:
    deleted = registry.ask("DELETE", path).status
    return deleted == 202 and registry.ask("HEAD", path).status == 404


def check_blob(registry: OwnRegistry, answer: Answered, content: bytes, digest: str) -> None:
    """What was pushed is there at once, whole, and goes at once."""
    assert answer.status == 201, answer.body
    assert answer.headers["Docker-Content-Digest"] == digest
    path = f"/v2/{REPO}/blobs/{digest}"
    for method, place in (("GET", answer.headers["Location"]), ("GET", path), ("HEAD", path)):
        found = registry.ask(method, place)
        assert found.status == 200
        assert found.headers["Content-Length"] == str(len(content))
        assert found.headers["Docker-Content-Digest"] == digest
        assert found.body == (content if method == "GET" else b"")
    assert gone(registry, path)


def test_ping_and_what_is_not_there(registry: OwnRegistry) -> None:
    assert registry.ask("GET", "/v2/").status == 200
    missing = digest_of(b"missing")
    for path in ("tags/list", f"manifests/{missing}", "manifests/missing", f"blobs/{missing}"):
        assert registry.ask("GET", f"/v2/nothing/here/{path}").status == 404
    empty = registry.ask("GET", f"/v2/nothing/here/referrers/{missing}")
    assert empty.status == 200
    assert empty.headers["Content-Type"] == OCI_INDEX
    assert empty.document == index()
    assert registry.ask("GET", "/elsewhere").status == 404
    assert registry.ask("PUT", "/v2/").code == "UNSUPPORTED"
    for name, code in (("A/b", "NAME_INVALID"), ("a//b", "NAME_INVALID")):
        assert registry.ask("GET", f"/v2/{name}/tags/list").code == code
    for path in ("manifests/sha256:bad", "blobs/sha256:bad", "referrers/x"):
        assert registry.ask("GET", f"/v2/{REPO}/{path}").status == 400


@pytest.mark.parametrize("content", [b"", b"{}", NOISE.randbytes(512)])
@pytest.mark.parametrize("way", ["post", "put", "patch", "stream"])
def test_a_blob_in_one_part(
    registry: OwnRegistry, algorithm: str, way: str, content: bytes
) -> None:
    digest = digest_of(content, algorithm)
    if way == "post":
        answer = registry.ask("POST", f"{UPLOADS}?digest={quote(digest)}", content)
    elif way == "put":
        answer = end(registry, begin(registry), digest, content)
    else:
        place = begin(registry)
        sent = registry.ask("PATCH", place, content, chunked=way == "stream")
        assert sent.status == 202
        answer = end(registry, sent.headers["Location"], digest)
    check_blob(registry, answer, content, digest)


@pytest.mark.parametrize("last", ["PATCH", "PUT"])
@pytest.mark.parametrize("order", ["right", "wrong"])
def test_a_blob_in_three_parts(
    registry: OwnRegistry, algorithm: str, last: str, order: str
) -> None:
    blob = NOISE.randbytes(3000)
    digest = digest_of(blob, algorithm)
    place = begin(registry)
    for start in (0, 1000, 2000):
        if order == "wrong":
            wrong = 0 if start == 2000 else start + 1000
            refused = patch(registry, place, blob, wrong, 1000)
            assert refused.status == 416
            told = registry.ask("GET", place)
            assert told.status == 204
            assert told.headers["Range"] == f"0-{max(0, start - 1)}"
        if start == 2000 and last == "PUT":
            answer = end(registry, place, digest, blob[2000:], **{"Content-Range": "2000-2999"})
            break
        sent = patch(registry, place, blob, start, 1000)
        assert sent.status == 202
        assert sent.headers["Range"] == f"0-{start + 999}"
    else:
        answer = end(registry, place, digest)
    check_blob(registry, answer, blob, digest)
    assert registry.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize("way", ["post", "put", "patch", "patch and put", "stream"])
def test_a_wrong_digest_is_refused(registry: OwnRegistry, algorithm: str, way: str) -> None:
    digest = digest_of(NOISE.randbytes(10), algorithm)
    if way == "post":
        answer = registry.ask("POST", f"{UPLOADS}?digest={quote(digest)}", b"oh no")
    elif way == "put":
        answer = end(registry, begin(registry), digest, b"oh no")
    else:
        place = begin(registry)
        registry.ask("PATCH", place, b"oh no", chunked=way == "stream")
        answer = end(registry, place, digest, b"more" if way == "patch and put" else b"")
    assert answer.status == 400
    assert answer.code == "DIGEST_INVALID"
    assert registry.ask("HEAD", f"/v2/{REPO}/blobs/{digest}").status == 404
    assert registry.ask("POST", f"{UPLOADS}?digest=md5:abc", b"x").code == "DIGEST_INVALID"


def test_a_blob_is_mounted(registry: OwnRegistry, algorithm: str) -> None:
    blob = NOISE.randbytes(100)
    digest = push_blob(registry, blob, "x", algorithm, OTHER)["digest"]
    mount = f"{UPLOADS}?mount={quote(digest)}"
    check_blob(registry, registry.ask("POST", f"{mount}&from={OTHER}"), blob, digest)
    check_blob(registry, registry.ask("POST", mount), blob, digest)
    # What the other repository lacks is pushed in the ordinary way.
    assert gone(registry, f"/v2/{OTHER}/blobs/{digest}")
    fallback = registry.ask("POST", f"{mount}&from={OTHER}")
    assert fallback.status == 202
    check_blob(registry, end(registry, fallback.headers["Location"], digest, blob), blob, digest)


def test_an_upload_is_cancelled(registry: OwnRegistry) -> None:
    place = begin(registry)
    assert registry.ask("PATCH", place, b"some").status == 202
    assert registry.ask("DELETE", place).status == 204
    assert registry.ask("PATCH", place, b"more").status == 404
    foreign = begin(registry).replace(REPO, OTHER)
    assert registry.ask("PATCH", foreign, b"x").status == 404
    for name in ("../../limpet.db", "x" * 32):
        assert registry.ask("GET", UPLOADS + quote(name, safe="")).status == 404


RANGES = {
    "bytes=500-1499": (500, 1000), "bytes=500-": (500, 1548), "bytes=-500": (1548, 500),
    "bytes=2000-5000": (2000, 48), "bytes=0-0": (0, 1), "bytes=-9999": (0, 2048),
}  # fmt: skip


def test_ranges_and_conditions(registry: OwnRegistry, algorithm: str) -> None:
    blob = NOISE.randbytes(2048)
    path = f"/v2/{REPO}/blobs/{push_blob(registry, blob, 'x', algorithm)['digest']}"
    for asked, (start, length) in RANGES.items():
        found = registry.ask("GET", path, headers={"Range": asked})
        assert (found.status, found.body) == (206, blob[start : start + length])
        assert found.headers["Content-Range"] == f"bytes {start}-{start + length - 1}/2048"
    for asked in ("bytes=500-0", "bytes=5000-10000", "bytes=-0"):
        refused = registry.ask("GET", path, headers={"Range": asked})
        assert (refused.status, refused.headers["Content-Range"]) == (416, "bytes */2048")
    for asked in ("bytes=0-1,5-6", "items=1-2", "bytes=x-"):
        assert registry.ask("GET", path, headers={"Range": asked}).body == blob
    etag = registry.ask("HEAD", path).headers["ETag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        assert registry.ask("GET", path, headers={"If-None-Match": known}).status == 304
    other = registry.ask("GET", path, headers={"If-Range": '"old"', "Range": "bytes=0-9"})
    assert (other.status, other.body) == (200, blob)


def test_images_and_indexes(registry: OwnRegistry, algorithm: str) -> None:
    first = push_manifest(registry, image(registry, algorithm), algorithm=algorithm)
    second = push_manifest(registry, image(registry, algorithm), algorithm=algorithm)
    entries = [
        {**entry, "platform": {"os": "linux", "architecture": name}}
        for entry, name in ((first, "amd64"), (second, "arm64"))
    ]
    many = push_manifest(registry, index(*entries), algorithm=algorithm)
    nested = push_manifest(registry, index(many), algorithm=algorithm)
    empty = push_manifest(registry, index(), algorithm=algorithm)
    for entry in (nested, empty, many, second, first):
        assert gone(registry, f"/v2/{REPO}/manifests/{entry['digest']}")


def test_odd_images_are_kept_byte_for_byte(registry: OwnRegistry) -> None:
    far = {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
           "digest": digest_of(NOISE.randbytes(9)), "size": 123456,
           "urls": ["https://store.example.com/blob"]}  # fmt: skip
    plain = image(registry)
    odd: dict[str, dict[str, Any]] = {
        "large": {"annotations": {f"note-{number}": "A" * 10_000 for number in range(390)}},
        "no-layers": {"layers": []},
        "far": {"layers": [far, *plain["layers"]]},
        "data": {"config": {**plain["config"], "data": "e30="}},
        "custom": {"org.example.field": [1, {"two": 3}]},
        "artifact": {"artifactType": EXAMPLE},
        "artifact-alone": {"artifactType": EXAMPLE, "layers": []},
    }
    for tag, more in odd.items():
        push_manifest(registry, {**plain, **more}, tag)
    docker = {**plain, "mediaType": DOCKER_MANIFEST}
    push_manifest(registry, docker, "docker")


def test_manifests_that_are_refused(registry: OwnRegistry) -> None:
    good = image(registry)
    missing = {"mediaType": "x", "digest": digest_of(b"missing"), "size": 1}
    for document, code in (
        ({**good, "layers": [missing]}, "MANIFEST_BLOB_UNKNOWN"),
        (index(missing), "MANIFEST_BLOB_UNKNOWN"),
        ({**good, "layers": "none"}, "MANIFEST_INVALID"),
        ({**good, "config": {"digest": "sha256:x"}}, "MANIFEST_INVALID"),
        ({**good, "schemaVersion": 1}, "MANIFEST_INVALID"),
        ([], "MANIFEST_INVALID"),
        ({**index(), "layers": []}, "MANIFEST_INVALID"),
    ):
        body = json.dumps(document).encode()
        answer = registry.ask("PUT", f"/v2/{REPO}/manifests/bad", body)
        assert (answer.code, answer.status) == (code, 404 if "UNKNOWN" in code else 400)
    body = json.dumps(good).encode()
    for reference in (digest_of(b"other"), "sha256:baddigeststring", ".tag"):
        assert registry.ask("PUT", f"/v2/{REPO}/manifests/{reference}", body).status == 400
    contradicted = {"Content-Type": DOCKER_MANIFEST}
    assert registry.ask("PUT", f"/v2/{REPO}/manifests/x", body, contradicted).status == 400
    assert registry.ask("PUT", f"/v2/{REPO}/manifests/x", b" " * (5 << 20)).status == 413
    assert registry.ask("HEAD", f"/v2/{REPO}/manifests/bad").status == 404


def test_a_manifest_gets_several_tags_at_once(registry: OwnRegistry, algorithm: str) -> None:
    content = json.dumps(image(registry)).encode()
    digest = digest_of(content, algorithm)
    tags = [f"{algorithm}-{number}" for number in range(12)]
    asked = "&".join(f"tag={tag}" for tag in tags)
    answer = registry.ask("PUT", f"/v2/{REPO}/manifests/{digest}?{asked}", content)
    assert answer.status == 201
    assert answer.headers["OCI-Tag"] == ", ".join(tags)
    for tag in tags:
        check_manifest(registry, tag, content, OCI_MANIFEST, digest)


def test_referrers(registry: OwnRegistry) -> None:
    subject = push_manifest(registry, image(registry), "subject")
    absent = {"mediaType": OCI_MANIFEST, "size": 123, "digest": digest_of(b"absent")}
    empty = push_blob(registry, b"{}", "application/vnd.oci.empty.v1+json")
    notes = {"org.example": "note"}
    for about in (subject, absent):
        digest = about["digest"]
        more: dict[str, Any] = {"config": empty, "artifactType": EXAMPLE, "annotations": notes}
        signed = push_manifest(registry, image(registry, subject=about, **more))
        plain = push_manifest(registry, image(registry, subject=about))
        listed = push_manifest(registry, index(subject=about, artifactType=EXAMPLE + ".index"))
        found = registry.ask("GET", f"/v2/{REPO}/referrers/{digest}")
        assert found.headers["Content-Type"] == OCI_INDEX
        assert "OCI-Filters-Applied" not in found.headers
        assert found.document["manifests"] == [
            {**signed, "artifactType": EXAMPLE, "annotations": notes},
            {**plain, "artifactType": "application/vnd.oci.image.config.v1+json"},
            {**listed, "artifactType": EXAMPLE + ".index"},
        ]
        path = f"/v2/{REPO}/referrers/{digest}?artifactType={EXAMPLE}"
        filtered = registry.ask("GET", path)
        assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
        assert [entry["digest"] for entry in filtered.document["manifests"]] == [signed["digest"]]
        assert gone(registry, f"/v2/{REPO}/manifests/{signed['digest']}")
        assert registry.ask("GET", path).document["manifests"] == []


def test_referrers_come_in_pages_of_what_an_index_may_hold(
    registry: OwnRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may have annotations of megabytes, and there may be any number of them."""
    monkeypatch.setattr("core.registry_server.repositories.MAX_SIZE", 2000)
    subject = push_manifest(registry, image(registry), "paged")
    wanted = [
        push_manifest(registry, index(
            subject=subject, artifactType=EXAMPLE, annotations={"org.example": f"{number}" * 500}
        ))["digest"]
        for number in range(7)
    ]  # fmt: skip
    other = push_manifest(registry, index(subject=subject, artifactType=EXAMPLE + ".other"))
    for kind, digests in ((EXAMPLE, wanted), ("", [*wanted, other["digest"]])):
        found, pages = [], 0
        place = f"/v2/{REPO}/referrers/{subject['digest']}?artifactType={kind}"
        while place:
            page = registry.ask("GET", place)
            found += [entry["digest"] for entry in page.document["manifests"]]
            place = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
            pages += 1
        assert found == digests
        assert pages >= 4
    with RegistryClient(registry.host, Config()) as client:
        assert {one.digest for one in referrers(client, REPO, subject["digest"])} == set(found)
    assert registry.ask("GET", f"/v2/{REPO}/referrers/{other['digest']}?first=x").status == 400


def test_tags_come_page_by_page_and_go_one_by_one(registry: OwnRegistry) -> None:
    document = image(registry)
    content = json.dumps(document).encode()
    path = "/v2/paged/app"
    for blob in (document["config"], *document["layers"]):
        mount = f"{path}/blobs/uploads/?mount={quote(blob['digest'])}&from={REPO}"
        assert registry.ask("POST", mount).status == 201
    for tag in ("b", "a", "d", "c"):
        assert registry.ask("PUT", f"{path}/manifests/{tag}", content).status == 201
    assert registry.ask("GET", f"{path}/tags/list").document == {
        "name": "paged/app", "tags": ["a", "b", "c", "d"],
    }  # fmt: skip
    page = registry.ask("GET", f"{path}/tags/list?n=3")
    assert page.document["tags"] == ["a", "b", "c"]
    following = page.headers["Link"].partition(">")[0].removeprefix("<")
    rest = registry.ask("GET", following)
    assert rest.document["tags"] == ["d"]
    assert "Link" not in rest.headers
    assert registry.ask("GET", f"{path}/tags/list?n=0").document["tags"] == []
    assert registry.ask("GET", f"{path}/tags/list?last=b").document["tags"] == ["c", "d"]
    assert registry.ask("GET", f"{path}/tags/list?n=x").status == 400
    assert gone(registry, f"{path}/manifests/b")
    assert registry.ask("GET", f"{path}/manifests/a").body == content
    # With its digest, all of its tags go.
    assert gone(registry, f"{path}/manifests/{digest_of(content)}")
    assert registry.ask("GET", f"{path}/tags/list").document["tags"] == []
    names = registry.ask("GET", "/v2/_catalog").document["repositories"]
    assert "paged/app" in names
    assert registry.ask("GET", "/v2/_catalog?n=1").document["repositories"] == names[:1]
