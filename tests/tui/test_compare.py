"""Two images side by side: what was added, changed and removed, file by file."""

from __future__ import annotations

from core.errors import NotFound
from core.images.file_table import FileEntry, FileTable
from core.images.files.compare import Tree
from tests.tui.screen_host import ScreenHost, until
from tests.tui.test_layers import LAYERS, open_content, text_of
from tui.screens.compare import CompareScreen, Side
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

FILES = tuple((layer.diff_id, FileTable.of(entries)) for layer, entries in LAYERS)
STRICT = FileEntry("etc/passwd", "file", 0o600, 0, 42, 120, 0, "00" * 32, "")


def images() -> tuple[Side, Side]:
    old, new = {"Env": ["A=1"], "User": "me"}, {"Env": ["A=2"]}
    return (
        Side(Tree("thing:1", FILES[:1], {"config": old}), open_content),
        Side(Tree("thing:2", FILES, {"config": new}), open_content),
    )


def edge(screen: CompareScreen, name: str) -> str:
    return screen.query_one(f"#{name}", StatusLine).render_line(0).text


def shown(screen: CompareScreen) -> list[tuple[str, str]]:
    pane = screen.file_list
    lines = (pane.render_line(y).text.rstrip() for y in range(pane.size.height))
    return [(line[1], line.split()[-1]) for line in lines if line]


async def test_files_of_two_images_are_compared() -> None:
    screen = CompareScreen(("thing:1", "thing:2"), images)
    async with ScreenHost(screen).run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "A 1  M 1  D 3" in edge(screen, "head"))
        await pilot.press("enter", "j", "enter")
        assert shown(screen)[:2] == [("·", "etc/"), ("M", "passwd")]
        await until(pilot, lambda: "2  new:x:2" in text_of(pilot))
        await pilot.press("escape", "D")
        await until(pilot, lambda: "+new:x:2" in text_of(pilot))
        await pilot.press("escape", "j", "D")
        assert "only one of the two" in edge(screen, "foot")
        await pilot.press("a", "m", "d")
        await pilot.pause()
        assert "etc/" in [name for _, name in shown(screen)]
        await pilot.press("escape")
        assert not screen.is_current


async def test_an_image_that_is_gone_is_said() -> None:
    def read() -> tuple[Side, Side]:
        raise NotFound("there is no image thing:1")

    screen = CompareScreen(("thing:1", "thing:2"), read)
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "there is no image" in edge(screen, "head"))
        await pilot.press("a", "D", "enter", "n", "y", "escape")
        assert not screen.is_current


async def test_settings_and_permissions_are_compared() -> None:
    def read() -> tuple[Side, Side]:
        old, new = images()
        strict = Tree("thing:3", (*FILES, ("sha256:3", FileTable.of([STRICT]))), new.config)
        return Side(Tree("thing:2", FILES, old.config), open_content), Side(strict, open_content)

    screen = CompareScreen(("thing:2", "thing:3"), read)
    async with ScreenHost(screen).run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "settings 2" in edge(screen, "head"))
        await pilot.press("enter", "j")
        assert "changed: mode 0644 → 0600, owner 0:0 → 0:42" in edge(screen, "detail")
        await pilot.press("c")
        pane = screen.query_one("#settings", LineList)
        lines = [pane.render_line(y).text[1:].strip() for y in range(2)]
        assert lines == ["M Env A  1 → 2", "D User  me"]
        await pilot.press("c")
        assert shown(screen)
