"""What becomes of a command line: its answer, job, question or terminal, block by block.

The bridge carries lines out in threads; here is what the app does with what they bring.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

from core.commands.result import Building, Document, Foreground, Lines, Plan, Running, Table
from core.errors import Error, UsageError
from core.lean_import import Replaced
from tui.answers import answer, failure
from tui.bar.command_bar import NO_TERMINAL
from tui.session.live import JobLive, Tail
from tui.user_state import record_bug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.commands.lines import Step
    from core.jobs import Job
    from tui.app import LimpetApp
    from tui.bridge import Answered
    from tui.session.build_watch import BuildWatch
    from tui.session.live import Live

LIVE_EVERY_S = 0.2
QUICK_S = 2.0
"""A program that failed within this time has left words that the app would hide."""


class Session:
    """The command lines of one app; each has a block of the output, known by its number."""

    def __init__(self, app: LimpetApp) -> None:
        self._app = app
        self._config = app.engine.config
        self._bridge = app.bridge
        self._dashboard = app.dashboard
        self._output = app.dashboard.output
        self._next: dict[int, Sequence[Step]] = {}
        """What is to be carried out after a block has ended."""
        self._pending: set[int] = set()
        """Blocks whose command line is being carried out."""
        self._in_panes: set[int] = set()
        """Blocks whose terminal is to be a pane."""
        self._shows: dict[int, Running] = {}
        """Jobs by the block that shows them."""
        self._watches: dict[int, BuildWatch] = {}
        """Builds that are done again at every change, by their block."""
        self._held: list[tuple[int, Plan]] = []
        """Questions that wait until nobody types, with their block."""
        self._timer = app.set_interval(LIVE_EVERY_S, self._show_live, pause=True)

    def watch_of(self, job: Job) -> BuildWatch | None:
        """Return what does a build again at every change, if something does."""
        return next((watch for watch in self._watches.values() if watch.job is job), None)

    def submit(self, line: str) -> None:
        """Carry out what a line stands for; the answers appear in the session."""
        from core.commands.lines import steps_of

        line = line.strip().lstrip(":")
        try:
            steps = steps_of(line, self._config.aliases)
        except Error as error:
            self._fail(self._output.begin(line), error)
            return
        self._carry_on(steps)

    def _carry_on(self, steps: Sequence[Step], *, well: bool = True) -> None:
        """Begin the next of several lines; `well`: the one before has not failed."""
        from tui.own_words import carry_out

        for place, step in enumerate(steps):
            if not (well or step.anyway):
                continue
            wrong: Error | None = None
            try:
                if carry_out(self._app, step.line):
                    well = True
                    continue
            except Error as error:
                wrong = error
            number = self._output.begin(step.line)
            self._next[number] = steps[place + 1 :]
            self._dashboard.show_pane()
            if wrong is None:
                self._run(number, step.line)
            else:
                self._fail(number, wrong)
            return

    def _run(self, number: int, line: str) -> None:
        self._pending.add(number)
        self._bridge.run(number, line)
        self._timer.resume()

    def _ended(self, number: int, *, well: bool) -> None:
        self._carry_on(self._next.pop(number, ()), well=well)

    def answered(self, event: Answered) -> None:
        """Show what a line brought, or go on with what it asks for."""
        self._pending.discard(event.number)
        if event.error is not None:
            self._fail(event.number, event.error)
        elif isinstance(event.result, Running):
            self._follow(event.number, event.result)
        elif isinstance(event.result, Foreground):
            self._run_foreground(event.number, event.result)
        elif isinstance(event.result, Plan):
            self._plan(event.number, event.result)
        elif isinstance(event.result, Lines):
            self._output.track(event.number, Tail(event.result.source))
            ends = hasattr(event.result.source, "stop")  # a program mostly ends by itself
            if not (ends or self._dashboard.bar.in_use):
                self._dashboard.set_focus(self._output)
            self._timer.resume()
        elif event.result is not None:
            wraps = not isinstance(event.result, Table | Document)
            self._end(event.number, answer(event.result), wraps=wraps)

    def _follow(self, number: int, running: Running) -> None:
        """Show how far a job is; a build on a screen of its own."""
        self._shows[number] = running
        live: Live = JobLive(running.job)
        if isinstance(running, Building) and running.again is not None:
            from tui.session.build_watch import BuildWatch

            live = self._watches[number] = BuildWatch(running)
        self._output.track(number, live)
        self._timer.resume()
        looks = self._app.screen is self._dashboard and not self._dashboard.bar.in_use
        if running.job.board is not None and looks:
            self._app.open_job(running.job.id)

    def _end(self, number: int, body: Any, *, wraps: bool = True) -> None:
        self._output.finish(number, body, wraps=wraps)
        self._ended(number, well=True)

    def _fail(self, number: int, error: Exception) -> None:
        log = "" if isinstance(error, Error | OSError | Replaced) else record_bug(error)
        self._output.finish(number, failure(error, log), note="failed", tone="bad")
        self._dashboard.show_pane()
        self._ended(number, well=False)

    # Answers that are more than words

    def _show_live(self) -> None:
        for number in self._output.update():
            running = self._shows.pop(number, None)
            if number in self._watches:
                running = self._watches.pop(number).building
            if running is not None:
                self._pending.add(number)
                self._bridge.finish(number, running)
                self._announce(running)
            else:
                self._ended(number, well=True)
        if self._held and not self._keys_are_for():
            self._plan(*self._held.pop(0))
        jobs = self._bridge.running_jobs()
        self._dashboard.take_jobs(jobs)
        if not (jobs or self._pending or self._held or self._output.busy):
            self._timer.pause()

    def _announce(self, running: Running) -> None:
        """Tell of the end of a long job: the person may look elsewhere."""
        least = self._config["tui", "notify_s"]
        view = running.job.snapshot()
        if least and view.seconds >= least:
            self._app.announce(f"{view.title}: {view.state}")

    def run_in_pane(self, line: str) -> None:
        """Carry a line out whose terminal, if it asks for one, is a pane beside the tables."""
        number = self._output.begin(line)
        self._in_panes.add(number)
        self._run(number, line)

    def _run_foreground(self, number: int, foreground: Foreground) -> None:
        from tui.session.host_programs import OnHost

        wanted = number in self._in_panes or self._config["tui", "pane"]
        self._in_panes.discard(number)
        if isinstance(foreground, OnHost) and self._app.is_web:
            hint = "run it in a shell of your own"
            self._fail(number, UsageError(NO_TERMINAL, hint=hint))
        elif (wanted or self._app.is_web) and not isinstance(foreground, OnHost):
            self._app.call_next(self._dashboard.show_terminal, number, foreground)
        else:
            self._give_terminal(number, foreground)

    def _give_terminal(self, number: int, foreground: Foreground) -> None:
        from tui.session.host_programs import OnHost

        error: Exception | None = None
        code = 0
        heard = signal.getsignal(signal.SIGINT)
        with self._app.suspend():
            keys = self._config["container", "detach_keys"]
            leaving = "" if isinstance(foreground, OnHost) else f"  ({keys} leaves it running)"
            tell(f"limpet: {foreground.title}{leaving}\n")
            started = time.monotonic()
            if not isinstance(foreground, OnHost):
                signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                code = foreground.relay(0, 1, 2)
            except KeyboardInterrupt:  # as a command of its own ends
                code = 128 + signal.SIGINT
            except Exception as caught:  # noqa: BLE001 - shown in the session, bugs included
                error = caught
            if code < 0:
                tell("\n")  # what was left stands in the middle of a line
            if error is None and code > 0 and time.monotonic() - started < QUICK_S:
                tell(f"\nlimpet: it ended with {code}; enter goes back ")
                with suppress(KeyboardInterrupt):
                    sys.stdin.readline()
            # One more ctrl-c is for what has ended, until the terminal makes no signal of it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGINT, heard)
        if code < 0:
            self._dashboard.typed_on.end()
        else:
            self._dashboard.typed_on.ended()
        self.foreground_ended(number, code, error)

    def foreground_ended(self, number: int, code: int, error: Exception | None) -> None:
        """Say how what had a terminal ended."""
        if error is not None:
            self._fail(number, error)
            return
        note = "left running" if code < 0 else f"ended with {code}" if code else "ended"
        self._output.finish(number, (), note=note, tone="bad" if code > 0 else "faint")
        self._ended(number, well=code <= 0)

    def _apply(self, number: int, plan: Plan) -> None:
        self._pending.add(number)
        self._bridge.apply(number, plan)

    def _keys_are_for(self) -> str:
        """Return when what has the keys will not have them, nothing where a question may."""
        if self._app.screen is not self._dashboard:
            return "the tables are shown again"
        if self._dashboard.panes.in_terminal:
            return "the keys are back from the terminal below: ctrl-]"
        return "the line below is done or empty" if self._dashboard.bar.in_use else ""

    def _plan(self, number: int, plan: Plan) -> None:
        """Ask before a plan is applied; one that does nothing says so itself."""
        from tui.screens.confirm import ConfirmScreen, word_to_type

        if not plan.lines:
            self._apply(number, plan)
            return
        if others := self._keys_are_for():  # a letter for them would be the answer
            self._output.finish(number, [[(f"asks when {others}", "warn")]])
            self._held.append((number, plan))
            self._timer.resume()
            return

        def decide(yes: bool | None) -> None:
            if yes:
                self._apply(number, plan)
            else:
                self._output.finish(number, (), note="not done")
                self._ended(number, well=False)

        screen = ConfirmScreen(plan.heading(), plan.lines, "go on", word=word_to_type(plan))
        self._app.push_screen(screen, decide)


def tell(words: str) -> None:
    """Say something on the terminal while the app is not on it."""
    os.write(1, words.encode())
