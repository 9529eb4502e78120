"""image fsck finds and mends what was damaged; image prune takes what nothing needs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.result import Plan, Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import UsageError
from core.images.archive.importing import ImportOptions
from core.images.digest import digest_of
from core.images.fsck import Finding, Fsck
from core.paths import Paths
from tests.e2e.command_line import limpet
from tests.fixture_images import Registry, write_oci_layout
from tests.layers import archive, directory, entry, hardlink, symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOWER = archive(
    directory("etc", mode=0o750, uid=3), entry("etc/name", content=b"name", mode=0o4755, gid=7),
    hardlink("again", "etc/name"), symlink("link", "etc/name"), entry("pipe", b"6"),
    directory("old"), entry("old/x", content=b"x"), entry("gone", content=b"y"),
)  # fmt: skip
UPPER = archive(
    directory("old"), entry("old/.wh..wh..opq"), entry("old/new", content=b"n" * 3_000_000),
    entry(".wh.gone"), entry("implied/by/name", content=b"z"),
)  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    place = tmp_path_factory.mktemp("served")
    with Registry(place / "registry") as served:
        served.push(write_oci_layout(place / "layout", [LOWER, UPPER]), "app:1")
        yield served


@pytest.fixture
def engine(paths: Paths, registry: Registry) -> Iterator[Engine]:
    made = Engine(paths, Config())
    made.images.pull(f"{registry.host}/app:1").result()
    yield made
    made.close()


def check(engine: Engine, *, repair: bool = False, quick: bool = False) -> list[Finding]:
    found: list[Finding] = engine.images.fsck((), repair=repair, quick=quick).result()
    return found


def layer(engine: Engine, number: int) -> Path:
    rows = engine.database.query("SELECT id FROM layers l JOIN image_layers USING (diff_id) "
                                 "WHERE position=?", (number,))  # fmt: skip
    return Path(f"{engine.paths.layers}/{rows[0][0]}")


def blob(engine: Engine, number: int) -> Path:
    manifest = engine.store.manifest(engine.images.list()[0].digest)
    return Path(engine.store.blobs.path(manifest.layers[number].digest))


def rewrite(path: Path, content: bytes) -> None:
    facts = path.stat()
    path.write_bytes(content)
    os.chmod(path, facts.st_mode)
    os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))


def sh(script: str) -> None:
    subprocess.run(script, shell=True, check=True)


def test_a_pulled_image_is_well(engine: Engine) -> None:
    assert check(engine) == check(engine, quick=True) == []


@pytest.mark.parametrize("step", ["_check_image", "_check_blobs", "_check_layer"])
def test_what_is_removed_while_it_is_checked_was_not_damaged(
    engine: Engine, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out = getattr(Fsck, step)

    def late(self: Fsck, *what: object) -> None:
        for image in engine.store.images():
            plan = engine.store.plan_removal([image.digest], force=True, users={})
            engine.store.apply_removal(plan)
        carry_out(self, *what)

    monkeypatch.setattr(Fsck, step, late)
    assert check(engine, repair=True) == []
    assert engine.store.images() == []


def test_devices_are_not_missing_where_nobody_can_have_them(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user's layers are unpacked without them."""
    engine = Engine(paths, Config())
    tar = archive(entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3), entry("file"))
    (tmp_path / "tar").write_bytes(tar)
    engine.archives.import_files(str(tmp_path / "tar"), ImportOptions()).result()
    (layer(engine, 0) / "null").unlink()
    assert [one.problem for one in check(engine)] == ["/null is missing"]
    monkeypatch.setattr("core.images.fsck.is_rootless", lambda: True)
    assert check(engine) == []
    (layer(engine, 0) / "file").unlink()
    assert [one.problem for one in check(engine)] == ["/file is missing"]
    engine.close()


