"""A registry for each test, and the store of another host."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.images.store import ImageStore
from core.paths import Paths
from tests.e2e.registry_server.place import (
    NOISE,
)
from tests.fixture_images import write_oci_layout
from tests.hostile_registry import layer_tar
from tests.own_registry import OwnRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [layer_tar("large", NOISE), layer_tar("small", b"small\n")]
    return write_oci_layout(tmp_path_factory.mktemp("layout") / "image", layers)


@pytest.fixture(autouse=True)
def own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def registry(paths: Paths) -> Iterator[OwnRegistry]:
    with OwnRegistry(paths) as served:
        yield served


@pytest.fixture
def far(tmp_path: Path) -> Iterator[ImageStore]:
    """The store of another host."""
    database = Database(Paths(str(tmp_path / "far"), str(tmp_path / "far-run")))
    yield ImageStore(Paths(str(tmp_path / "far"), str(tmp_path / "far-run")), database, Config())
    database.close()
