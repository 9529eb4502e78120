"""The question before something is done: all of it can be read, and only y says yes."""

from __future__ import annotations

import pytest
from textual.app import App

from core.commands.result import Plan, Text
from tests.tui.screen_host import ScreenHost
from tui.screens.confirm import ConfirmScreen, word_to_type
from tui.screens.pick import Choice, PickScreen
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine


def host(lines: list[str]) -> ScreenHost:
    return ScreenHost(ConfirmScreen("remove these", lines, "remove", "keep"))


@pytest.mark.parametrize(
    ("key", "answer"), [("y", True), ("n", False), ("escape", False), ("q", False)]
)
async def test_answers(key: str, answer: bool) -> None:
    app = host(["container web"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "space")
        assert app.answers == []
        await pilot.press(key)
        assert app.answers == [answer]


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_a_long_list_can_be_read_to_its_end(size: tuple[int, int]) -> None:
    names = [f"image {n} \x1b[31m" for n in range(200)]
    app = host(names)
    async with app.run_test(size=size) as pilot:
        pane = app.shown.query_one(LineList)
        foot = app.shown.query_one("#answers", StatusLine)
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


async def test_a_long_line_is_read_whole() -> None:
    words = [f"layer-{n}" for n in range(40)]
    app = host([" ".join(["image", *words])])
    async with app.run_test(size=(60, 24)):
        pane = app.shown.query_one(LineList)
        shown = " ".join(pane.render_line(y).text for y in range(pane.size.height))
        assert shown.split() == ["image", *words]


async def test_where_a_word_is_asked_for_its_letters_are_no_answers() -> None:
    app = ScreenHost(ConfirmScreen("remove it", ["volume yes"], "remove", word="yes"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("y", "n", "q", "y", "enter")
        await pilot.click(LineList)
        await pilot.press("y", "n", "enter")
        assert app.answers == []
        await pilot.press(*["backspace"] * 3, *"yes", "enter")
        assert app.answers == [True]


@pytest.mark.parametrize("size", [(60, 18), (80, 24)])
async def test_what_is_to_be_typed_is_never_cut(size: tuple[int, int]) -> None:
    name = "0123456789abcdef" * 4
    plan = Plan("remove volumes", (f"volume {name}",), lambda: Text(""))
    word = word_to_type(plan)
    app = ScreenHost(ConfirmScreen(plan.heading(), plan.lines, "remove", word=word))
    async with app.run_test(size=size) as pilot:
        foot = app.shown.query_one("#answers", StatusLine)
        await pilot.press(*name)
        assert f"type {word}, enter: {word}_" in foot.render_line(0).text
        assert "esc keep" in foot.render_line(0).text
        await pilot.press("enter")
        assert app.answers == [True]


async def test_nothing_to_name_needs_no_list() -> None:
    app = host([])
    async with app.run_test(size=(60, 18)):
        assert not app.shown.query_one(LineList).display


async def test_the_smallest_window_is_large_enough_to_say_no() -> None:
    app = host(["container web", "日本語 " * 30])
    async with app.run_test(size=(2, 1)) as pilot:
        await pilot.press("n")
        assert app.answers == [False]


@pytest.mark.parametrize(
    "screen", [ConfirmScreen("t", ["a"], "x", "y"), PickScreen("t", [Choice("a", "b", "c")])]
)
async def test_a_question_whose_parts_are_gone_already(
    screen: ConfirmScreen | PickScreen,
) -> None:
    """As when it is left before it was shown: keys that come all at once do that."""
    app = App[None]()
    async with app.run_test():
        await app.push_screen(screen)
        await screen.remove_children()
        screen.on_mount()
        screen.on_resize()
