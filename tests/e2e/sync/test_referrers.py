"""Signatures and SBOMs go with the images that they refer to, whatever lists them."""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path

import pytest

from core.config import Config
from core.errors import ConfigError
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.browse import referrers
from core.registry.client import RegistryClient
from core.registry.sync.rules import read_rules
from core.registry.sync.runs import run_rules
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False

KIND = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = b"{}"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def ask(host: str, method: str, path: str, body: bytes = b"", kind: str = KIND) -> bytes:
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request(method, f"/v2/{path}", body, {"Content-Type": kind, "Accept": kind})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status < 300, (method, path, content)
    connection.close()
    return content


def attach(host: str, path: str, subject: bytes, what: str, *, tag: str = "") -> bytes:
    """Push something that refers to a manifest, listed where the registry has no API for that."""
    content = what.encode()
    for blob in (EMPTY, content):
        begun = http.client.HTTPConnection(host, timeout=10)
        begun.request("POST", f"/v2/{path}/blobs/uploads/")
        location = begun.getresponse().getheader("Location") or ""
        begun.close()
        place = location.partition("/v2/")[2]
        mark = "&" if "?" in place else "?"
        ask(host, "PUT", f"{place}{mark}digest={digest_of(blob)}", blob, "application/octet-stream")
    empty = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": digest_of(EMPTY),
        "size": 2,
    }
    manifest = {
        "schemaVersion": 2, "mediaType": KIND, "artifactType": f"example/{what}", "config": empty,
        "layers": [{"mediaType": "text/plain", "digest": digest_of(content), "size": len(content)}],
        "subject": {"mediaType": KIND, "digest": digest_of(subject), "size": len(subject)},
    }  # fmt: skip
    document = json.dumps(manifest).encode()
    ask(host, "PUT", f"{path}/manifests/{tag or digest_of(document)}", document)
    return document


def stand_in(host: str, path: str, subject: bytes, *found: bytes) -> None:
    entries = [{"mediaType": KIND, "digest": digest_of(one), "size": len(one)} for one in found]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    tag = digest_of(subject).replace(":", "-")
    ask(host, "PUT", f"{path}/manifests/{tag}", json.dumps(index).encode(), INDEX)


def sync(store: ImageStore, source: str, target: str, **keys: object) -> dict[str, str]:
    config = Config(sync=({"name": "t", "from": source, "to": target, "referrers": True, **keys},))
    steps = run_rules(store, config, read_rules(config), Job(1, "sync"))[0].steps
    assert [step.error for step in steps] == [""] * len(steps)
    return {step.target.removeprefix(target).lstrip(":@"): step.action for step in steps}


def listed(host: str, path: str, subject: bytes) -> list[str]:
    with RegistryClient(host, Config()) as client:
        return sorted(one.artifact_type for one in referrers(client, path, digest_of(subject)))


def test_signatures_go_along_by_the_api_by_tags_and_through_a_layout(
    isolated: None, tmp_path: Path, store: ImageStore
) -> None:
    served = Paths(f"{tmp_path}/served", f"{tmp_path}/served-run")
    with Registry(tmp_path / "old") as old, OwnRegistry(served) as own:
        for tag in ("1", "2"):
            layout = write_oci_layout(tmp_path / tag, [layer_tar(tag, tag.encode())])
            old.push(layout, f"app:{tag}")
        image, other = (ask(old.host, "GET", f"app/manifests/{tag}") for tag in ("1", "2"))
        sbom = attach(old.host, "app", image, "sbom")
        stand_in(old.host, "app", image, sbom)
        stand_in(old.host, "app", sbom, attach(old.host, "app", sbom, "signature"))
        cosign = f"{digest_of(other).replace(':', '-')}.sig"
        attach(old.host, "app", other, "cosign", tag=cosign)

        # From the tags of a registry without the API to one with it: the newest are images.
        first = sync(store, f"{old.host}/app", f"{own.host}/app", newest=2)
        assert len(first) == 5
        assert set(first.values()) == {"copy"}
        assert listed(own.host, "app", image) == ["example/sbom"]
        assert listed(own.host, "app", sbom) == ["example/signature"]
        assert "example/cosign" in listed(own.host, "app", other)
        again = sync(store, f"{old.host}/app", f"{own.host}/app", newest=2)
        assert set(again.values()) == {"keep"}

        # From the API into a layout, and on into a registry without the API.
        late = attach(own.host, "app", image, "late")
        place = f"oci:{tmp_path}/layout"
        assert set(sync(store, f"{own.host}/app", place, tags="1").values()) == {"copy"}
        sync(store, place, f"{old.host}/copy", tags="1")
        assert len(ask(old.host, "GET", f"copy/manifests/{digest_of(late)}")) == len(late)
        assert listed(old.host, "copy", image) == ["example/late", "example/sbom"]
        assert listed(old.host, "copy", sbom) == ["example/signature"]

        # What refers to what stays is not extra; what referred to what goes, goes too.
        left = sync(store, f"{old.host}/app", f"{own.host}/app", tags="1", delete=True)
        assert {name for name, action in left.items() if action == "delete"} == {"2", cosign}
        assert listed(own.host, "app", image) == ["example/late", "example/sbom"]


def test_the_store_keeps_images_alone() -> None:
    config = Config(sync=({"from": "a.test/x", "to": "store", "referrers": True},))
    with pytest.raises(ConfigError, match="images alone"):
        read_rules(config)
