"""Looking into docker-registry and deleting there, through the program."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.config import Config
from core.images.digest import digest_of
from core.registry.client import RegistryClient
from core.registry.upload import put_manifest
from tests.e2e.command_line import LIMPET
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import HostileRegistry, layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture
def registry(tmp_path: Path, isolated: None) -> Iterator[Registry]:
    """`team/app` with two tags for one digest, and one for another."""
    layers = [layer_tar("etc/first", b"1"), layer_tar("second", b"22")]
    with Registry(tmp_path / "served") as registry:
        layout = write_oci_layout(tmp_path / "a", layers)
        registry.push(layout, "team/app:1")
        registry.push(layout, "team/app:latest")
        registry.push(write_oci_layout(tmp_path / "b", layers[:1]), "team/app:old")
        yield registry


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "LIMPET_DATA_ROOT": str(tmp_path / "data"),
        "LIMPET_RUN_ROOT": str(tmp_path / "run"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }


def limpet(
    environment: dict[str, str], *words: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == code, ran.stderr + ran.stdout
    return ran


def rows(environment: dict[str, str], *words: str) -> list[dict[str, Any]]:
    text = limpet(environment, *words, "--format", "json").stdout
    return [json.loads(line) for line in text.splitlines()]


def test_search_goes_through_the_catalog(registry: Registry, environment: dict[str, str]) -> None:
    assert limpet(environment, "search", "-q", f"{registry.host}/ea").stdout == "team/app\n"
    assert limpet(environment, "search", "-q", "--registry", registry.host, "none").stdout == ""


def test_search_of_a_registry_that_has_one(environment: dict[str, str]) -> None:
    def answer(handler: Any) -> None:
        found = {"name": "found\x1b[31m", "description": "it", "star_count": 3, "is_official": True}
        body = json.dumps({"results": [found, {"name": "odd", "star_count": "many"}]}).encode()
        handler.answer(200, body, {"Content-Type": "application/json"})

    with HostileRegistry() as hostile:
        hostile.rules["/v1/search?q=it&n=25"] = answer
        row, odd = rows(environment, "search", f"{hostile.host}/it")
    assert (row["StarCount"], odd["StarCount"]) == (3, 0)
    assert "\x1b" not in row["Name"]


def test_tags_with_what_is_behind_them(registry: Registry, environment: dict[str, str]) -> None:
    found = {
        row["Tag"]: row
        for row in rows(environment, "registry", "tags", "-l", f"{registry.host}/team/app")
    }
    assert set(found) == {"1", "latest", "old"}
    assert found["1"]["Digest"] == found["latest"]["Digest"] != found["old"]["Digest"]
    assert found["1"]["Platforms"].startswith("linux/")
    assert found["1"]["Size"] > found["old"]["Size"] > 0
    assert found["1"]["Kind"] == "image"


def test_inspect_history_and_files(registry: Registry, environment: dict[str, str]) -> None:
    name = f"{registry.host}/team/app:1"
    (document,) = json.loads(limpet(environment, "registry", "inspect", name).stdout)
    skopeo = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert document["Digest"] == json.loads(skopeo.stdout)["Digest"]
    assert len(document["Config"]["rootfs"]["diff_ids"]) == 2
    assert document["Referrers"] == []
    assert len(rows(environment, "registry", "history", name)) == 2
    listed = limpet(environment, "registry", "files", "-q", name).stdout.split()
    assert listed == ["etc/first", "second"]
    assert not Path(environment["LIMPET_DATA_ROOT"], "blobs").exists() or not list(
        Path(environment["LIMPET_DATA_ROOT"], "blobs").rglob("*")
    )
    missing = limpet(environment, "registry", "files", "--layer", "7", name, code=3)
    assert "2 layers" in missing.stderr


def test_referrers_by_the_tag_that_stands_in(
    registry: Registry, environment: dict[str, str]
) -> None:
    with RegistryClient(registry.host, Config()) as client:
        digest = client.digest_of_manifest("team/app", "1")
        content = client.manifest("team/app", "1")[0]
        entry = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
            "size": len(content), "artifactType": "application/spdx+json",
        }  # fmt: skip
        kind = "application/vnd.oci.image.index.v1+json"
        index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()
        put_manifest(client, "team/app", digest.replace(":", "-"), index, kind)
        put_manifest(client, "team/app", f"{digest.replace(':', '-')}.sig", index, kind)
    found = rows(environment, "registry", "referrers", f"{registry.host}/team/app:1")
    assert [row["ArtifactType"] for row in found] == ["application/spdx+json", "cosign signature"]
    assert found[1]["Digest"] == digest_of(index)


def test_delete_names_the_tags_that_share(registry: Registry, environment: dict[str, str]) -> None:
    repository = f"{registry.host}/team/app"
    with RegistryClient(registry.host, Config()) as client:
        shared = client.digest_of_manifest("team/app", "1")
        # docker-registry 2.8 deletes by digest only.
        refused = limpet(environment, "registry", "rm", f"{repository}:1", code=4)
        assert "latest" in refused.stderr
        refused = limpet(environment, "registry", "rm", f"{repository}@{shared}", code=4)
        assert "1, latest" in refused.stderr
        gone = limpet(environment, "registry", "rm", f"{repository}:old").stdout
        assert f"Untagged: {repository}:old" in gone
        assert client.digest_of_manifest("team/app", "old") == ""
        assert client.digest_of_manifest("team/app", "1") == shared
        gone = limpet(environment, "registry", "rm", "-f", f"{repository}:1").stdout
        assert f"Untagged: {repository}:latest" in gone
        assert "collects garbage" in gone
        assert client.digest_of_manifest("team/app", "latest") == ""
    missing = limpet(environment, "registry", "rm", f"{repository}:1", code=3)
    assert "registry tags" in missing.stderr
