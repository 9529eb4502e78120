"""Manifests, lists and pages that are missing, lie, or never end."""

from __future__ import annotations

import json

import pytest

from core.config import Config
from core.errors import Corrupt, ImageError, NotFound, ProtocolError, UnsupportedMedia
from core.images.manifest import OCI_INDEX, OCI_MANIFEST
from core.images.reference import parse_reference
from core.registry import browse
from core.registry.browse import files, inspect, referrers
from core.registry.sync.referrers import list_in
from core.registry.sync.registry_end import RegistryEnd
from tests.e2e.registry_faults.asking import find_app, make_client
from tests.hostile_registry import HostileRegistry, digest_of


def test_endless_manifest_ends_at_the_limit(registry: HostileRegistry) -> None:
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(200, b" " * (5 << 20))
    with pytest.raises(ProtocolError, match="longer than 4194304 bytes"):
        find_app(registry)


def test_missing_tag(registry: HostileRegistry) -> None:
    with pytest.raises(NotFound, match=r"app:none is not there: nothing  \[31mhere") as caught:
        find_app(registry, "none")
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 1_000_000,
        b'{"schemaVersion": 2, "layers": [], "config": {}}',
        b'{"schemaVersion": 2, "mediaType": 7}',
    ],
)
def test_garbage_for_a_manifest(registry: HostileRegistry, document: bytes) -> None:
    registry.publish_bytes("bad", document, "application/vnd.oci.image.manifest.v1+json")
    with pytest.raises(Corrupt, match="app:bad"):
        find_app(registry, "bad")


def test_schema_1_says_so(registry: HostileRegistry) -> None:
    registry.publish_bytes(
        "old",
        b'{"schemaVersion": 1, "fsLayers": []}',
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    )
    with pytest.raises(UnsupportedMedia, match="schema 1"):
        find_app(registry, "old")


def test_manifest_of_another_digest(registry: HostileRegistry) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    digest = digest_of(body)
    registry.manifests[f"/v2/app/manifests/{digest}"] = (body + b" ", kind)
    with make_client(registry) as client, pytest.raises(Corrupt, match=digest):
        client.manifest("app", digest)


def test_digest_header_that_lies(registry: HostileRegistry) -> None:
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    registry.rules["/manifests/latest"] = lambda handler: handler.answer(
        200, body, {"Content-Type": kind, "Docker-Content-Digest": "sha256:" + "0" * 64}
    )
    with pytest.raises(Corrupt, match="was promised"):
        find_app(registry)


def test_config_of_another_image(registry: HostileRegistry) -> None:
    registry.config["rootfs"] = {"type": "layers", "diff_ids": []}
    registry.publish("few")
    with pytest.raises(Corrupt, match="layers: 2, diff_ids in its config: 0"):
        find_app(registry, "few")


def test_tags_page_by_page(registry: HostileRegistry) -> None:
    pages = {
        "?n=1000": (["a", "b"], '</v2/app/tags/list?last=b&n=1000>; rel="next"'),
        "?last=b&n=1000": (["c"], ""),
    }
    for query, (names, link) in pages.items():
        body = json.dumps({"name": "app", "tags": names}).encode()
        registry.rules[f"/tags/list{query}"] = lambda handler, body=body, link=link: handler.answer(  # type: ignore[misc]
            200, body, {"Link": link} if link else {}
        )
    with make_client(registry) as client:
        assert list(client.tags("app")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "link",
    [
        "</v2/app/tags/list?n=1000>; rel=next",
        "<http://example.org/v2/x>; rel=next",
        "<http://[x>; rel=next",
    ],
)
def test_pages_without_end_or_elsewhere(registry: HostileRegistry, link: str) -> None:
    registry.rules["/tags/list?n=1000"] = lambda handler: handler.answer(
        200, b'{"tags": ["a"]}', {"Link": link}
    )
    with make_client(registry) as client, pytest.raises(ProtocolError):
        list(client.tags("app"))


def test_referrers_page_by_page(registry: HostileRegistry) -> None:
    """All that refers to an image, wherever it is asked for."""
    subject = digest_of(b"subject")
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": digest_of(name), "size": 1, "artifactType": "x/sbom"}
        for name in (b"one", b"two", b"three")
    ]
    pages = {}
    for number, entry in enumerate(entries):
        body = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        more = f"</v2/app/referrers/{subject}?page={number + 1}>; rel=next"
        headers = {"Content-Type": OCI_INDEX, **({"Link": more} if number < 2 else {})}
        ending = f"/referrers/{subject}" + (f"?page={number}" if number else "")
        pages[ending] = (body, headers)
        registry.rules[ending] = lambda handler: handler.answer(
            200, *next(page for end, page in pages.items() if handler.path.endswith(end))
        )
    for ending in (".sig", ".att", ".sbom"):
        registry.rules[ending] = lambda handler: handler.answer(404)
    digests = [entry["digest"] for entry in entries]
    with make_client(registry) as client:
        assert [item.digest for item in referrers(client, "app", subject)] == digests
    end = RegistryEnd(f"{registry.host}/app", Config(), lambda: None)
    assert end.referrers("", subject, ()) == frozenset(digests)
    end.close()


def test_referrers_that_are_no_list_or_never_end(
    registry: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = digest_of(b"subject")
    for ending in (".sig", ".att", ".sbom"):
        registry.rules[ending] = lambda handler: handler.answer(404)
    answers = [b'{"manifests": 5}', b'{"manifests": [5, {"digest": 5}]}', b'{"manifests": []}']
    registry.rules[f"/referrers/{subject}"] = lambda handler: handler.answer(
        200, answers.pop(0), {"Content-Type": OCI_INDEX}
    )
    with make_client(registry) as client:
        assert [referrers(client, "app", subject) for _ in range(2)] == [[], []]
        monkeypatch.setattr(browse, "REFERRERS_MAX", 10)
        with pytest.raises(ProtocolError, match="more than 10 bytes"):
            referrers(client, "app", subject)


def test_a_list_of_referrers_that_is_none_is_not_added_to(registry: HostileRegistry) -> None:
    """Where the registry keeps no list itself, and somebody has pushed an image at its place."""
    subject = digest_of(b"subject")
    body, kind = registry.manifests["/v2/app/manifests/latest"]
    registry.publish_bytes(subject.replace(":", "-"), body, kind)
    end = RegistryEnd(f"{registry.host}/app", Config(), lambda: None)
    referrer = json.dumps({"schemaVersion": 2, "layers": []}).encode()
    with pytest.raises(Corrupt, match="no index that could list"):
        list_in(end, "", subject, (referrer, OCI_MANIFEST, digest_of(referrer)))
    end.close()


@pytest.mark.parametrize(
    "wrong", [{"layers": 5}, {"layers": [5]}, {"layers": [{"size": 1}]}, {"config": 5}]
)
def test_what_is_shown_of_a_manifest_is_one(
    registry: HostileRegistry, wrong: dict[str, object]
) -> None:
    registry.publish("odd", **wrong)
    with make_client(registry) as client, pytest.raises(Corrupt):
        inspect(client, parse_reference(f"{registry.host}/app:odd"))


def test_entries_without_end_end_at_the_limit(registry: HostileRegistry) -> None:
    found = find_app(registry).layers[0].descriptor
    with make_client(registry) as client:
        assert len(list(files(client, "app", found.digest, found.media_type, 10))) == 1
        with pytest.raises(ImageError, match="more than 0 entries"):
            list(files(client, "app", found.digest, found.media_type, 0))
