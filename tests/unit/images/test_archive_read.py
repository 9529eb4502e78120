"""What an archive holds is bounded in memory, and read from nowhere else."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Corrupt, UnsupportedMedia
from core.images.archive.load import Loader
from core.images.archive.read import MAX_FOLDERS, Contents, read_archive, read_layout
from core.images.digest import digest_of
from core.images.manifest import OCI_CONFIG, OCI_MANIFEST
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from tests.layers import archive, entry, symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "core.images.archive.read"


@pytest.fixture
def contents(paths: Paths) -> Iterator[Contents]:
    database = Database(paths)
    made = Contents(ImageStore(paths, database, Config()), 1 << 30, Job(1, "load"))
    yield made
    made.close()
    database.close()


def read(contents: Contents, *members: bytes) -> None:
    read_archive(contents, io.BytesIO(archive(*members)))


def blob_name(content: bytes) -> str:
    return "blobs/" + digest_of(content).replace(":", "/")


@pytest.mark.parametrize(
    "members",
    [
        [symlink(f"{number:04}" + "n" * 80, "x") for number in range(1000)],
        [entry(f"{number:04}" + "n" * 900) for number in range(100)],
        [entry(str(number)) for number in range(1000)],
    ],
    ids=["links", "long names", "many"],
)
def test_names_without_end_are_refused(
    contents: Contents, members: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed archive of a megabyte may bring gigabytes of them."""
    monkeypatch.setattr(f"{PLACE}.MAX_SMALL", 100_000)
    with pytest.raises(Corrupt, match="too many"):
        read(contents, *members)


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_one_large_config_of_ever_so_many_images_is_refused(paths: Paths, form: str) -> None:
    """Each image would have it read anew: an archive of four megabytes took minutes."""
    config = json.dumps({"os": "linux", "author": "x" * (1 << 20)}).encode()
    members = [entry(blob_name(config), content=config)]
    if form == "docker":
        listed = [{"Config": blob_name(config), "Layers": []}] * 1000
        members.append(entry("manifest.json", content=json.dumps(listed).encode()))
    else:
        index = []
        described = {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)}
        for number in range(1000):
            note = {"number": str(number)}
            manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
                                   "config": described, "annotations": note}).encode()  # fmt: skip
            members.append(entry(blob_name(manifest), content=manifest))
            index.append({"mediaType": OCI_MANIFEST, "digest": digest_of(manifest),
                          "size": len(manifest)})  # fmt: skip
        whole = json.dumps({"schemaVersion": 2, "manifests": index}).encode()
        members.append(entry("index.json", content=whole))
    database = Database(paths)
    store = ImageStore(paths, database, Config())
    loader = Loader(store, "docker.io", 1 << 30, Job(1, "load"))
    with pytest.raises(Corrupt, match="configs of its images have more than 64 MB"):
        loader.load(io.BytesIO(archive(*members)))
    assert store.images() == []
    database.close()


def test_an_archive_may_have_any_number_of_small_layers(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named by their digest, as docker does since 25: the store can have them at once."""
    monkeypatch.setattr(f"{PLACE}.MAX_SMALL", 100_000)
    monkeypatch.setattr(f"{PLACE}.MAX_BLOBS", 50_000)
    blobs = [bytes((number,)) * 9000 for number in range(20)]
    read(contents, *(entry(blob_name(blob), content=blob) for blob in blobs),
         entry("index.json", content=b"{}"))  # fmt: skip
    assert contents.document("index.json") == b"{}"
    for blob in blobs:
        assert contents.blob(digest_of(blob)) == blob


def test_a_link_that_takes_a_files_place_in_a_layout_leads_nowhere(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory may be another user's, who changes it while root reads it."""
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    layout = tmp_path / "layout"
    layout.mkdir()
    file = layout / "index.json"
    file.write_text("{}")
    is_link = os.path.islink

    def late(path: str) -> bool:
        found = is_link(path)
        file.unlink()
        file.symlink_to(secret)
        return found

    monkeypatch.setattr(os.path, "islink", late)
    with pytest.raises(UnsupportedMedia, match=r"index\.json"):
        read_layout(contents, str(layout))
    assert not contents.has("index.json")


def test_directories_without_end_are_not_gone_into(contents: Contents, tmp_path: Path) -> None:
    """A thousand of them, in each other, are more than a walk can take."""
    (tmp_path / "index.json").write_text("{}")
    deep = "/".join("d" * (MAX_FOLDERS + 2))
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "x").write_text("x")
    read_layout(contents, str(tmp_path))
    assert contents.has("index.json")
    assert not contents.has(f"{deep}/x")
