"""Something has the keys at any time, and who types keeps them."""

from __future__ import annotations

import os

import pytest
from textual.events import AppBlur, AppFocus, Key, MouseDown

from core.commands.result import Foreground, Lines, Plan, Result, Text
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, session, until
from tui.bridge import Answered, Bridge
from tui.screens.confirm import ConfirmScreen
from tui.screens.logs import LogsScreen
from tui.widgets.output.view import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.app import LimpetApp

    Make = Callable[..., LimpetApp]


async def test_a_screen_that_opens_while_one_looks_elsewhere(make_app: Make) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.post_message(AppBlur())
        await pilot.pause()
        app.submit("jobs")
        await until(pilot, lambda: app.screen is not app.dashboard and app.focused)
        app.post_message(AppFocus())
        await pilot.press("escape")
        assert app.screen is app.dashboard
        assert app.focused is app.dashboard.table


@pytest.mark.parametrize("line", ["", "jobs", "help", "tour", "theme", "logs"])
async def test_a_click_beyond_the_edge(make_app: Make, line: str) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        if line == "logs":
            app.open_logs(["web-1"])
        else:
            app.submit(line)
        await until(pilot, lambda: (app.screen is app.dashboard) is (not line) and app.focused)
        at = 500, 500  # as it was before the window became smaller
        app.post_message(MouseDown(None, *at, 0, 0, 1, False, False, False, *at))
        await pilot.pause()
        assert app.focused


async def test_a_terminal_that_is_hidden(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        block = board.output.begin("exec")
        await board.show_terminal(block, Foreground("exec", lambda fd, *_: len(os.read(fd, 1))))
        pane = board.panes.terminals[0]
        await until(pilot, lambda: pane.has_focus)
        board.action_pane()
        await until(pilot, lambda: board.table.has_focus)
        board.action_pane()
        board.output.focus()
        await until(pilot, lambda: board.output.has_focus)
        board.action_zoom()
        await until(pilot, lambda: pane.has_focus)
        await pilot.press("x", "enter")
        await until(pilot, lambda: not board.panes.terminals)
        assert app.focused is board.table


async def test_a_table_that_gets_the_keys_late_is_shown(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.table.focus()  # when the messages before it are done
        app.dashboard.go("registries")
        await pilot.pause()
        assert app.focused in app.screen.focus_chain
        assert app.focused is app.dashboard.table


async def test_a_word_is_typed_after_a_click_into_the_list(make_app: Make) -> None:
    app = make_app()
    answers: list[bool | None] = []
    async with app.run_test() as pilot:
        screen = ConfirmScreen("remove", ["volume jk"], "remove", word="jk")
        await app.push_screen(screen, answers.append)
        await pilot.click("#lines")
        await pilot.press("j", "k", "enter")
        await until(pilot, lambda: answers == [True])


ANSWERS: dict[str, Callable[[], Result]] = {
    "follow": lambda: Lines(iter([(1, b"one")])),
    "prune": lambda: Plan("remove", ("container web",), lambda: Text("pruned")),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Lines that nothing has answered yet, with the numbers of their blocks."""
    lines: list[tuple[int, str]] = []
    monkeypatch.setattr(Bridge, "run", lambda _, *line: lines.append(line))
    return lines


def give(app: LimpetApp, asked: list[tuple[int, str]]) -> None:
    """Let the answer of the last line come."""
    number, line = asked.pop()
    app.post_message(Answered(number, ANSWERS[line](), None))


async def test_an_answer_takes_no_keys_from_who_types(
    make_app: Make, asked: list[tuple[int, str]]
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("colon", *"follow", "enter", *"versi")
        give(app, asked)
        await until(pilot, lambda: "one" in session(app))
        await pilot.press(*"on", "enter")
        assert asked[-1][1] == "version"
        await pilot.press("escape", "colon", *"follow", "enter")
        give(app, asked)
        await until(pilot, lambda: isinstance(app.focused, Output))


async def test_what_is_typed_on_is_no_answer(make_app: Make, asked: list[tuple[int, str]]) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("colon", *"prune", "enter", "s")
        give(app, asked)
        await until(pilot, lambda: "asks when the line below" in session(app))
        for letter in "ystem":
            app.post_message(Key(letter, letter))
        await until(pilot, lambda: app.dashboard.bar.line.value == "system")
        assert app.screen is app.dashboard
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, lambda: "not done" in session(app))
        assert "asks when" not in screen_text(app)


async def test_what_is_pressed_on_another_screen_is_no_answer(
    make_app: Make, asked: list[tuple[int, str]]
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        await pilot.press("colon", *"prune", "enter", "escape", "l")
        await until(pilot, lambda: isinstance(app.screen, LogsScreen))
        give(app, asked)
        await until(pilot, lambda: "asks when the tables are shown again" in session(app))
        await pilot.press("y")
        assert isinstance(app.screen, LogsScreen)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, lambda: "not done" in session(app))


async def test_what_is_typed_in_a_terminal_is_no_answer(
    make_app: Make, asked: list[tuple[int, str]]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        await pilot.press("colon", *"prune", "enter", "escape")
        block = board.output.begin("exec")
        await board.show_terminal(block, Foreground("exec", lambda fd, *_: len(os.read(fd, 1))))
        await until(pilot, lambda: board.panes.in_terminal)
        give(app, asked)
        await until(pilot, lambda: "ctrl-]" in session(app))
        assert app.screen is board
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
