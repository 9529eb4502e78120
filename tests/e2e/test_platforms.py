"""Images of several platforms are pulled, shown, run, removed; remote ones are looked into."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.result import Plan, Running, Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import NotFound
from core.images.assemble import make_image, platform
from core.images.manifest import host_platform
from core.paths import Paths
from tests.fixture_images import Registry, write_oci_layout
from tests.layers import archive, directory, entry, hardlink, symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "linux/s390x"
LOWER = archive(directory("etc"), entry("etc/name", content=b"name", mode=0o4755, uid=5),
                hardlink("again", "etc/name"), symlink("link", "etc/name"),
                directory("old"), entry("old/x", content=b"x" * 2000), entry("gone"))  # fmt: skip
UPPER = archive(directory("old"), entry("old/.wh..wh..opq"), entry(".wh.gone"),
                entry("etc/name", content=b"new"))  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    """`app:1` for this host and for another platform; `plain:1` for this host alone."""
    place = tmp_path_factory.mktemp("served")
    with Registry(place / "registry") as served:
        paths = Paths(str(place / "data"), str(place / "run"))
        engine = Engine(paths, Config())
        layout = write_oci_layout(place / "layout", [LOWER, UPPER])
        served.push(layout, "plain:1")
        engine.load(str(layout)).result()
        first = engine.images()[0]
        from core.images.assemble import layers_of

        other = make_image(engine.store, platform(OTHER), layers_of(engine.store, first.digest))
        engine.push([first.digest, other.digest], f"{served.host}/app:1").result()
        engine.close()
        yield served


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = Engine(paths, Config())
    yield made
    made.close()


def say(engine: Engine, line: str) -> str:
    verb, words = find(line.split())
    result = verb.run(engine, parse(verb, words))
    if isinstance(result, Running):
        result = result.show(result.job.result())
    if isinstance(result, Plan):
        result = result.apply()
    assert isinstance(result, Text)
    return result.text


def test_all_platforms(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/app:1"
    shown = say(engine, f"pull --all-platforms {name}")
    assert [line.split()[0] for line in shown.splitlines()] == [name, host_platform(), OTHER]
    assert {info.platform for info in engine.images()} == {host_platform(), OTHER}
    assert engine.store.resolve(name).platform == host_platform()
    assert engine.store.resolve(name, OTHER).platform == OTHER
    assert engine.store.resolve(name, host_platform()).platform == host_platform()
    with pytest.raises(NotFound, match="not available for linux/riscv64") as caught:
        engine.store.resolve(name, "riscv64")
    assert f"pull --platform riscv64 {name}" in caught.value.hint
    verb, words = find(["images"])
    table = verb.run(engine, parse(verb, words))
    assert isinstance(table, Table)
    assert "PLATFORM" in [column.title for column in table.columns]
    assert say(engine, "image prune -f") == "Total reclaimed space: 0B"
    container = say(engine, f"create --platform {OTHER} --pull never {name} true")
    assert (
        engine.lifecycle.resolve(container).image_digest == engine.store.resolve(name, OTHER).digest
    )
    engine.lifecycle.rm(container)
    say(engine, f"rmi {name}")
    assert engine.images() == []
    say(engine, "undo")
    assert engine.store.resolve(name, OTHER).platform == OTHER


def test_a_single_image_is_pulled_as_ever(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/plain:1"
    assert say(engine, f"pull --all-platforms -q {name}") == engine.images()[0].digest
    assert engine.images()[0].tags == (name,)


def test_a_remote_image_looks_as_the_pulled_one_does(engine: Engine, registry: Registry) -> None:
    name = f"{registry.host}/plain:1"
    job = engine.remote_tree(name)
    remote = job.result()
    assert {item.note for item in job.snapshot().items} == {"done"}
    assert engine.images() == []
    shown = say(engine, f"image browse --remote --depth 0 {name}")
    engine.pull(name).result()
    local = engine.file_tree(name)
    assert remote.config == local.config
    assert [layer[0] for layer in remote.layers] == [layer[0] for layer in local.layers]
    for (_, theirs), (_, ours) in zip(remote.layers, local.layers, strict=True):
        assert sorted(map(str, theirs)) == sorted(map(str, ours))
    assert say(engine, f"image browse --depth 0 {name}") == shown
    lines = shown.splitlines()
    assert any(line.startswith("~ 0644") and line.endswith("name") for line in lines)
    assert any(line.startswith("- ") and line.endswith("gone") for line in lines)
    assert not any(line.endswith(" x") for line in lines)
    first = say(engine, f"image browse --layer 1 {name} /old")
    assert first.splitlines()[-1].endswith("2kB  x")
    with pytest.raises(NotFound, match="has no nowhere"):
        say(engine, f"image browse {name} nowhere")


def test_platform_of_a_remote_image(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    tree = engine.remote_tree(f"{registry.host}/app:1", OTHER).result()
    assert tree.config["architecture"] == "s390x"
    assert list(tmp_path.glob("data/blobs/sha256/*")) == []