def misname(index: Path) -> None:
    """Change the last letter of the last name."""
    content = bytearray(index.read_bytes())
    content[-2] ^= 1
    index.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Engine], object], str, str]] = {
    "content": (lambda e: rewrite(layer(e, 0) / "etc/name", b"nome"), "layer", "its content"),
    "size": (lambda e: rewrite(layer(e, 1) / "old/new", b"n"), "layer", "1 bytes, not 3000000"),
    "mode": (lambda e: os.chmod(layer(e, 0) / "etc", 0o755), "layer", "mode 755, not 750"),
    "owner": (lambda e: os.chown(layer(e, 0) / "etc", 0, 0), "layer", "owner 0:0, not 3:0"),
    "missing": (lambda e: (layer(e, 0) / "old/x").unlink(), "layer", "/old/x is missing"),
    "too much": (lambda e: (layer(e, 0) / "new").touch(), "layer", "/new is not of the layer"),
    "another kind": (lambda e: sh(f"rm {layer(e, 0)}/pipe; mkdir {layer(e, 0)}/pipe"),
                     "layer", "it is a dir, not a fifo"),
    "link": (lambda e: sh(f"ln -sfn x {layer(e, 0)}/link"), "layer", "it leads elsewhere"),
    "not opaque": (lambda e: os.removexattr(layer(e, 1) / "old", "trusted.overlay.opaque"),
                   "layer", "hides, or does not hide"),
    "no whiteout": (lambda e: (layer(e, 1) / "gone").unlink(), "layer", "/gone is missing"),
    "no directory": (lambda e: layer(e, 1).rename(layer(e, 1).with_name("away")), "layer",
                     "its directory is missing"),
    "no index": (lambda e: Path(f"{layer(e, 1)}.index").unlink(), "layer", "index is damaged"),
    "bad index": (lambda e: Path(f"{layer(e, 1)}.index").write_bytes(b"x"), "layer",
                  "index is damaged"),
    "bad name in the index": (lambda e: misname(Path(f"{layer(e, 1)}.index")), "layer",
                              "index is damaged"),
    "bad blob": (lambda e: rewrite(blob(e, 0), b"\0" * blob(e, 0).stat().st_size), "blob",
                 "damaged"),
    "cut blob": (lambda e: rewrite(blob(e, 0), b"cut"), "blob", "damaged"),
    "no blob": (lambda e: blob(e, 1).unlink(), "blob", "missing"),
    "no manifest": (lambda e: Path(e.store.blobs.path(e.images.list()[0].digest)).unlink(), "blob",
                    "missing"),
    "no config": (
        lambda e: Path(e.store.blobs.path(e.images.list()[0].config_digest)).unlink(), "blob",
                  "missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_mended(engine: Engine, registry: Registry, name: str) -> None:
    damage, kind, problem = DAMAGE[name]
    damage(engine)
    [found] = check(engine)
    assert found.kind == kind
    assert problem in found.problem
    assert found.state == "wrong"
    assert found.images == (f"{registry.host}/app:1",)
    if name not in ("content", "bad blob"):
        assert check(engine, quick=True) == [found]
    assert [one.state for one in check(engine, repair=True)] == ["repaired"]
    assert check(engine) == []


def test_both_a_layer_and_its_blob(engine: Engine) -> None:
    blob(engine, 0).unlink()
    (layer(engine, 0) / "old/x").unlink()
    assert {one.kind: one.state for one in check(engine, repair=True)} == {
        "blob": "repaired", "layer": "repaired",
    }  # fmt: skip
    assert check(engine) == []


def test_a_blob_made_here_is_made_again_without_a_registry(engine: Engine, tmp_path: Path) -> None:
    from core.images.archive.importing import ImportOptions

    (tmp_path / "files").write_bytes(LOWER)
    info = engine.archives.import_files(str(tmp_path / "files"), ImportOptions()).result()
    made = tmp_path / "made"
    made.mkdir()
    (made / "f").write_bytes(b"f" * 100_000)
    from core.images.assemble import layers_of, make_image
    from core.images.packing.layer_writer import write_layer

    written = write_layer(engine.store, str(made))
    base = layers_of(engine.store, info.digest)
    mine = make_image(engine.store, {}, [*base, (written.descriptor, written.diff_id)])
    Path(engine.store.blobs.path(written.descriptor.digest)).unlink()
    found = check(engine, repair=True)
    assert [(one.subject, one.state) for one in found] == [(written.descriptor.digest, "repaired")]
    assert found[0].images == (mine.digest[7:19],)
    assert check(engine) == []


def test_what_cannot_be_mended_is_said_and_kept(engine: Engine) -> None:
    [name] = engine.images.list()[0].tags
    engine.store.tag(name, "127.0.0.1:9/none:1")
    engine.store.untag(name)
    blob(engine, 0).unlink()
    [found] = check(engine, repair=True)
    assert (found.state, found.images) == ("wrong", ("127.0.0.1:9/none:1",))
    assert layer(engine, 0).is_dir()


def test_a_name_whose_image_is_gone_is_found_and_a_pull_mends_it(
    engine: Engine, registry: Registry
) -> None:
    name = f"{registry.host}/app:1"
    with contextlib.closing(sqlite3.connect(engine.paths.database)) as careless, careless:
        careless.execute("UPDATE tags SET digest=?", (digest_of(b"nothing"),))
    [found] = check(engine)
    assert (found.kind, found.subject) == ("name", name)
    assert "is not here: limpet pull it" in found.problem
    engine.images.pull(name).result()
    assert check(engine) == []


# -- prune ---------------------------------------------------------------------------


def plan(engine: Engine, line: str) -> Plan | Text:
    verb, words = find(line.split())
    result = verb.run(engine, parse(verb, words))
    assert isinstance(result, Plan | Text)
    return result


def apply(engine: Engine, line: str) -> str:
    result = plan(engine, line)
    done = result.apply() if isinstance(result, Plan) else result
    assert isinstance(done, Text)
    return done.text


def make(engine: Engine, tmp_path: Path, name: str, number: int, label: str = "x") -> None:
    from core.images.assemble import make_image
    from core.images.packing.layer_writer import write_layer

    made = tmp_path / f"{name}-{number}"
    made.mkdir()
    (made / "f").write_text(f"{name} {number}")
    written = write_layer(engine.store, str(made))
    config = {"config": {"Labels": {"is": label}}, "created": f"2024-01-0{number}T00:00:00Z"}
    tags = [engine.reference(f"{name}:{number}").canonical] if name else []
    make_image(engine.store, config, [(written.descriptor, written.diff_id)], tags)


def tags(engine: Engine) -> list[str]:
    return sorted(tag for info in engine.images.list() for tag in info.tags or ("<none>",))


def df(engine: Engine, kind: str) -> dict[str, object]:
    """Return a row of `system df`."""
    verb, words = find(["system", "df"])
    table = verb.run(engine, parse(verb, words))
    assert isinstance(table, Table)
    return next(row for row in table.rows if row["Type"] == kind)


def test_prune_chooses_as_told(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    for number in range(1, 5):
        make(engine, tmp_path, "web", number, "odd" if number % 2 else "even")
    make(engine, tmp_path, "", 1)
    app = f"{registry.host}/app:1"
    assert tags(engine) == [app, "<none>", *(f"web:{n}" for n in range(1, 5))]
    shown = plan(engine, "image prune")
    assert isinstance(shown, Plan)
    assert [line.partition(": ")[2] for line in shown.lines] == ["it has no name"]
    assert shown.bytes_back > 0
    assert shown.ask
    apply(engine, "image prune")
    assert "<none>" not in tags(engine)
    for none in ("0", "-1"):
        with pytest.raises(UsageError, match="must be 1 or more"):
            plan(engine, f"image prune --keep {none}")
    apply(engine, "image prune --keep 3")
    assert tags(engine) == [app, "web:2", "web:3", "web:4"]
    apply(engine, "image prune --all --filter label=is=even")
    assert tags(engine) == [app, "web:3"]
    assert apply(engine, "image prune --all --until 1h") == "Total reclaimed space: 0B"
    apply(engine, "image prune -a")
    assert tags(engine) == []
    for _ in range(4):
        engine.trash.undo()
    assert len(tags(engine)) == 6
    assert check(engine) == []


def test_leftovers_go_once_they_are_old(engine: Engine, tmp_path: Path) -> None:
    paths = engine.paths
    engine.store.blobs.write(
        "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", [b"hello"]
    )
    (tmp_path / "f").write_bytes(LOWER)
    Path(f"{paths.partial}/write-dead").write_bytes(b"1234")
    Path(f"{paths.partial}/sha256-{'0' * 64}").write_bytes(b"12345")
    os.mkdir(f"{paths.layers}/.gone-77-1")
    before = engine.images.list()
    shown = plan(engine, "image prune")
    assert isinstance(shown, Plan)
    assert shown.bytes_back == 4  # what is young may be part of a pull
    later = time.time() + 90_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.images.prune.time.time", lambda: later)
        shown = plan(engine, "image prune")
        assert isinstance(shown, Plan)
        assert shown.bytes_back == 4 + 5 + 5
        assert len(shown.lines) == 4
        shown.apply()
        assert isinstance(plan(engine, "image prune"), Text)
    assert engine.images.list() == before
    assert check(engine) == []


def test_what_a_pull_left_is_counted_and_can_be_had_back(engine: Engine) -> None:
    """After a full disk this is what filled it: also what a pull could go on with."""
    store, paths = engine.store, engine.paths
    images = df(engine, "Images")
    assert df(engine, "Leftovers")["Size"] == 0
    store.blobs.write(digest_of(b"hello"), [b"hello"])
    cut = "sha256:" + "0" * 64
    Path(store.blobs.partial_path(cut)).write_bytes(b"1234567")
    fd = store.blobs.lock_partial("sha256:" + "1" * 64)
    os.write(fd, b"in hand")
    row = df(engine, "Leftovers")
    # A blob that is whole may be part of a pull that has just begun to ask for the next.
    assert (row["TotalCount"], row["Active"], row["Size"]) == (3, 2, 5 + 7 + 7)
    assert row["ReclaimableBytes"] == 7
    assert df(engine, "Images") == images
    verb, words = find(["system", "df", "-v"])
    shown = verb.run(engine, parse(verb, words))
    assert isinstance(shown, Text)
    assert store.blobs.partial_path(cut) in shown.text
    assert isinstance(plan(engine, "image prune"), Text)
    shown = plan(engine, "image prune -a --filter label=none")
    assert isinstance(shown, Plan)
    again = store.blobs.lock_partial(cut)  # somebody pulls it while the plan is looked at
    shown.apply()
    assert os.path.exists(store.blobs.partial_path(cut))
    os.close(again)
    shown.apply()
    assert os.listdir(paths.partial) == ["sha256-" + "1" * 64]
    os.close(fd)


def test_what_the_trash_and_a_download_hold_stays(engine: Engine) -> None:
    plan_ = engine.store.plan_removal([engine.images.list()[0].tags[0]], force=True, users={})
    engine.store.apply_removal(plan_, engine.trash.open("rmi"))
    import fcntl

    fd = engine.store.blobs.lock_partial("sha256:" + "1" * 64)
    later = time.time() + 90_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.images.prune.time.time", lambda: later)
        assert isinstance(plan(engine, "image prune -a"), Text)
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)
    engine.trash.undo()
    assert check(engine) == []


def test_df_counts_shared_layers_once(engine: Engine, tmp_path: Path) -> None:
    from core.images.disk_usage import image_usage

    def row(kind: str) -> dict[str, object]:
        return df(engine, kind)

    layers = engine.images.list()[0].size_bytes + engine.images.list()[0].blob_bytes
    assert (row("Images")["TotalCount"], row("Images")["Size"]) == (1, layers)
    assert row("Images")["ReclaimableBytes"] == layers
    from core.images.assemble import layers_of, make_image

    base = layers_of(engine.store, engine.images.list()[0].digest)
    make_image(engine.store, {"author": "me"}, base, [engine.reference("two:1").canonical])
    make(engine, tmp_path, "web", 1)
    usage, total = image_usage(engine.store)
    assert sorted((one.shared > 0, one.unique > 0) for one in usage) == [
        (False, True), (True, False), (True, False),
    ]  # fmt: skip
    assert total == layers + sum(one.unique for one in usage)
    assert row("Images")["TotalCount"] == 3
    verb, words = find(["system", "df", "-v"])
    shown = verb.run(engine, parse(verb, words))
    assert isinstance(shown, Text)
    assert "UNIQUE SIZE" in shown.text
    assert "two:1" in shown.text


def test_a_plan_is_shown_and_nothing_is_removed(env: dict[str, str]) -> None:
    limpet(env, "create", "--name", "idle", "--network", "none", "starter", "true")
    limpet(env, "tag", "starter", "other:1")
    limpet(env, "volume", "create", "kept")
    limpet(env, "network", "create", "unused")
    listings = ("images -q", "ps -aq", "volume ls -q", "network ls -q")
    before = [limpet(env, *line.split()) for line in listings]
    for line, words in (
        ("rmi other:1", "remove other:1:\n  Untagged: other:1"),
        ("rm idle", "remove 1 container:\n  container idle ("),
        ("container prune", "remove 1 container:\n  container idle"),
        ("image prune -a", "Total reclaimed space: 0B"),
        ("volume prune -a", "  volume kept"),
        ("network prune", "  network unused ("),
        ("system prune -a", "other:1: no container uses it"),
        ("build prune", "Total reclaimed space: 0B"),
    ):
        assert words in limpet(env, *line.split(), "--dry-run"), line
    assert "MB come back:\n" in limpet(env, "system", "prune", "-a", "--dry-run")
    assert [limpet(env, *line.split()) for line in listings] == before
