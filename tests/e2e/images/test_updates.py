"""Images and containers beside what docker-registry has now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.pull import pull
from core.registry.updates import User, check_updates
from tests.e2e.command_line import LIMPET
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout
from tests.hostile_registry import HostileRegistry, layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageStore]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    paths = Paths(str(tmp_path / "data"), str(tmp_path / "run"))
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


def do_pull(store: ImageStore, name: str) -> str:
    return pull(store, Config(), parse_reference(name), "", Job(1, "pull")).digest


def states(store: ImageStore, *users: User) -> dict[tuple[str, str], str]:
    found = check_updates(store.database, Config(), users)
    return {(update.kind, update.name): update.state for update in found}


def test_current_pulled_and_upstream(tmp_path: Path, store: ImageStore) -> None:
    with Registry(tmp_path / "served") as registry:
        name = registry.push(write_oci_layout(tmp_path / "a", [layer_tar("a", b"1")]), "app:1")
        old = do_pull(store, name)
        user = User("web", name, old)
        assert states(store, user) == {("image", name): "current", ("container", "web"): "current"}
        registry.push(write_oci_layout(tmp_path / "b", [layer_tar("b", b"2")]), "app:1")
        assert set(states(store, user).values()) == {"newer upstream"}
        do_pull(store, name)
        assert states(store, user) == {
            ("image", name): "current",
            ("container", "web"): "newer pulled",
        }


def test_unknown_has_a_cause_and_a_limit_is_met_once(store: ImageStore) -> None:
    with HostileRegistry() as hostile:
        hostile.publish("other")
        for tag in ("latest", "other"):
            do_pull(store, f"{hostile.host}/app:{tag}")
        store.tag(f"{hostile.host}/app:other", f"{hostile.host}/app:third")
        hostile.requests.clear()

        def limit(handler: object) -> None:
            handler.answer(429)  # type: ignore[attr-defined]

        for tag in ("latest", "other", "third"):
            hostile.rules[f"/manifests/{tag}"] = limit
        found = check_updates(store.database, Config(), [])
        assert {update.state for update in found} == {"unknown"}
        assert all("too many requests" in update.cause for update in found)
    found = check_updates(
        store.database, Config(), [User("gone", f"{hostile.host}/x:1", "sha256:1")]
    )
    assert all(update.state == "unknown" and update.cause for update in found)


def test_a_container_takes_a_newer_image_and_goes_back(tmp_path: Path) -> None:
    """The program itself: options and name stay, what is there is said, one undo goes back."""
    data = {"LIMPET_DATA_ROOT": f"{tmp_path}/data", "LIMPET_RUN_ROOT": f"{tmp_path}/run"}
    environment = {**os.environ, **data, "DOCKER_CONFIG": str(tmp_path / "docker")}

    def limpet(*words: str) -> str:
        done = subprocess.run(
            [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(registry: Registry, version: str) -> str:
        layers = [busybox_rootfs(), layer_tar("version", version.encode())]
        config = {"Cmd": ["sleep", "600"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL"}
        layout = write_oci_layout(tmp_path / version, layers, config)
        return registry.push(layout, "web:1")

    with Registry(tmp_path / "served") as registry:
        name = publish(registry, "old")
        limpet("pull", "-q", name)
        limpet("run", "-d", "--name", "web", "--network", "none", "-e", "KEPT=yes", name)
        assert "current" in limpet("container", "updates")
        assert limpet("container", "upgrade", "web").strip() == "web is current"
        publish(registry, "new")
        assert "newer upstream" in limpet("container", "updates", "--format", "json")
        said = limpet("container", "upgrade", "web")
        assert "container edit --undo web goes back" in said
        script = "cat /version; echo $KEPT"
        assert limpet("exec", "web", "sh", "-c", script) == "newyes\n"
        limpet("container", "edit", "--undo", "-f", "web")
        assert limpet("exec", "web", "sh", "-c", script) == "oldyes\n"
        assert "newer pulled" in limpet("container", "updates")
        limpet("rm", "-f", "web")
