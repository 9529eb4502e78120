"""What another limpet does between a plan and its carrying out, or between two steps."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from core.config import Config
from core.database import Database
from core.errors import Conflict, ImageError, InUse, NotFound
from core.images.archive.importing import ImportOptions, import_image
from core.images.digest import digest_of
from core.images.layers import LayerStore
from core.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from core.images.prune import IDLE_S, PARTIAL_S, PruneOptions, apply_prune, plan_prune
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.model import ImageInfo

LAYER = b"the bytes of a layer"
CONTENT = digest_of(b"what it holds")
NAME, OTHER = "localhost/web:1", "localhost/web:2"


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def add_layer(store: ImageStore, diff_id: str = CONTENT) -> Path:
    """Make a layer that is unpacked, as the store knows it."""
    with store.database.write() as sql:
        made = sql.execute("INSERT INTO layers (diff_id, size, files) VALUES (?,1,1)", (diff_id,))
    home = Path(f"{store.paths.layers}/{made.lastrowid}")
    home.mkdir()
    Path(f"{home}.index").touch()
    return home


def documents(words: str = "") -> tuple[bytes, bytes]:
    """Return a manifest of the layer, and its config."""
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "author": words,
         "rootfs": {"type": "layers", "diff_ids": [CONTENT]}}
    ).encode()  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": OCI_LAYER, "digest": digest_of(LAYER), "size": len(LAYER)}],
    }
    return json.dumps(manifest).encode(), config


def add_image(store: ImageStore, name: str = NAME, words: str = "") -> ImageInfo:
    store.blobs.write(digest_of(LAYER), [LAYER])
    if not store.layers.has(CONTENT):
        add_layer(store)
    manifest, config = documents(words)
    return store.add_image(manifest, OCI_MANIFEST, config, (name,))


@pytest.mark.parametrize("which", ["layer", "manifest", "config"])
def test_an_image_does_not_come_without_a_blob_that_was_removed_meanwhile(
    store: ImageStore, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, config = documents()
    lost = {"layer": LAYER, "manifest": manifest, "config": config}[which]
    store.blobs.write(digest_of(LAYER), [LAYER])
    add_layer(store)
    write = store.database.write

    def late() -> object:
        store.blobs.remove(digest_of(lost))
        return write()

    monkeypatch.setattr(store.database, "write", late)
    with pytest.raises(Conflict, match=digest_of(lost)):
        store.add_image(manifest, OCI_MANIFEST, config, (NAME,))
    assert store.images() == []


def test_a_name_that_moved_since_the_plan_is_not_taken_away(store: ImageStore) -> None:
    add_image(store)
    plan = store.plan_removal([NAME], force=False, users={})
    newer = add_image(store, words="built meanwhile")
    with pytest.raises(Conflict, match="localhost/web:1"):
        store.apply_removal(plan)
    assert store.resolve(NAME).digest == newer.digest
    assert len(store.images()) == 2


def test_an_image_that_was_named_since_the_plan_stays(store: ImageStore) -> None:
    add_image(store)
    plan = store.plan_removal([NAME], force=False, users={})
    store.tag(NAME, OTHER)
    with pytest.raises(Conflict, match="localhost/web:2"):
        store.apply_removal(plan)
    assert store.resolve(OTHER).tags == ("localhost/web:1", "localhost/web:2")


def test_an_image_that_a_container_was_made_of_since_the_plan_stays(store: ImageStore) -> None:
    image = add_image(store)
    plan = store.plan_removal([NAME], force=False, users={})
    with store.database.write() as sql:
        sql.execute(
            "INSERT INTO containers VALUES ('c', 'db', ?, ?, 0, '{}', '{}')", (NAME, image.digest)
        )
    with pytest.raises(InUse, match="container db"):
        store.apply_removal(plan)
    assert store.resolve(NAME).digest == image.digest


def test_an_image_that_is_gone_is_not_tagged(store: ImageStore) -> None:
    add_image(store)
    store.apply_removal(store.plan_removal([NAME], force=False, users={}))
    with pytest.raises(NotFound):
        store.tag(NAME, OTHER)


def test_what_is_no_tar_takes_no_blob_from_those_who_hold_it(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes may be here already: pushed to the registry that is served, for one."""
    source = tmp_path / "noise"
    source.write_bytes(b"this is no tar")
    failing = Mock(side_effect=ImageError("no tar"))
    monkeypatch.setattr(LayerStore, "add", failing)
    asked = ImportOptions()
    job = Job(1, "import")
    with pytest.raises(ImageError):
        import_image(store, Config(), str(source), asked, job)
    digest = failing.call_args.args[1].digest
    assert not store.blobs.has(digest)
    with store.database.write() as sql:
        sql.execute("INSERT INTO repositories VALUES ('app', 0)")
        sql.execute("INSERT INTO repository_blobs VALUES ('app', ?)", (digest,))
    with pytest.raises(ImageError):
        import_image(store, Config(), str(source), asked, job)
    assert store.blobs.has(digest)


