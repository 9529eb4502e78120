"""The layer browser: what each layer did, opened, filtered and searched by key."""

from __future__ import annotations

from textual.app import App
from textual.pilot import Pilot

from core.images.index import FileEntry
from core.model import LayerInfo
from tui.screens.layers import LayersScreen


def entry(path: str, kind: str = "file", size: int = 0, mode: int = 0o644) -> FileEntry:
    return FileEntry(path, kind, mode, 0, 0, size, 0, "00" * 32 if kind == "file" else "", "")


LAYERS = [
    (
        LayerInfo("sha256:1", "", 0, 300, 4, "COPY rootfs /", 0),
        [
            entry("etc", "dir", mode=0o755),
            entry("etc/passwd", size=100),
            entry("etc/shadow", size=50),
            entry("old", "dir", mode=0o755),
            entry("old/big", size=150),
        ],
    ),
    (
        LayerInfo("sha256:2", "", 0, 120, 3, "RUN change \x1b[31m", 0),
        [
            entry("etc", "dir", mode=0o755),
            entry("etc/passwd", size=120),
            entry("etc/shadow", "whiteout"),
            entry("new", size=0),
            entry("old", "whiteout"),
        ],
    ),
]


class Host(App[None]):
    def on_mount(self) -> None:
        self.push_screen(LayersScreen("thing:1", lambda: LAYERS))


async def opened(pilot: Pilot[None]) -> LayersScreen:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, LayersScreen)
    return screen


def lines(screen: LayersScreen) -> list[str]:
    pane = screen.file_list
    return [pane.render_line(y).text.rstrip() for y in range(pane.size.height)]


async def test_marks_totals_and_layers() -> None:
    async with Host().run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        assert [line.split()[-1] for line in lines(screen)[:2]] == ["etc/", "old/"]
        await pilot.press("]")
        shown = [line for line in lines(screen) if line]
        assert [(line[1], line.split()[-1]) for line in shown] == [
            (" ", "etc/"), ("A", "new"), ("D", "old"),
        ]  # fmt: skip
        layers = [screen.layer_list.render_line(y).text for y in range(2)]
        assert "\x1b" not in layers[1]
        assert layers[1].startswith(">")


async def test_open_close_and_filter() -> None:
    async with Host().run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "enter")
        shown = [line for line in lines(screen) if line]
        assert [line[1] for line in shown] == [" ", "M", "D", "A", "D"]
        await pilot.press("f", "f", "f")
        assert [line.split()[-1] for line in lines(screen) if line] == ["etc/", "shadow", "old"]
        await pilot.press("left")
        assert [line.split()[-1] for line in lines(screen) if line] == ["etc/", "old"]


async def test_find_opens_what_leads_there() -> None:
    async with Host().run_test(size=(100, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"shad", "enter")
        assert "shadow" in lines(screen)[screen.file_list.cursor]
        await pilot.press("slash", *"big", "enter")
        assert "big" in lines(screen)[screen.file_list.cursor]


async def test_whole_image_hides_what_was_removed_and_escape_leaves() -> None:
    async with Host().run_test(size=(60, 18)) as pilot:
        screen = await opened(pilot)
        await pilot.press("]", "t")
        assert [(line[1], line.split()[-1]) for line in lines(screen) if line] == [
            (" ", "etc/"), ("A", "new"), ("D", "old"),
        ]  # fmt: skip
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, LayersScreen)
