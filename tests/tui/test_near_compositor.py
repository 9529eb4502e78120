"""Of a screen only what is painted is rendered, and what is painted over leaves nothing behind."""

from __future__ import annotations

import gc
import importlib
import pkgutil

from textual.containers import Vertical
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tests.tui.screen_host import ScreenHost
from tui import screens
from tui.tty.near_compositor import PaintsNear
from tui.widgets.line_list import LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from textual.app import ComposeResult

WIDTH, HEIGHT = 40, 12


class Noting(Widget):
    """Notes which of its lines a painting asks for."""

    asked: list[int]

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += crop.line_range
        return super().render_lines(crop)


class Left(Noting):
    DEFAULT_CSS = "Left { width: 20; }"

    def render_line(self, y: int) -> Strip:
        return Strip.blank(self.size.width)


class Behind(Noting, Vertical):
    DEFAULT_CSS = "Behind { layout: horizontal; }"


class Lines(Noting, LineList):
    pass


class Place(PaintsNear, Screen[None]):
    """Two panes side by side, and what they are in."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.lines = Left(), Lines()
        self.behind = Behind()
        for one in (self.left, self.lines, self.behind):
            one.asked = []

    def compose(self) -> ComposeResult:
        with self.behind:
            yield self.left
            yield self.lines

    def on_mount(self) -> None:
        self.lines.show(HEIGHT, lambda number: [(f"line {number} " * 9, "")])

    def painted(self) -> dict[str, list[int]]:
        """Return and forget which lines were asked for."""
        widgets = {"left": self.left, "lines": self.lines, "behind": self.behind}
        found = {name: sorted(widget.asked) for name, widget in widgets.items()}
        for widget in widgets.values():
            widget.asked.clear()
        return found


async def test_only_lines_that_are_painted_and_seen_are_rendered() -> None:
    place = Place()
    async with ScreenHost(place).run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        everything = [*range(HEIGHT)]
        place.painted()
        place.refresh()
        await pilot.pause()
        assert place.painted() == {"left": everything, "lines": everything, "behind": []}
        place.lines.refresh(*(Region(0, y, place.lines.size.width, 1) for y in (1, 2, 9)))
        await pilot.pause()
        assert place.painted() == {"left": [], "lines": [1, 2, 9], "behind": []}
        place.left.display = False
        place.lines.styles.width = WIDTH // 2
        await pilot.pause()
        assert set(place.painted()["behind"]) == set(everything)


async def test_what_is_painted_over_is_gone_without_a_search() -> None:
    place = Place()
    async with ScreenHost(place).run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                place.lines.refresh()
                await pilot.pause()
            before = sum(isinstance(one, Strip) for one in gc.get_objects())
            gc.collect()
            assert before - sum(isinstance(one, Strip) for one in gc.get_objects()) == 0
        finally:
            gc.enable()


def test_every_screen_is_painted_so() -> None:
    for module in pkgutil.walk_packages(screens.__path__, "tui.screens."):
        importlib.import_module(module.name)
    own = [one for one in _below(Screen) if one.__module__.startswith("tui.screens.")]
    assert len(own) > 10
    assert [one for one in own if not issubclass(one, PaintsNear)] == []


def _below(kind: type[Screen[Any]]) -> Iterator[type[Screen[Any]]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
