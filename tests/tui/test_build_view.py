"""The screen of a build: stages, states, why the cache missed, output, and its keys."""

from __future__ import annotations

import threading

from core.build import board as states
from core.build.board import Board, StageBoard
from core.commands.result import Building, Text
from core.errors import BuildError
from core.jobs import Job
from tests.tui.test_app import screen_text, session, until
from tui.bridge import Answered
from tui.screens.build import BuildScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.app import LimpetApp


class Build:
    """A build whose steps a test drives."""

    def __init__(self, app: LimpetApp) -> None:
        self.board = Board()
        self.go_on = threading.Event()
        self.error: Exception | None = None
        self.board.stages += [StageBoard(0, "base", ()), StageBoard(1, "app", (0,))]
        self.base = self.board.add(0, "[base 1/2]", "FROM starter", 1)
        self.run = self.board.add(0, "[base 2/2]", "RUN make", 2)
        self.copy = self.board.add(1, "[app 1/1]", "COPY --from=base /x /y", 4)
        self.job = app.engine.jobs.start("build app", self._work)
        self.job.board = self.board

    def _work(self, job: Job) -> None:
        while not self.go_on.wait(0.01):
            job.check()
        if self.error is not None:
            raise self.error


async def test_a_build_is_followed_and_looked_into(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        build = Build(app)
        app.open_job(build.job.id)
        await until(pilot, lambda: isinstance(app.screen, BuildScreen))
        build.board.end(build.base, states.CACHED)
        build.board.start(build.run, "the command changed")
        build.board.say(build.run, "compiling \x1b[31mred")
        await until(pilot, lambda: "compiling" in screen_text(app))
        text = screen_text(app)
        assert "app  after base" in text
        assert "cached FROM starter" in text
        assert "RUN make  the command changed" in text
        assert "waiting COPY --from=base /x /y" in text
        assert "1 of 3 steps, 1 cached" in text
        assert "\x1b" not in text
        await pilot.press("k")
        await until(pilot, lambda: "[base 1/2] FROM starter" in screen_text(app))
        build.board.say(build.run, "more output")
        await pilot.pause(0.3)
        assert "more output" not in screen_text(app)
        await pilot.press("f")
        await until(pilot, lambda: "more output" in screen_text(app))
        await pilot.click("#steps", offset=(5, 1))
        await pilot.pause(0.5)
        assert "[base 1/2] FROM starter" in screen_text(app)
        await pilot.press("f")
        await until(pilot, lambda: "more output" in screen_text(app))
        build.board.end(build.run, states.FAILED, "exit code 2")
        build.error = BuildError("Dockerfile:2:1: RUN make: exit code 2", exit_code=2)
        build.go_on.set()
        await until(pilot, lambda: "Dockerfile:2:1: RUN make: exit code 2" in screen_text(app))
        assert "failed" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_build_is_cancelled(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        build = Build(app)
        app.open_job(build.job.id)
        await until(pilot, lambda: isinstance(app.screen, BuildScreen))
        await pilot.press("c")
        await until(pilot, lambda: build.job.finished)
        await until(pilot, lambda: "cancelled" in screen_text(app))


async def test_why_a_build_came_to_no_step_is_shown(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()

    def work(job: Job) -> None:
        raise BuildError("Dockerfile:7:1: unknown instruction WORKDIRR", hint="7 | WORKDIRR /w")

    async with app.run_test(size=(80, 24)) as pilot:
        job = app.engine.jobs.start("build app", work)
        job.board = Board()
        app.open_job(job.id)
        await until(pilot, lambda: "unknown instruction WORKDIRR" in screen_text(app))
        assert "7 | WORKDIRR /w" in screen_text(app)


async def test_a_watched_build_is_followed_to_the_next(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    changed = threading.Event()
    async with app.run_test(size=(80, 24)) as pilot:
        first, second = Build(app), Build(app)
        second.board.start(second.run, "what it copies changed")

        def again(stopped: Callable[[], bool]) -> Building | None:
            while not changed.wait(0.01):
                if stopped():
                    return None
            changed.clear()
            return Building(second.job, lambda _: Text("built"), again=again)

        number = app.dashboard.output.begin("build --watch .")
        watched = Building(first.job, lambda _: Text("built"), again=again)
        app.post_message(Answered(number, watched, None))
        await until(pilot, lambda: isinstance(app.screen, BuildScreen))
        assert "build 1" in screen_text(app)
        first.go_on.set()
        await until(pilot, lambda: "build 1, waits for a change" in screen_text(app))
        changed.set()
        await until(pilot, lambda: "what it copies changed" in screen_text(app))
        assert "build 2" in screen_text(app)
        second.go_on.set()
        await until(pilot, lambda: "build 2, waits for a change" in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: "no step has failed" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: "build 2" not in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "built" in session(app))
