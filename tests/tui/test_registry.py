"""Looking into a registry from the app; the registry is limpet's own, on loopback."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from core.config import Config
from core.engine import Engine
from core.paths import Paths
from tests.own_registry import OwnRegistry
from tests.tui.conftest import facts
from tui.app import LimpetApp
from tui.screens.detail.screen import DetailScreen
from tui.screens.listing import ListingScreen
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine
from tui.widgets.table.line_table import LineTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

PREFIX = "application/vnd.oci.image."


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[OwnRegistry]:
    """team/app has 1 and latest, which are the same, and other/app has 2."""
    with OwnRegistry(Paths(f"{tmp_path}/served", f"{tmp_path}/served-run")) as served:
        for name, tags in (("team/app", ("1", "latest")), ("other/app", ("2",))):
            push(served, name, tags)
        yield served


def push(registry: OwnRegistry, name: str, tags: tuple[str, ...]) -> None:
    config = {"os": "linux", "architecture": "amd64", "created": "2024-05-01T00:00:00Z",
              "config": {"Cmd": ["serve", "a file"]}, "rootfs": {"diff_ids": []}}  # fmt: skip
    body = json.dumps(config).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert registry.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body).status == 201
    manifest = {
        "schemaVersion": 2, "mediaType": f"{PREFIX}manifest.v1+json", "layers": [],
        "config": {"mediaType": f"{PREFIX}config.v1+json", "digest": digest, "size": len(body)},
    }  # fmt: skip
    for tag in tags:
        document = json.dumps(manifest).encode()
        assert registry.ask("PUT", f"/v2/{name}/manifests/{tag}", document).status == 201


def app_on(paths: Paths, host: str) -> LimpetApp:
    rule = {"name": "mirror", "from": f"{host}/team/app", "to": "oci:/srv/mirror"}
    return LimpetApp(Engine(paths, Config(sync=(rule,))))


def cells(pilot: Pilot[Any]) -> list[str]:
    """Return the rows of the table that is shown."""
    tables = pilot.app.screen.query("#table").results(LineTable)
    lines = (t.render_line(y).text for t in tables for y in range(2, t.size.height))
    return [" ".join(line.split()) for line in lines if line.strip()]


def text_of(pilot: Pilot[Any]) -> str:
    panes = pilot.app.screen.query("#lines").results(LineList)
    return "\n".join(p.render_line(y).text.rstrip() for p in panes for y in range(p.size.height))


def head(pilot: Pilot[Any]) -> str:
    heads = pilot.app.screen.query("#head").results(StatusLine)
    return "".join(line.render_line(0).text for line in heads)


async def until(pilot: Pilot[Any], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come: {head(pilot)} {cells(pilot)}")


async def test_a_registry_is_looked_into_and_an_image_deleted(
    paths: Paths, registry: OwnRegistry
) -> None:
    app = app_on(paths, registry.host)
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        app.submit(f"go registries {registry.host}")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen) and len(cells(pilot)) == 2)
        assert "mirror never" in cells(pilot)[1]
        await pilot.press("j", "enter")
        await until(pilot, lambda: "latest" in " ".join(cells(pilot)))
        assert cells(pilot)[0].startswith("▌ 1 ")
        assert "linux/amd64 latest image" in cells(pilot)[0]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await until(pilot, lambda: "serve 'a file'" in text_of(pilot))
        await pilot.press("4")
        await until(pilot, lambda: text_of(pilot).split()[-1:] == ["latest"])
        # Deleting says that the other tag keeps the image.
        await pilot.press("d")
        await until(pilot, lambda: bool(app.screen.query("#question")))
        shown = text_of(pilot)
        assert f"Untagged: {registry.host}/team/app:1" in shown
        assert "Kept for latest: sha256:" in shown
        await pilot.press("y")
        path = "/v2/team/app/tags/list"
        await until(pilot, lambda: registry.ask("GET", path).document["tags"] == ["latest"])


async def test_a_registry_that_is_not_there_says_why(paths: Paths) -> None:
    app = app_on(paths, "127.0.0.1:1")
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        app.submit("go registries 127.0.0.1:1")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await until(pilot, lambda: "refused" in str(cells(pilot)))
        await pilot.press("p", "enter", "escape")
        assert app.screen is app.dashboard
        app.submit("go registries docker.io/NO[!")
        assert app.screen is app.dashboard


async def test_sync_rules_and_newer_images_have_screens(
    paths: Paths, registry: OwnRegistry
) -> None:
    app = app_on(paths, registry.host)
    async with app.run_test(size=(100, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen) and bool(cells(pilot)))
        assert "mirror" in cells(pilot)[0]
        await pilot.press("p")
        await until(pilot, lambda: "copy" in " ".join(cells(pilot)))
        await pilot.press("escape", "escape", "9")
        await until(pilot, lambda: "updates" in head(pilot))
