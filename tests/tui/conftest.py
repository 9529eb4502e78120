"""The app on a real engine with roots of its own; its tables are given fixed facts."""

from __future__ import annotations

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from core.config import Config
from core.containers.lifecycle import Containers
from core.engine import Engine
from core.model import ContainerInfo, ImageInfo, Port, RegistryInfo
from core.operations.images import Images
from core.operations.registries import Registries
from core.paths import Paths
from tui.app import LimpetApp
from tui.bridge import Bridge, Sample, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("web-1", "web-2", "api", "db", "cache", "queue", "migrate", "日本語")


def container(number: int, name: str, state: str = "running") -> ContainerInfo:
    return ContainerInfo(
        f"{number:064x}",
        name,
        "nginx:1.27",
        "sha256:" + "0" * 64,
        ("nginx", "-g", "daemon off;"),
        1.0,
        state,
        exit_code=1 if state == "exited" else 0,
        started=1.0,
        finished=1.0,
        ports=(Port("0.0.0.0", 8080 + number, 80),),
        address=f"10.89.0.{number + 2}",
        labels=(("tier", "front" if number < 2 else "back"),),
    )


def facts(count: int = len(NAMES)) -> Snapshot:
    """Return a snapshot of `count` containers, some images and a registry."""
    containers = tuple(
        container(
            number,
            NAMES[number] if number < len(NAMES) else f"job-{number}",
            "exited" if number % 4 == 3 else "running",
        )
        for number in range(count)
    )
    images = tuple(
        ImageInfo(f"sha256:{n:064x}", f"sha256:{n + 9:064x}", (tag,), "linux/amd64", 1.0,
                  10_000_000 * (n + 1), 1, n + 1)
        for n, tag in enumerate(("nginx:1.27", "redis:7", "starter:latest"))
    )  # fmt: skip
    return Snapshot(
        containers,
        images,
        (RegistryInfo("docker.io", "reachable"),),
        tuple((c.id, Sample(1.5, 10_000_000, 0, (0.0,) * 5 + (1.5,))) for c in containers[:3]),
        read=True,
    )


class RecordingDriver(HeadlessDriver):
    """A driver that keeps what would have been sent to the terminal."""

    sent: list[str]

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.__dict__.setdefault("sent", []).append(data)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"{tmp_path}/state")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(Bridge, "start", lambda _: None)
    monkeypatch.setattr(Containers, "list", lambda _: list(facts().containers))
    monkeypatch.setattr(Images, "list", lambda _: list(facts().images))
    monkeypatch.setattr(Registries, "known", lambda _: list(facts().registries))


@pytest.fixture
def make_app(paths: Paths) -> Callable[..., LimpetApp]:
    def make(**settings: object) -> LimpetApp:
        return LimpetApp(Engine(paths, Config()), **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command lines that keys submit, which are not carried out."""
    seen: list[str] = []
    monkeypatch.setattr(LimpetApp, "submit", lambda _, line, then="": seen.append(line))
    return seen
