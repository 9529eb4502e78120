"""A registry to sync from, for all; a registry and a store to sync to, for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.images.store import ImageStore
from core.paths import Paths
from tests.e2e.command_line import run
from tests.e2e.sync.ends import NOISE, push_index
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    """team/app has 1.0, 1.1 and latest over one large layer, many:1 is for two platforms."""
    place = tmp_path_factory.mktemp("source")
    base = layer_tar("large", NOISE)
    with Registry(place / "served") as registry:
        for tag in ("1.0", "1.1", "latest"):
            layout = write_oci_layout(place / tag, [base, layer_tar(tag, tag.encode())])
            registry.push(layout, f"team/app:{tag}")
        foreign = write_oci_layout(place / "foreign", [base, layer_tar("foreign", b"x")])
        run("umoci", "config", "--image", f"{foreign}:latest", "--architecture", "s390x")
        for name in (place / "1.0", foreign):
            registry.push(name, f"parts:{name.name}")
        push_index(registry, "many:1", [f"parts:{tag}" for tag in ("1.0", "foreign")])
        yield registry


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def target(tmp_path: Path, isolated: None) -> Iterator[OwnRegistry]:
    with OwnRegistry(Paths(str(tmp_path / "served"), str(tmp_path / "served-run"))) as served:
        yield served


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()
