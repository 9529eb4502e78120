"""The question before something is done: all of it can be read, and only y says yes."""

from __future__ import annotations

import pytest
from textual.app import App

from tui.screens.confirm import ConfirmScreen
from tui.theme import LIMPET
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine


class Host(App[None]):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.register_theme(LIMPET)
        self.theme = LIMPET.name
        self.answers: list[bool | None] = []
        self.question = ConfirmScreen("remove these", lines, "remove", "keep")

    def on_mount(self) -> None:
        self.push_screen(self.question, self.answers.append)


@pytest.mark.parametrize(
    ("key", "answer"), [("y", True), ("n", False), ("escape", False), ("q", False)]
)
async def test_answers(key: str, answer: bool) -> None:
    app = Host(["container web"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "space")
        assert app.answers == []
        await pilot.press(key)
        assert app.answers == [answer]


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_a_long_list_can_be_read_to_its_end(size: tuple[int, int]) -> None:
    names = [f"image {n} \x1b[31m" for n in range(200)]
    app = Host(names)
    async with app.run_test(size=size) as pilot:
        pane = app.question.query_one(LineList)
        foot = app.question.query_one("#answers", StatusLine)
        assert 3 <= pane.size.height < size[1]
        assert "more below" in foot.render_line(0).text
        seen = set()
        for _ in range(200):
            seen |= {pane.render_line(y).text.strip() for y in range(pane.size.height)}
            await pilot.press("pagedown")
            if not pane.below:
                break
        seen |= {pane.render_line(y).text.strip() for y in range(pane.size.height)}
        assert seen == {f"image {n} \\x1b[31m" for n in range(200)}
        assert "more below" not in foot.render_line(0).text


async def test_nothing_to_name_needs_no_list() -> None:
    app = Host([])
    async with app.run_test(size=(60, 18)):
        assert not app.question.query_one(LineList).display
