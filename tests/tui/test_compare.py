"""Two images side by side: what was added, changed and removed, file by file."""

from __future__ import annotations

from textual.app import App

from core.errors import NotFound
from tests.tui.test_layers import LAYERS, open_content, text_of, until
from tui.screens.compare import CompareScreen, Image, read_image
from tui.theme import LIMPET
from tui.widgets.status import StatusLine

FILES = {layer.diff_id: entries for layer, entries in LAYERS}


def images() -> tuple[Image, Image]:
    steps = [layer for layer, _ in LAYERS]
    return (
        read_image("thing:1", steps[:1], FILES.__getitem__),
        read_image("thing:2", steps, FILES.__getitem__),
    )


class Host(App[None]):
    def __init__(self, screen: CompareScreen) -> None:
        super().__init__()
        self.register_theme(LIMPET)
        self.theme = LIMPET.name
        self.compared = screen

    def on_mount(self) -> None:
        self.push_screen(self.compared)


def edge(screen: CompareScreen, name: str) -> str:
    return screen.query_one(f"#{name}", StatusLine).render_line(0).text


def shown(screen: CompareScreen) -> list[tuple[str, str]]:
    pane = screen.file_list
    lines = (pane.render_line(y).text.rstrip() for y in range(pane.size.height))
    return [(line[1], line.split()[-1]) for line in lines if line]


async def test_files_of_two_images_are_compared() -> None:
    screen = CompareScreen(("thing:1", "thing:2"), images, open_content)
    async with Host(screen).run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "A 1  M 1  D 3" in edge(screen, "head"))
        await pilot.press("enter", "j", "enter")
        assert shown(screen)[:2] == [(" ", "etc/"), ("M", "passwd")]
        await until(pilot, lambda: "2  new:x:2" in text_of(pilot))
        await pilot.press("escape", "D")
        await until(pilot, lambda: "+new:x:2" in text_of(pilot))
        await pilot.press("escape", "j", "D")
        assert "only one of the images" in edge(screen, "foot")
        await pilot.press("a", "m", "d")
        await pilot.pause()
        assert "etc/" in [name for _, name in shown(screen)]
        await pilot.press("escape")
        assert not screen.is_current


async def test_an_image_that_is_gone_is_said() -> None:
    def read() -> tuple[Image, Image]:
        raise NotFound("there is no image thing:1")

    screen = CompareScreen(("thing:1", "thing:2"), read, open_content)
    async with Host(screen).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "there is no image" in edge(screen, "head"))
        await pilot.press("a", "D", "enter", "n", "y", "escape")
        assert not screen.is_current
