"""The session and the bar: host programs, answers one by one, the history."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from prompt_toolkit.history import InMemoryHistory
from textual.events import Key, Paste

from core.commands.lines import split_pipe
from core.commands.result import Foreground, Lines, Plan, Text
from core.errors import RunError, UsageError
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, session, until
from tui.app import LimpetApp
from tui.bar.past_lines import PastLines
from tui.screens.logs import LogsScreen
from tui.session.host_programs import OnHost, Program, host, piped, wants_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from tui.bar.script import Script


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ps -a", ("ps -a", None)),
        ("ps|wc -l", ("ps", "wc -l")),
        ("logs a | grep x | wc", ("logs a ", "grep x | wc")),
        ("run a sh -c 'b | c'", ("run a sh -c 'b | c'", None)),
        ('run a "b|c" | wc', ('run a "b|c" ', "wc")),
        (r"run a b\|c", (r"run a b\|c", None)),
        ("ps |", ("ps ", "")),
    ],
)
def test_a_pipe_outside_quotes_ends_the_command(
    line: str, expected: tuple[str, str | None]
) -> None:
    assert split_pipe(line) == expected


def test_a_host_program_reads_an_answer() -> None:
    answer = piped(Text("one\ntwo\nthree"), "grep -n t | cat")
    assert isinstance(answer, Lines)
    assert list(answer.source) == [(1, b"2:two\n"), (1, b"3:three\n")]


def test_a_program_that_stops_reading_ends_what_feeds_it() -> None:
    def forever() -> object:
        while True:
            yield 1, b"line\n"

    answer = piped(Lines(forever()), "head -2")  # type: ignore[arg-type]
    assert isinstance(answer, Lines)
    assert len(list(answer.source)) == 2


def test_a_program_that_is_stopped_leaves_nothing_behind() -> None:
    program = Program("echo $$; sleep 1000 & wait", None)
    pid = int(next(program)[1])
    program.stop()
    assert next(program) == (2, b"ended with 143\n")
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}")


def test_a_program_on_the_terminal_tells_why_it_got_nothing() -> None:
    def fail(*_: int) -> int:
        raise RunError("there is no such program", exit_code=127)

    shown = piped(Foreground("run", fail), "less")
    assert isinstance(shown, OnHost)
    with open(os.devnull, "r+b") as null, pytest.raises(RunError, match="no such program"):
        shown.relay(null.fileno(), null.fileno(), null.fileno())


def test_a_program_on_the_terminal_that_a_signal_ended_was_not_left_running(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("kill -9 $$")
    shown = host(f"sh {script}")
    assert isinstance(shown, OnHost)
    with open(os.devnull, "r+b") as null:
        assert shown.relay(null.fileno(), null.fileno(), null.fileno()) == 128 + 9


def test_questions_cannot_be_piped_and_pagers_get_the_terminal() -> None:
    with pytest.raises(UsageError, match="confirmed"):
        piped(Plan("remove", (), lambda: Text("")), "wc")
    with pytest.raises(UsageError, match="missing"):
        piped(Text(""), "")
    assert isinstance(piped(Text("a"), "sort | less -S"), OnHost)
    assert isinstance(host(""), OnHost)
    assert wants_terminal("vim x")
    assert not wants_terminal("less x | wc")
    assert not wants_terminal("python3 -c 'print(1)'")


async def test_the_history_prefers_what_holds_the_words() -> None:
    past = PastLines()
    await past.take(InMemoryHistory(["run alpine", "rm web", "run alpine", "images"]))
    assert past.like("") == ["images", "run alpine", "rm web"]
    assert past.like("RUN") == ["run alpine"]
    assert past.like("rw") == ["rm web"]


async def test_a_pipe_and_a_host_command_answer_in_the_session(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("version | tr a-z A-Z")
        await until(pilot, lambda: "LIMPET 0." in session(app))
        app.submit("!echo $((6 * 7)) from here")
        await until(pilot, lambda: "42 from here" in session(app))
        app.submit("!exit 7")
        await until(pilot, lambda: "ended with 7" in session(app))


async def test_a_read_only_app_starts_no_host_program(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app(read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        for line in ("!true", "version | cat"):
            app.submit("clear")
            app.submit(line)
            await until(pilot, lambda: "starts no programs of this host" in session(app))


async def test_a_plan_that_does_nothing_is_not_asked_for(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for line in ("volume prune", "trash empty"):
            app.submit("clear")
            app.submit(line)
            await until(pilot, lambda: "Total reclaimed space: 0B" in session(app))
        assert app.screen is app.dashboard


async def _answers(app: LimpetApp, pilot: Pilot[int]) -> None:
    for line, words in (("one", "alpha\nbeta"), ("two", "gamma\nalphabet")):
        number = app.dashboard.output.begin(line)
        app.dashboard.output.finish(number, [[(word, "")] for word in words.split("\n")])
    await pilot.press("tab", "tab", "tab")
    await until(pilot, lambda: app.dashboard.output.has_focus)


async def test_answers_fold_and_are_copied_one_by_one(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await _answers(app, pilot)
        await pilot.press("left_square_bracket", "y")
        await until(pilot, lambda: app.clipboard == "alpha\nbeta")
        assert "copied 2 lines" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert "beta" not in screen_text(app)
        assert "2 lines folded" in screen_text(app)
        await pilot.press("right_square_bracket", "Y")
        await until(pilot, lambda: app.clipboard == "two")
        await pilot.press("e")
        await until(pilot, lambda: app.dashboard.bar.line.value == "two")


async def test_the_session_is_searched(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await _answers(app, pilot)
        output = app.dashboard.output
        await pilot.press("slash", *"alph", "enter")
        await until(pilot, lambda: output.has_focus)
        assert output._blocks.lines[output._hit][1][0] == "alphabet"
        await pilot.press("n")
        assert output._blocks.lines[output._hit][1][0] == "alpha"
        assert "/alph" in screen_text(app)
        await pilot.press("escape")
        assert not output.searched


async def test_ctrl_r_finds_a_line_of_the_past(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        await until(pilot, lambda: bar.past.history is not None)
        for line in ("run alpine sh", "images", "logs web"):
            bar.past.remember(line)
        await pilot.press("colon", *"dra", "ctrl+r", "ctrl+u", *"alp")
        await until(pilot, lambda: "run alpine sh" in screen_text(app))
        await until(pilot, lambda: "images" not in screen_text(app).split("›")[-1])
        await pilot.press("enter")
        assert bar.line.value == "run alpine sh"
        assert not bar.searching
        await pilot.press("ctrl+r", "ctrl+u", *"zzz", "escape")
        assert bar.line.value == "run alpine sh"
        bar.past.remember("version\nps -a")
        await pilot.press("ctrl+r", "ctrl+u", *"vers")
        await until(pilot, lambda: "version; ps -a" in screen_text(app))


async def test_tables_are_filtered_by_state_copied_and_zoomed(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        app.dashboard.take(facts())
        table = app.dashboard.table
        await pilot.press("f", "f")
        assert {row.state for row in table.rows} == {"exited"}
        await pilot.press("asterisk", "y")
        await until(pilot, lambda: app.clipboard == "db\n日本語")
        await pilot.press("escape", "escape", "plus")
        await pilot.pause()
        assert not app.dashboard.output.display
        assert table.size.height > 40
        await pilot.press("2")
        await pilot.pause()
        assert app.dashboard.table.size.height > 40
        await pilot.press("plus")
        await pilot.pause()
        assert all(table.display for table in app.dashboard.tables.values())


async def test_ctrl_c_on_an_empty_line_ends_the_program(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        app.submit("!echo begun; sleep 1000")
        await until(pilot, lambda: "\n  begun" in session(app))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.dashboard.output.busy)
        assert app.dashboard.bar.line.has_focus


async def test_a_key_behind_the_number_of_a_table_is_for_that_table(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(LimpetApp, "submit", lambda _, line, then="": lines.append(line))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        for name in ("2", "H"):  # as a slow line delivers them
            app.post_message(Key(name, name))
        await until(pilot, lambda: lines == ["history nginx:1.27"])


async def test_a_line_of_several_stops_at_the_first_failure(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    app.engine.config.aliases["both"] = "version && nosuch"
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("both && images ; config && go images")
        await until(pilot, lambda: app.dashboard.place == "images")
        shown = session(app)
        assert "no command" in shown
        assert "config" in shown
        assert "› images" not in shown
        app.dashboard.bar.open("version && both")
        await until(pilot, lambda: "= version && nosuch" in screen_text(app))


@pytest.mark.parametrize("line", ["go it's", "containers 'x"])
async def test_a_quote_that_is_not_closed_ends_the_line_only(
    make_app: Callable[..., LimpetApp], line: str
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit(line)
        await until(pilot, lambda: "is not closed" in session(app))
        app.submit("version")
        await until(pilot, lambda: "limpet 0." in session(app))


async def test_the_bar_grows_into_several_lines(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        bar = app.dashboard.bar
        await until(pilot, lambda: bar.past.history is not None)
        await pilot.press(
            "colon", *"ver", "tab", "ctrl+j", *"nosuch", "enter", "number_sign", "enter"
        )
        await until(pilot, lambda: bar.script is not None and bar.script.document.line_count == 4)
        assert bar.region.height == 4
        assert "ctrl-j or f5 runs" in screen_text(app)
        await pilot.press(*"doct", "tab")
        await until(pilot, lambda: "doctor " in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: bar.script is None)
        assert bar.region.height == 1
        assert not app.dashboard.bar.has_keys
        await pilot.press("colon", "ctrl+j")
        await until(pilot, lambda: bar.script is not None)
        assert bar.script is not None
        assert bar.script.text == "version \nnosuch\n#\ndoctor "
        assert bar.offers
        await pilot.press("f5")
        await until(pilot, lambda: "no command" in session(app))
        assert not app.dashboard.popup.display
        assert "limpet 0" in session(app)
        assert "doctor" not in session(app)
        await pilot.press("up")
        await until(pilot, lambda: bar.script is not None)


async def test_several_lines_that_are_left_while_they_open(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        opening = asyncio.ensure_future(bar.grow("version\nimages"))
        await asyncio.sleep(0)
        assert bar.script is not None
        bar.open()
        await opening
        await until(pilot, lambda: bar.line.has_focus)
        assert bar.script is None


async def test_several_lines_are_opened_anew_before_the_last_have_gone(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        await bar.grow("version\nimages")
        bar.open()
        await bar.grow("images\nversion")
        await until(pilot, lambda: bar.has_keys)
        assert bar.script is not None
        assert bar.script.text == "images\nversion"


async def test_pasted_lines_are_not_lost(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        app.post_message(Paste("version\nversion | tr l L\n"))
        await until(pilot, lambda: app.dashboard.bar.script is not None)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: "Limpet 0" in session(app))


async def test_a_line_is_right_or_wrong_whatever_the_next_one_may_become(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        await until(pilot, lambda: bar._completer)
        await bar.grow("nonesuch\nvers")
        await pilot.press("i")
        await until(pilot, lambda: bar.offers)
        script = bar.script
        assert script is not None
        wrong = script._tones["bad"].color
        await until(pilot, lambda: wrong in _colours(script, 0))
        assert wrong not in _colours(script, 1)
        await pilot.press("x")
        await until(pilot, lambda: wrong in _colours(script, 1))


def _colours(script: Script, line: int) -> list[object]:
    """Return the colours of a line as it is painted."""
    return [part.style and part.style.color for part in script.render_line(line)]


async def test_what_cannot_be_seen_is_not_pasted(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        await pilot.press("colon")
        app.post_message(Paste("ps\t\x1b[31m\x00-a\x07"))
        await until(pilot, lambda: bar.line.value == "ps [31m-a")
        await pilot.press("ctrl+u")
        app.post_message(Paste("ps\r\n\x1bimages\x00\r\n"))
        await until(pilot, lambda: bar.script is not None and bar.script.text == "ps\nimages")
        app.post_message(Paste("\x9b\t1"))
        await until(pilot, lambda: bar.script is not None and bar.script.text == "ps\nimages 1")


async def test_a_letter_typed_behind_enter_is_not_of_that_line(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        await until(pilot, lambda: app.dashboard.bar.line.has_focus)
        for _ in range(5):
            for letter in "version":
                app.post_message(Key(letter, letter))
            app.post_message(Key("enter", "\r"))
            app.post_message(Key("y", "y"))
            await until(pilot, lambda: app.dashboard.bar.line.value == "y")
            app.dashboard.bar.line.value = ""
        await until(pilot, lambda: session(app).count("limpet 0.1.0") == 5)
        assert "no command" not in session(app)


async def test_the_key_that_opens_the_bar_takes_nothing_from_an_open_one(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        await until(pilot, lambda: app.dashboard.bar.line.has_focus)
        for letter in ":version":
            app.post_message(Key("colon" if letter == ":" else letter, letter))
        await until(pilot, lambda: app.dashboard.bar.line.value == "version")


def test_a_line_that_does_not_end_is_told_in_pieces() -> None:
    pieces = [piece for _, piece in Program("head -c 100000 /dev/zero; echo; echo two", None)]
    assert max(map(len, pieces)) < 10_000
    assert b"".join(pieces) == b"\0" * 100_000 + b"\ntwo\n"


async def test_what_goes_on_leaves_the_session_where_it_is_read(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        output = app.dashboard.output
        app.submit("!seq 50; while sleep 0.05; do date; done")
        await until(pilot, lambda: "49" in session(app) and output.scroll_y > 40)
        await pilot.press("colon", "pageup", "pageup")
        at, lines = output.scroll_y, len(output._blocks.lines)
        await until(pilot, lambda: len(output._blocks.lines) > lines + 5)
        assert output.scroll_y == at
        output.action_bottom()
        await until(pilot, lambda: output.scroll_y > lines)
        assert output.cancel()


async def test_enter_twice_on_a_line_of_the_past_runs_it(
    make_app: Callable[..., LimpetApp], lines: list[str]
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        past = app.dashboard.bar.past
        await until(pilot, lambda: past.history is not None)
        past.remember("version")
        await pilot.press("colon", "ctrl+r", "down")
        for _ in range(2):
            app.post_message(Key("enter", "\r"))
        await until(pilot, lambda: lines == ["version"])


async def test_a_disk_without_room_for_the_editors_file(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("colon", *"ps", "f4")
        await until(pilot, lambda: "cannot be given to an editor: No such" in session(app))


async def test_a_browser_has_no_terminal_for_an_editor(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimpetApp, "is_web", True)
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("colon", *"ps", "f4")
        await until(pilot, lambda: "a browser has no terminal" in screen_text(app))


async def test_threads_that_wait_for_what_does_not_answer_hold_nobody_up(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    answered = threading.Event()
    async with app.run_test() as pilot:
        for _ in range(40):
            app.run_worker(answered.wait, thread=True)
        try:
            await pilot.press("colon", *"versi")
            await until(pilot, lambda: app.dashboard.bar.offers)
        finally:
            answered.set()


@pytest.mark.parametrize("line", ["go logs -f web-1", "go events --since 1h"])
async def test_what_is_told_line_by_line_is_followed_on_its_screen(
    make_app: Callable[..., LimpetApp], line: str
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.submit(line)
        await until(pilot, lambda: isinstance(app.screen, LogsScreen))


async def test_a_command_is_asked_for_its_help(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        app.submit("ps extra")
        await until(pilot, lambda: "ps --help tells more" in session(app))
        app.submit("ps --help")
        await until(pilot, lambda: "usage: limpet ps [OPTIONS]" in session(app))
        app.submit("help ps")
        await until(pilot, lambda: session(app).count("usage: limpet ps [OPTIONS]") == 2)
