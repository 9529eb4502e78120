"""Layers that were made here are on the disk a while later, and whole after a power cut."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from core.config import Config
from core.engine import Engine
from core.images.assemble import make_image
from core.images.packing.layer_writer import WrittenLayer, write_layer
from core.images.store import ImageStore
from core.paths import Paths
from tests.containers import until
from tests.layers import snapshot

NOTED = "SELECT layer, boot, since FROM unsettled_layers"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(Paths(str(tmp_path / "data"), str(tmp_path / "run")), Config())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "d").mkdir(parents=True)
    (root / "d/file").write_bytes(os.urandom(100_000))
    (root / "other").write_text("other")
    return root


def layer(store: ImageStore, written: WrittenLayer) -> Path:
    [(number,)] = store.database.query("SELECT id FROM layers WHERE diff_id=?", (written.diff_id,))
    return Path(f"{store.paths.layers}/{number}")


def below(home: Path) -> dict[str, tuple[object, ...]]:
    """Return what is in a layer; a root that no entry names has the time when it was made."""
    return {path: facts for path, facts in snapshot(home).items() if path != "."}


def cut_power(engine: Engine, home: Path) -> Engine:
    """Leave what a power cut may: names without content, and another boot.  A limpet of that."""
    (home / "d/file").write_bytes(b"")
    (home / "other").unlink()
    with engine.database.write() as sql:
        sql.execute("UPDATE unsettled_layers SET boot='the one before'")
    return Engine(engine.paths, Config())


def test_what_a_power_cut_damaged_is_made_again(engine: Engine, source: Path) -> None:
    written = write_layer(engine.store, str(source))
    home = layer(engine.store, written)
    before = below(home)
    assert len(engine.database.query(NOTED)) == 1
    assert Engine(engine.paths, Config()).store.layers.has(written.diff_id)
    assert len(engine.database.query(NOTED)) == 1  # of this boot: whole, whatever is on the disk
    after = cut_power(engine, home)
    assert after.store.layers.files(written.diff_id)
    assert below(home) == before
    [(_, boot, _)] = engine.database.query(NOTED)
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_blob_makes_no_half_layer(engine: Engine, source: Path, damage: str) -> None:
    written = write_layer(engine.store, str(source))
    home = layer(engine.store, written)
    blob = Path(engine.store.blobs.path(written.descriptor.digest))
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:1000])
    after = cut_power(engine, home)
    assert after.store.layers.has(written.diff_id)
    assert not home.exists()
    assert engine.database.query(NOTED) == []


def test_what_a_power_cut_damaged_makes_room_for_itself(source: Path, tmp_path: Path) -> None:
    """A disk that is nearly full holds a layer and its blob, but not the layer twice."""
    (source / "d/file").write_bytes(os.urandom(1 << 20))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=True)
    engine = Engine(Paths(f"{small}/data", f"{small}/run"), Config())
    try:
        written = write_layer(engine.store, str(source))
        home = layer(engine.store, written)
        before = below(home)
        with engine.database.write() as sql:
            sql.execute("UPDATE unsettled_layers SET boot='the one before'")
        after = Engine(engine.paths, Config())
        assert after.store.layers.has(written.diff_id)
        assert below(home) == before
        after.close()
    finally:
        engine.close()
        subprocess.run(["umount", "-l", small], check=True)


def test_another_images_blob_will_do(engine: Engine, source: Path) -> None:
    """What `load` unpacked beside was noted as no blob that is here."""
    written = write_layer(engine.store, str(source))
    home = layer(engine.store, written)
    before = below(home)
    make_image(engine.store, {}, [(written.descriptor, written.diff_id)])
    with engine.database.write() as sql:
        sql.execute("UPDATE unsettled_layers SET blob_digest=?", (written.diff_id,))
    assert cut_power(engine, home).store.layers.has(written.diff_id)
    assert below(home) == before


def test_one_process_settles_at_a_time(engine: Engine, source: Path) -> None:
    write_layer(engine.store, str(source))
    with engine.database.write() as sql:
        sql.execute("UPDATE unsettled_layers SET since = since - 3600")
    with open(f"{engine.paths.run}/settling", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert Engine(engine.paths, Config()).store
        time.sleep(0.5)
        assert engine.database.query(NOTED)
    assert Engine(engine.paths, Config()).store
    until(lambda: not engine.database.query(NOTED))


def test_old_ones_settle(engine: Engine, source: Path) -> None:
    write_layer(engine.store, str(source))
    (source / "more").write_text("more")
    second = write_layer(engine.store, str(source))
    with engine.database.write() as sql:
        sql.execute("UPDATE unsettled_layers SET since = since - 3600 WHERE layer=1")
    assert Engine(engine.paths, Config()).store
    until(lambda: [row[0] for row in engine.database.query(NOTED)] == [2])
    with engine.database.write() as sql:
        gone: list[str] = []
        engine.store.collect(sql, [second.diff_id], gone)
    assert engine.database.query(NOTED) == []
