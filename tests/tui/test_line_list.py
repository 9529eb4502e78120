"""A list of lines paints what a key changed, and nothing else."""

from __future__ import annotations

import time

from textual.app import App, ComposeResult
from textual.containers import Vertical

from tui.theme import LIMPET
from tui.widgets.line_list import LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.events import Key
    from textual.strip import Strip

HEIGHT = 10
COUNT = 15


class Watched(LineList):
    """Notes which lines it paints."""

    def __init__(self) -> None:
        super().__init__()
        self.painted: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.painted.append(y)
        return super().render_line(y)


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.register_theme(LIMPET)
        self.theme = LIMPET.name
        self.lines = Watched()

    def compose(self) -> ComposeResult:
        yield self.lines

    def on_mount(self) -> None:
        self.lines.show(COUNT, lambda number: [(f"line {number}", "")])
        self.lines.focus()


async def test_a_key_paints_the_lines_that_it_changes() -> None:
    app = Host()
    async with app.run_test(size=(20, HEIGHT)) as pilot:
        for keys, painted in (
            (("down",), [0, 1]),
            (("up",), [0, 1]),
            (("up",), []),  # it is at the top
            (("end",), [*range(HEIGHT)]),
            (("down",), []),
            (("up",), [HEIGHT - 2, HEIGHT - 1]),
        ):
            await pilot.pause()
            app.lines.painted.clear()
            await pilot.press(*keys)
            await pilot.pause()
            assert sorted(set(app.lines.painted)) == painted, keys
        shown = app.lines.render_line(HEIGHT - 2)
        assert shown.text.split()[-1] == str(COUNT - 2)


async def test_other_lines_are_painted_as_far_as_there_are_or_were_any() -> None:
    app = Host()
    async with app.run_test(size=(20, HEIGHT)) as pilot:
        for count, painted in ((4, HEIGHT), (2, 4), (3, 3), (0, 3), (0, 1)):
            await pilot.pause()
            app.lines.painted.clear()
            app.lines.show(count, lambda number: [(f"line {number}", "")])
            await pilot.pause()
            assert sorted(set(app.lines.painted)) == [*range(painted)]


class Box(Vertical):
    """Notes what comes by from the list that it holds."""

    def __init__(self, lines: LineList) -> None:
        super().__init__(lines)
        self.heard: list[str] = []

    def on_key(self, event: Key) -> None:
        self.heard.append(event.key)

    def on_line_list_moved(self) -> None:
        self.heard.append("moved")


class Boxed(Host):
    """The list in a box on a screen, which notes what it hears of it."""

    BINDINGS = [("x", "note", "Note")]

    def __init__(self) -> None:
        super().__init__()
        self.box = Box(self.lines)
        self.heard: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.box

    def action_note(self) -> None:
        self.heard.append("x")


async def test_what_a_list_has_to_say_does_not_go_through_what_it_is_in() -> None:
    app = Boxed()
    async with app.run_test(size=(20, HEIGHT)) as pilot:
        moved: list[LineList.Moved] = []
        app.screen.message_signal.subscribe(
            app, lambda message: moved.append(message) if type(message) is LineList.Moved else None
        )
        await pilot.press("x", "down", "x")
        await pilot.pause()
        assert app.heard == ["x", "x"]
        assert app.lines.cursor == 1
        assert [message.lines for message in moved[-1:]] == [app.lines]
        assert not app.box.heard


async def test_of_a_line_of_megabytes_only_what_is_seen_is_looked_at() -> None:
    app = Host()
    async with app.run_test(size=(20, HEIGHT)) as pilot:
        line = "é漢" * (1 << 21)
        app.lines.show(1, lambda _: [(line, "")])
        await pilot.pause()
        began = time.process_time()
        for _ in range(20):
            assert app.lines.render_line(0).text.rstrip().endswith("…")
        assert time.process_time() - began < 0.5
