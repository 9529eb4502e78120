"""The app as a person uses it: keys, command lines, answers, at two sizes."""

from __future__ import annotations

import time
from pathlib import Path
from queue import Queue

import pytest
from textual.events import Key

from core.commands.result import Foreground, Lines, Plan, Result, Running, Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import Conflict
from core.jobs import Job
from core.paths import Paths
from tests.tui.conftest import facts
from tui.app import LimpetApp
from tui.bridge import Answered, Snapshot
from tui.screens.confirm import ConfirmScreen
from tui.theme import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

SIZES = [(80, 24), (160, 50)]


def session(app: LimpetApp) -> str:
    return "\n".join(plain(line) for line in app.dashboard.output._blocks.lines)


def screen_text(app: LimpetApp) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip)
        for strip in app.screen._compositor.render_strips()
    )


async def until(pilot: Pilot[int], true: Callable[[], object]) -> None:
    """Let the app work until something is so; the threads it starts answer by messages."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError(screen_text(pilot.app))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
async def test_the_layout_suits_the_size(
    make_app: Callable[..., LimpetApp], size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        shown = [table.id for table in app.dashboard.tables.values() if table.region.height]
        wide = size[0] > 100
        assert shown == (["containers", "images", "registries"] if wide else ["containers"])
        text = screen_text(app)
        assert "web-1" in text
        assert "CPU" in text
        assert ("starter:latest" in text) is wide
        assert app.dashboard.output.region.height >= 4
        await pilot.press("2")
        await pilot.pause()
        assert "starter:latest" in screen_text(app)


@pytest.mark.parametrize("size", [(60, 18), (60, 12), (100, 30), (119, 40), (120, 34), (200, 60)])
async def test_any_size_has_a_table_a_bar_and_hints(
    make_app: Callable[..., LimpetApp], size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        rows = screen_text(app).split("\n")
        assert len(rows) == size[1]
        assert {len(row) for row in rows if row.isascii()} <= {size[0]}
        assert "? help" in rows[-1]
        assert any("web-1" in row for row in rows)


async def test_a_newcomer_is_offered_the_first_step(
    make_app: Callable[..., LimpetApp], lines: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        assert "S  " not in screen_text(app)  # nothing is claimed before it was read
        app.dashboard.take(Snapshot(read=True))
        await pilot.pause()
        assert "enter makes an image" in screen_text(app)
        await pilot.press("S")
        await pilot.press("enter")
        await pilot.pause()
        assert lines == ["image starter && run -d -it --name first starter"] * 2


async def test_a_key_for_what_the_first_picture_shows_is_not_lost(
    make_app: Callable[..., LimpetApp], lines: list[str]
) -> None:
    app = make_app()
    app.bridge.latest = Snapshot(facts().containers)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "web-1" in screen_text(app)
        await pilot.press("j", "s")
        await pilot.pause()
        assert lines == ["stop web-2"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["j", "e"], "exec -it web-2 sh"),
        (["a"], "attach web-1"),
        (["s"], "stop web-1"),
        (["j", "j", "j", "s"], "start db"),
        (["space", "space", "d"], "rm web-1 web-2"),
        (["x"], "kill web-1"),
        (["i"], "inspect web-1"),
        (["2", "H"], "history nginx:1.27"),
        (["2", "j", "d"], "rmi redis:7"),
        (["3", "enter"], "go registries docker.io"),
        (["G", "r"], "restart 日本語"),
    ],
)
async def test_a_key_runs_a_command_line(
    make_app: Callable[..., LimpetApp], lines: list[str], keys: list[str], expected: str
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press(*keys)
        await pilot.pause()
        assert lines == [expected]


async def test_some_keys_begin_a_line_in_the_bar(
    make_app: Callable[..., LimpetApp], lines: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("2", "R")
        await pilot.pause()
        assert app.dashboard.bar.line.value == "run -it --rm nginx:1.27 "
        await pilot.press(*"sh", "enter")
        await pilot.pause()
        assert lines == ["run -it --rm nginx:1.27 sh"]


@pytest.mark.parametrize(
    ("first", "line"), [("colon", "ps -a"), ("p", "pull alpine"), ("slash", "web")]
)
async def test_what_is_typed_in_one_go_reaches_the_bar(
    first: str, line: str, make_app: Callable[..., LimpetApp]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        # As a slow line delivers them: all keys in the queue before the first is looked at.
        letters = line.removeprefix("pull ")
        for key, character in [(first, None), *((_key(c), c) for c in letters)]:
            app.post_message(Key(key, character))
        await until(pilot, lambda: app.dashboard.bar.line.value == line)


def _key(character: str) -> str:
    return {" ": "space", "-": "minus"}.get(character, character)


async def test_a_person_can_change_the_keys(paths: Paths, lines: list[str]) -> None:
    keys = {"l": "logs --tail 5 {name}", "containers.x": "", "images.x": "image inspect {name}"}
    app = LimpetApp(Engine(paths, Config({}, {"keys": keys})))
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("x", "l", "2", "x")
        await pilot.pause()
        assert lines == ["logs --tail 5 web-1", "image inspect nginx:1.27"]


async def test_the_filter_acts_while_it_is_typed_and_escape_clears_it(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        table = app.dashboard.table
        await pilot.press("slash", *"web")
        await pilot.pause()
        assert [row.name for row in table.rows] == ["web-1", "web-2"]
        await pilot.press("enter")
        await pilot.pause()
        assert table.has_focus
        assert table.wanted == "web"
        await pilot.press("escape")
        assert len(table.rows) == len(facts().containers)


async def test_frozen_tables_hold_still_until_they_are_let_go(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts(4))
        await pilot.press("F")
        app.dashboard.take(facts(2))
        await pilot.pause()
        assert len(app.dashboard.table.rows) == 4
        assert "frozen" in screen_text(app)
        await pilot.press("F")
        assert len(app.dashboard.table.rows) == 2


async def test_a_line_is_answered_in_the_session(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon", *"version", "enter")
        await until(pilot, lambda: "limpet 0." in session(app))
        assert session(app).startswith("› version")


async def test_an_error_stays_with_its_hint(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("stratt web")
        await until(pilot, lambda: "failed" in session(app))
        assert "hint: did you mean st" in session(app)
        app.submit("pull 'x")
        await until(pilot, lambda: "is not closed" in session(app))


async def test_a_read_only_app_refuses_what_changes_things(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app(read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("pull alpine")
        await until(pilot, lambda: "read-only" in session(app))
        app.submit("version")
        await until(pilot, lambda: "limpet 0." in session(app))
        assert not app.bridge.running_jobs()


async def test_aliases_stand_for_their_line(paths: Paths) -> None:
    app = LimpetApp(Engine(paths, Config({}, {"aliases": {"v": "version"}})))
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("v")
        await until(pilot, lambda: "limpet 0." in session(app))


def answered(app: LimpetApp, line: str, result: Result) -> int:
    number = app.dashboard.output.begin(line)
    app.post_message(Answered(number, result, None))
    return number


async def test_a_job_shows_its_progress_and_then_its_answer(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        import threading

        go = threading.Event()

        def work(job: Job) -> str:
            job.progress("layer", 40, 100, "downloading")
            go.wait()
            return "done well"

        job = app.engine.jobs.start("pull x", work)
        answered(app, "pull x", Running(job, Text))
        await until(pilot, lambda: "40B/100B  downloading" in session(app))
        await until(pilot, lambda: "pull x 40%" in screen_text(app))
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        go.set()
        await until(pilot, lambda: "done well" in session(app))
        await until(pilot, lambda: "40%" not in screen_text(app))


async def test_escape_in_the_session_cancels_the_job(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:

        def work(job: Job) -> None:
            while not job.cancelled:
                job.wait(0.01)
            job.check()

        answered(app, "pull x", Running(app.engine.jobs.start("pull x", work), Text))
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: app.dashboard.output.has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: "cancelled" in session(app))


@pytest.mark.parametrize(("key", "expected"), [("y", ["did it"]), ("n", []), ("escape", [])])
async def test_a_plan_is_done_only_after_yes(
    make_app: Callable[..., LimpetApp], key: str, expected: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        done: list[str] = []

        def apply() -> Result:
            done.append("did it")
            return Text("gone")

        answered(app, "rm web", Plan("remove 1 container", ("container web",), apply))
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "container web" in screen_text(app)
        await pilot.press(key)
        await until(pilot, lambda: ("gone" if expected else "not done") in session(app))
        assert done == expected


async def test_a_bug_is_called_one_and_written_down(
    make_app: Callable[..., LimpetApp], tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        number = app.dashboard.output.begin("ps")
        app.post_message(Answered(number, None, KeyError("what")))
        await until(pilot, lambda: "this is a bug: KeyError" in session(app))
        assert (tmp_path / "state/limpet/crash.log").read_text().count("KeyError")
        number = app.dashboard.output.begin("rm a")
        app.post_message(Answered(number, None, Conflict("a runs", hint="stop a")))
        await until(pilot, lambda: "hint: stop a" in session(app))


async def test_tall_answers_show_their_head_and_wide_ones_scroll(
    make_app: Callable[..., LimpetApp],
) -> None:
    from core.commands.result import Column

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = tuple({"A": "x" * 100 + str(number)} for number in range(50))
        answered(app, "many", Table((Column("A", "TITLE"),), rows))
        await until(pilot, lambda: "TITLE" in screen_text(app))
        await pilot.press("tab", "tab", "tab", "end", "right", "right", "right", "right", "right")
        await pilot.pause()
        assert "x49" in screen_text(app)


async def test_completion_history_and_ghost(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.dashboard.bar
        await until(pilot, lambda: bar.past.history is not None)
        await pilot.press("colon", *"versi")
        await until(pilot, lambda: app.dashboard.popup.display)
        await pilot.press("tab")
        assert bar.line.value == "version "
        await pilot.press("enter")
        await until(pilot, lambda: "limpet 0." in session(app))
        await pilot.press(*"ve")
        await until(pilot, lambda: bar.line._suggestion == "version")
        await pilot.press("right")
        assert bar.line.value == "version"
        await pilot.press("ctrl+u", *"x", "up")
        assert bar.line.value == "version"
        await pilot.press("down")
        assert bar.line.value == "x"


async def test_the_list_of_completions_stays_in_place_while_a_word_is_typed(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        bar, popup = app.dashboard.bar, app.dashboard.popup
        await until(pilot, lambda: bar._completer)

        async def shown(letters: str) -> tuple[int, int]:
            await pilot.press(*letters)
            await until(pilot, lambda: bar._offered == bar.line.value)
            await until(pilot, lambda: popup.display and not popup._rest)
            await pilot.pause()
            return popup.region.x, popup.region.width

        await pilot.press("colon")
        first = await shown("r")
        height = popup.region.height
        assert await shown("un") == first
        assert popup.region.height < height
        place, width = await shown(" --r")
        assert place > first[0]
        assert await shown("m") == (place, width)
        await pilot.press("ctrl+u")
        assert (await shown("i"))[1] != first[1]


async def test_a_word_that_can_no_longer_become_something_is_shown_as_wrong(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        bar, popup = app.dashboard.bar, app.dashboard.popup
        await until(pilot, lambda: bar._completer)

        def colour() -> object:
            x, y = bar.line.region.offset
            return app.screen._compositor.render_strips()[y].crop(x + 4, x + 8)._segments[0].style

        await pilot.press("colon", *"run --re")
        await until(pilot, lambda: popup.display)
        unfinished = colour()
        await pilot.press("down", "escape")
        assert not bar.offers
        await until(pilot, lambda: colour() != unfinished)


async def test_the_terminal_is_given_away_and_taken_back(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        order: list[object] = []

        @contextmanager
        def suspend() -> Iterator[None]:
            order.append("suspend")
            yield
            order.append("resume")

        monkeypatch.setattr(app, "suspend", suspend)
        monkeypatch.setattr("tui.session.session.tell", order.append)
        answered(app, "exec -it a sh", Foreground("exec a", lambda *fds: order.append(fds) or -1))  # type: ignore[func-returns-value]
        await until(pilot, lambda: "left running" in session(app))
        opening = "limpet: exec a  (ctrl-p,ctrl-q leaves it running)\n"
        assert order == ["suspend", opening, (0, 1, 2), "\n", "resume"]


async def test_lines_are_followed_until_escape(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        lines: Queue[tuple[int, bytes]] = Queue()

        def source() -> Iterator[tuple[int, bytes]]:
            while True:
                yield lines.get()

        answered(app, "logs -f a", Lines(source()))
        lines.put((1, b"hello\n"))
        await until(pilot, lambda: "hello" in screen_text(app))
        for number in range(1200):
            lines.put((2, b"line %d \x1b[31m\n" % number))
        await until(pilot, lambda: "line 1199 \\x1b[31m" in screen_text(app))
        assert "701 earlier lines left out" in session(app)
        await pilot.press("escape")
        await until(pilot, lambda: not app.dashboard.output.busy)
        await pilot.press("escape")
        await until(pilot, lambda: app.dashboard.table.has_focus)


@pytest.mark.parametrize("keys", [["enter"], ["2", "i"], ["2", "enter"]])
async def test_details_have_a_screen_of_their_own(
    make_app: Callable[..., LimpetApp], keys: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press(*keys)
        await until(
            pilot, lambda: "there is no" in screen_text(app) or "no such" in screen_text(app)
        )
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_double_click_opens_a_row(make_app: Callable[..., LimpetApp]) -> None:
    from tui.screens.detail.screen import DetailScreen

    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        await pilot.click(app.dashboard.table, offset=(6, 3), times=2)
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)


async def test_a_container_s_log_has_a_screen_of_its_own(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("l")
        await until(pilot, lambda: "there is no container" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_help_names_keys_and_commands(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: "exec -it {name} sh" in screen_text(app))
        await pilot.press("slash", *"pull", "enter")
        await until(pilot, lambda: "Fetch an image from its registry" in screen_text(app))
        assert "exec -it" not in screen_text(app)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_marked_rows_are_acted_on_from_the_head_of_a_group(
    make_app: Callable[..., LimpetApp], lines: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        table = app.dashboard.table
        table.set_group("label tier")
        await pilot.press("g", "x", "e")
        assert table.on_head
        assert not lines, "nothing is marked"
        await pilot.press("space", "j", "g", "x", "e")
        await until(pilot, lambda: lines == ["kill api db cache queue migrate 日本語"])
        await pilot.press("m")
        await until(pilot, lambda: "6 marked" in screen_text(app))


async def test_a_filter_goes_to_what_it_finds_in_groups(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        table = app.dashboard.table
        table.set_group("label tier")
        await pilot.press("slash", *"api", "enter")
        assert table.selected is not None
        assert table.selected.name == "api"
        await pilot.press("escape", "g")
        assert table.on_head, "a person goes there"
