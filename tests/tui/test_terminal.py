"""Terminals beside the tables: keys go in, output comes out, tables get the keys back."""

from __future__ import annotations

import os
import termios
import threading

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from core.commands.result import Foreground
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, session, until
from tui.app import LimpetApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.dashboard import typed_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LimpetApp]


MOUSE = b"\x1b[?1002h\x1b[?1006htold"
"""A program asks for the mouse."""
PASTES = b"\x1b[?2004hmarked"
"""A program asks to be told what was pasted."""


def echo(stdin: int, stdout: int, _: int) -> int:
    """Say the size, then give back what is typed, until a q; m asks for the mouse, p for pastes."""
    os.write(stdout, b"size %d %d\r\n" % termios.tcgetwinsize(stdout)[::-1])
    while (data := os.read(stdin, 100)) != b"q":
        said = b"<" + data.replace(b"\x1b", b"^").replace(b"\r", b"|") + b">"
        os.write(stdout, {b"m": MOUSE, b"p": PASTES}.get(data, said))
    return 3


async def test_an_app_that_is_left_opens_no_terminal(make_app: Make) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        app.exit()
        await app.dashboard.show_terminal(1, Foreground("exec 1", lambda *_: 0))
        assert app.dashboard.panes.deck is None


async def test_terminals_beside_the_tables(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        board = app.dashboard
        for number in (1, 2):
            block = board.output.begin(f"exec {number}")
            await board.show_terminal(block, Foreground(f"exec {number}", echo))
        await until(pilot, lambda: "size 80" in screen_text(app))
        pane = board.panes.terminals[1]
        await until(pilot, lambda: pane.has_focus)
        assert f"size 80 {pane.size.height}" in pane.text
        await pilot.press("a", "q", "up", "ctrl+c")
        await until(pilot, lambda: len(board.panes.terminals) == 1)
        assert "ended with 3" in session(app)
        assert board.panes.terminals[0].has_focus
        await pilot.press("x", "up")
        await until(pilot, lambda: "<x" in board.panes.terminals[0].text)
        await until(pilot, lambda: "^[A" in board.panes.terminals[0].text)
        await pilot.press("ctrl+right_square_bracket", "j")
        assert board.table.has_focus
        assert "web-1" in screen_text(app)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "terminal: exec 1" in screen_text(app)
        await pilot.press("n", "ctrl+right_square_bracket")
        await until(pilot, lambda: board.panes.terminals[0].has_focus)
        await pilot.press("q")
        await until(pilot, lambda: not board.panes.terminals)
        assert board.table.has_focus
        assert not board.panes.deck.display  # type: ignore[union-attr]


@pytest.mark.parametrize("ended", [0, 2])
async def test_a_terminal_that_ends_leaves_the_others_as_they_are_seen(
    make_app: Make, ended: int
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        for number in (1, 2, 3):
            await board.show_terminal(number, Foreground(f"exec {number}", echo))
            await until(pilot, lambda: "size" in board.panes.terminals[-1].text)
        panes = [*board.panes.terminals]
        board.panes.deck.choose(2 if ended == 0 else 3)  # type: ignore[union-attr]
        board.go("containers")
        panes[ended].send(b"q")
        await until(pilot, lambda: len(board.panes.terminals) == 2)
        assert board.table.has_focus
        shown = board.panes.terminal
        assert shown is panes[1]
        assert shown.display
        await pilot.press("backslash", "ctrl+right_square_bracket")
        assert shown.has_focus
        assert shown.display
        await pilot.press("ctrl+right_square_bracket", "plus", "ctrl+right_square_bracket")
        await until(pilot, lambda: shown.size.height > 15)
        assert shown in app.screen.focus_chain


async def test_what_is_pasted_is_told_from_what_is_typed_where_that_is_asked_for(
    make_app: Make,
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        await board.show_terminal(board.output.begin("exec 1"), Foreground("exec 1", echo))
        pane = board.panes.terminals[0]
        await until(pilot, lambda: "size" in pane.text)
        pane.post_message(Paste("rm\nrf"))
        await until(pilot, lambda: "<rm|rf>" in pane.text)
        await pilot.press("p")
        await until(pilot, lambda: "marked" in pane.text)
        pane.post_message(Paste("rm\nrf"))
        await until(pilot, lambda: "<^[200~rm|rf^[201~>" in pane.text)


async def test_the_mouse_marks_what_is_copied_or_is_the_programs(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        board = app.dashboard
        for number in (1, 2):
            block = board.output.begin(f"exec {number}")
            await board.show_terminal(block, Foreground(f"exec {number}", echo))
        pane = board.panes.terminals[1]
        await until(pilot, lambda: "size 80" in pane.text)
        await pilot.press("h", "i")
        await until(pilot, lambda: "<h><i>" in pane.text)
        await pilot.mouse_down(pane, offset=(5, 0))
        await pilot.hover(pane, offset=(2, 1))
        await pilot.mouse_up(pane, offset=(2, 1))
        await until(pilot, lambda: app.clipboard == f"80 {pane.size.height}\n<h>")
        await until(pilot, lambda: "copied 2 lines" in screen_text(app))

        await pilot.press("shift+pageup")
        await until(pilot, lambda: "y copies this" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard.startswith("size 80"))
        await until(pilot, lambda: "y copies this" not in screen_text(app))

        await pilot.press("m")
        await until(pilot, lambda: "told" in pane.text)
        await pilot.mouse_down(pane, offset=(4, 0))
        await pilot.hover(pane, offset=(5, 0))
        await pilot.mouse_up(pane, offset=(5, 0))
        await until(pilot, lambda: "^[<0;5;1M" in pane.text)
        await until(pilot, lambda: "^[<32;6;1M" in pane.text)
        await until(pilot, lambda: "^[<0;6;1m" in pane.text)

        await pilot.click("#terminals", offset=(3, 0))
        await until(pilot, lambda: board.panes.terminals[0].has_focus)


async def test_a_terminal_that_cannot_be_had_says_why(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("pane exec -it nosuch sh")
        await until(pilot, lambda: "no container 'nosuch'" in session(app))
        app.submit("pane version")
        await until(pilot, lambda: "limpet 0" in session(app))


async def begin_and_end_a_terminal(app: LimpetApp, pilot: Pilot[int]) -> None:
    board = app.dashboard
    board.take(facts())
    await board.show_terminal(board.output.begin("exec 1"), Foreground("exec 1", echo))
    pane = board.panes.terminals[0]
    await until(pilot, lambda: "size" in pane.text)
    await pilot.press("q")
    await until(pilot, lambda: not board.panes.terminals)


async def test_what_was_typed_for_a_terminal_that_has_ended_changes_nothing(
    make_app: Make, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_on, "PAUSE_S", 3600)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        await begin_and_end_a_terminal(app, pilot)
        await pilot.press(*"exsm", "j")
        assert not lines
        assert "was that for the terminal?" not in screen_text(app), "the last key changes nothing"
        assert board.table.selected.name == "web-2"  # type: ignore[union-attr]
        await pilot.press("x")
        assert not lines
        assert "was that for the terminal?" in screen_text(app)
        board.typed_on.end()  # as after a pause
        await pilot.press("x")
        await until(pilot, lambda: lines == ["kill web-2"])


async def test_the_first_key_behind_a_terminal_changes_nothing_however_late(
    make_app: Make, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_on, "PAUSE_S", 0)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await begin_and_end_a_terminal(app, pilot)
        await pilot.press("x")
        assert not lines
        assert "was that for the terminal?" in screen_text(app)
        await pilot.press("x")
        await until(pilot, lambda: lines == ["kill web-1"])


async def test_what_is_typed_for_a_terminal_that_is_not_there_yet_changes_nothing(
    make_app: Make, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_on, "PAUSE_S", 3600)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press(*"esx")
        await pilot.pause()
        assert lines == ["exec -it web-1 sh"]
        await pilot.press("m")
        assert app.screen is app.dashboard
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await pilot.press("q")
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.press("x")
        await until(pilot, lambda: lines[1:] == ["kill web-1"])


async def test_what_a_program_does_not_read_holds_nobody_up_and_waits_for_it(
    make_app: Make,
) -> None:
    app = make_app()
    reads, read = threading.Event(), bytearray()

    def busy(stdin: int, *_: int) -> int:
        reads.wait()
        while len(read) < 400_000:
            read.extend(os.read(stdin, 65536))
        return 0

    async with app.run_test(size=(80, 24)) as pilot:
        board = app.dashboard
        await board.show_terminal(board.output.begin("busy"), Foreground("busy", busy))
        pane = board.panes.terminals[0]
        try:
            pane.post_message(Paste("0123456789" * 40_000))
            await pilot.press("ctrl+right_square_bracket")
            await until(pilot, lambda: board.table.has_focus)
        finally:
            reads.set()
        await until(pilot, lambda: not board.panes.terminals)
        assert read == b"0123456789" * 40_000
