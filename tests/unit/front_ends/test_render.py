"""What answers look like on a terminal: nothing in them gives it orders."""

from __future__ import annotations

import os
import pty

import pytest

from cli.build_progress import _Plain
from cli.render import harmless, render, report
from core.build.board import CACHED, Board
from core.commands.result import Text
from core.errors import NotFound

HOSTILE = "a\x1b]0;title\x07\tb\nc\x9b31m"


def test_control_characters_are_shown_but_for_tabs_and_line_ends() -> None:
    assert harmless(HOSTILE) == "a\\x1b]0;title\\x07\tb\nc\\x9b31m"


def test_an_error_may_quote_anything(capsys: pytest.CaptureFixture[str]) -> None:
    report(NotFound("no \x1b[2J", hint="say \x1b[31m"))
    assert capsys.readouterr().err == "limpet: no \\x1b[2J\n  say \\x1b[31m\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_pipe_gets_every_byte_and_a_terminal_no_orders(terminal: bool) -> None:
    reader, writer = pty.openpty() if terminal else os.pipe()
    kept = os.dup(1)
    os.dup2(writer, 1)
    try:
        render(Text(HOSTILE))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    got = os.read(reader, 1000)
    os.close(reader)
    os.close(writer)
    assert (b"\x1b" in got) is not terminal


def test_a_dockerfile_gives_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    step = board.add(0, "[1/1]", "RUN true \x1b]0;title\x07", 1)
    board.start(step, "because \x1b[2J")
    board.end(step, CACHED)
    again = board.add(0, "[2/2]", "COPY \x1b[31m", 2)
    board.end(again, CACHED)
    _Plain(board).update()
    shown = capsys.readouterr().err
    assert "#1 [1/1] RUN true" in shown
    assert "\x1b" not in shown