def test_prune_spares_a_layer_that_got_the_number_of_what_it_was_to_remove(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed unpack left has the next layer's number; a person looks at the plan."""
    left = Path(f"{store.paths.layers}/1")
    left.mkdir()
    now = left.stat().st_ctime + 2 * IDLE_S
    monkeypatch.setattr("time.time", lambda: now)
    plan = plan_prune(store, store.paths, [], PruneOptions())
    assert [one.name for one in plan.leftovers] == [str(left)]
    left.rmdir()
    home = add_layer(store)
    assert home == left
    apply_prune(store, plan)
    assert home.is_dir()


def test_prune_spares_a_blob_that_a_pull_has_come_upon_since(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.blobs.write(digest_of(LAYER), [LAYER])
    blob = Path(store.blobs.path(digest_of(LAYER)))
    now = blob.stat().st_ctime + 2 * IDLE_S
    monkeypatch.setattr("time.time", lambda: now)
    plan = plan_prune(store, store.paths, [], PruneOptions())
    assert [one.name for one in plan.leftovers] == [digest_of(LAYER)]
    assert plan.bytes_back == len(LAYER)
    os.utime(blob, (now, now))
    done = apply_prune(store, plan)
    assert blob.exists()
    assert (done.lines, done.bytes_back) == ((), 0)


def test_prune_does_not_tell_of_a_download_that_a_pull_goes_on_with(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short, taken_up = (Path(f"{store.paths.partial}/sha256-{letter * 64}") for letter in "ab")
    for path in (cut_short, taken_up):
        path.write_bytes(b"half of it")
    now = taken_up.stat().st_ctime + 2 * PARTIAL_S
    monkeypatch.setattr("time.time", lambda: now)
    plan = plan_prune(store, store.paths, [], PruneOptions())
    assert [left.name for left in plan.leftovers] == [str(cut_short), str(taken_up)]
    with taken_up.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = apply_prune(store, plan)
    assert not cut_short.exists()
    assert taken_up.exists()
    assert done.lines == (f"file {cut_short}: an interrupted download left it",)
    assert done.bytes_back == 10


def test_prune_removes_what_it_showed(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.blobs.write(digest_of(LAYER), [LAYER])
    folder, file = Path(f"{store.paths.layers}/.gone-1-2"), Path(f"{store.paths.layers}/9.index")
    (folder / "below").mkdir(parents=True)
    file.touch()
    now = folder.stat().st_ctime + 2 * IDLE_S
    monkeypatch.setattr("time.time", lambda: now)
    plan = plan_prune(store, store.paths, [], PruneOptions())
    assert apply_prune(store, plan) == plan
    assert os.listdir(store.paths.layers) == []
    assert not store.blobs.has(digest_of(LAYER))
