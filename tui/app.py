"""The full-screen app: puts the engine's answers where they belong."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from weakref import WeakKeyDictionary

from textual import on
from textual.binding import Binding
from textual.events import InputEvent

from core import garbage
from core.commands.result import Building, Document, Foreground, Lines, Plan, Running, Table
from core.errors import Error, UsageError
from core.linux.heap import limit_arenas
from tui import key_sequences
from tui.answers import answer, failure
from tui.bridge import Answered, Bridge, Changed, record_bug
from tui.hang_up import on_hang_up
from tui.keymap import Keymap, named
from tui.live import JobLive, Tail
from tui.open_screens import OpensScreens
from tui.remembered import recall, remember
from tui.screens.dashboard import DashboardScreen
from tui.theme import LIMPET, PLAIN, THEMES, glyphs
from tui.turns import Turns
from tui.visits import Visits
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from textual.events import Event
    from textual.filter import LineFilter
    from textual.screen import Screen

    from core.commands.lines import Step
    from core.engine import Engine
    from tui.build_watch import BuildWatch
    from tui.live import Live
    from tui.terminal.pane import TerminalPane

LIVE_EVERY_S = 0.2
AGES_EVERY_S = 20
SETTLED_S = 1.5
"""So long after the first paint everything is loaded."""
SWITCH_S = 0.0005
"""A key waits so long for a thread that reads many containers, several times on its way."""
QUICK_S = 2.0
"""A program that failed within this time has left words that the app would hide."""
FIRST = "first"
"""Name of a newcomer's container."""


class LimpetApp(OpensScreens):
    """Tables, session and command bar on one engine."""

    CSS_PATH = os.path.join(os.path.dirname(__file__), "app.tcss")
    ENABLE_COMMAND_PALETTE = False
    TITLE = "limpet"
    BINDINGS = [
        Binding("alt+left", "travel(-1)", "The screen before"),
        Binding("alt+right", "travel(1)", "The screen after"),
        Binding("question_mark", "help_here", "What can be done here"),
        Binding("alt+m", "bookmark", "Keep a bookmark here, or drop it"),
        Binding("apostrophe", "bookmarks", "Go to a bookmark, or to what was seen last"),
    ]
    _ascii: Sequence[LineFilter] = ()

    def __init__(
        self,
        engine: Engine,
        *,
        read_only: bool = False,
        bridge: type[Bridge] = Bridge,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if engine.config["tui", "ascii"]:
            os.environ["LIMPET_ASCII"] = "1"  # for programs in programs too
        self._ascii = _ascii_filters()
        self.engine = engine
        self.read_only = read_only
        self.bridge = bridge(engine, self.post_message, read_only=read_only)
        self.frame_diff = (
            bool(engine.config["tui", "frame_diff"]) and os.environ.get("LIMPET_FRAME_DIFF") != "0"
        )
        self.animation_level = "none"
        self.chosen_theme = ""
        """Chosen here instead of the one in the settings; empty: none was."""
        self._set_theme(engine.config["tui", "theme"])
        self.dashboard = DashboardScreen(
            engine,
            Keymap(engine.config.keys, engine.config.aliases, read_only=read_only),
            read_only=read_only,
        )
        self._turns = Turns()
        self._news = asyncio.Event()
        """There is something that the tables do not show yet."""
        self._aged = False
        """How old things are has not been shown for a while."""
        self.visits = Visits()
        self.bookmarks: list[str] = []
        """Addresses, oldest first."""
        self._addresses: WeakKeyDictionary[Screen[Any], str] = WeakKeyDictionary()
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

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Replace signs that the terminal does not have."""
        return [*super().get_line_filters(), *self._ascii]

    def get_default_screen(self) -> DashboardScreen:
        """Start on the dashboard."""
        return self.dashboard

    def choose_theme(self, name: str) -> None:
        """Take other colours, and open with them from now on."""
        self.chosen_theme = self.theme = name

    def _set_theme(self, wanted: str) -> None:
        """Set the theme before anything is styled, so that nothing is styled twice."""
        for theme in THEMES:
            self.register_theme(theme)
        name = wanted if wanted in self.available_themes else LIMPET.name
        self.set_reactive(LimpetApp.theme, name)
        self.stylesheet.set_variables(self.get_css_variables())

    def on_mount(self) -> None:
        """Look as one left it, and leave everything slow until after the first paint."""
        recall(self)
        self._live_timer = self.set_interval(LIVE_EVERY_S, self._show_live, pause=True)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if not self.is_headless:
            on_hang_up(0, self.exit)
        self.bridge.start()
        self.dashboard.bar.load(self.bridge)
        for problem in self.dashboard.keymap.problems():
            self.dashboard.output.say([("[keys] ", "faint"), (problem, "warn")])
        self.run_worker(self._keep_up(), group="tables")
        self.set_interval(AGES_EVERY_S, self._age)
        self.set_timer(SETTLED_S, garbage.keep_all)

    def on_unmount(self) -> None:
        """Stop the threads, and keep the look for the next time."""
        remember(self)
        self.bridge.stop()

    async def on_event(self, event: Event) -> None:
        """Note that there is a key before it goes its way."""
        if isinstance(event, InputEvent):
            self._turns.pressed()
        await super().on_event(event)

    @on(Changed)
    def _changed(self) -> None:
        self._news.set()

    def _age(self) -> None:
        self._aged = True
        self._news.set()
        if self._turns.may_hold_up:
            garbage.search()

    async def _keep_up(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            aged, self._aged = self._aged, False
            await self._turns.carry_out(self.dashboard.taking(self.bridge.take(), aged=aged))

    # Command lines

    def submit(self, line: str) -> None:
        """Carry out what a line stands for; the answers appear in the session."""
        from core.commands.lines import steps_of

        line = line.strip().lstrip(":")
        try:
            steps = steps_of(line, self.engine.config.aliases)
        except Error as error:
            self._fail(self.dashboard.output.begin(line), error)
            return
        self._carry_on(steps)

    def _carry_on(self, steps: Sequence[Step], *, well: bool = True) -> None:
        """Begin the next of several lines; `well`: the one before has not failed."""
        from tui.own_words import carry_out

        for place, step in enumerate(steps):
            if not (well or step.anyway):
                continue
            if carry_out(self, step.line):
                well = True
                continue
            number = self.dashboard.output.begin(step.line)
            self._next[number] = steps[place + 1 :]
            self.dashboard.show_pane()
            self._pending.add(number)
            self.bridge.run(number, step.line)
            self._live_timer.resume()
            return

    def _ended(self, number: int, *, well: bool) -> None:
        self._carry_on(self._next.pop(number, ()), well=well)

    @on(StatusLine.Clicked)
    def _clicked(self, event: StatusLine.Clicked) -> None:
        if self.dashboard.bar.has_keys:
            self.dashboard.bar.close()
        self.call_next(self.simulate_key, named(event.sign))

    @on(Answered)
    def _answered(self, event: Answered) -> None:
        self._pending.discard(event.number)
        if event.error is not None:
            self._fail(event.number, event.error)
        elif isinstance(event.result, Running):
            self._follow(event.number, event.result)
        elif isinstance(event.result, Foreground):
            self._run_foreground(event.number, event.result)
        elif isinstance(event.result, Plan):
            self._ask(event.number, event.result)
        elif isinstance(event.result, Lines):
            self.dashboard.output.track(event.number, Tail(event.result.source))
            if not hasattr(event.result.source, "stop"):  # a program mostly ends by itself
                self.dashboard.output.focus()
            self._live_timer.resume()
        elif event.result is not None:
            wraps = not isinstance(event.result, Table | Document)
            self._end(event.number, answer(event.result), wraps=wraps)

    def _follow(self, number: int, running: Running) -> None:
        """Show how far a job is; a build on a screen of its own."""
        self._shows[number] = running
        live: Live = JobLive(running.job)
        if isinstance(running, Building) and running.again is not None:
            from tui.build_watch import BuildWatch

            live = self._watches[number] = BuildWatch(running)
        self.dashboard.output.track(number, live)
        self._live_timer.resume()
        if running.job.board is not None and self.screen is self.dashboard:
            self.open_job(running.job.id)

    def _end(self, number: int, body: Any, *, wraps: bool = True) -> None:
        self.dashboard.output.finish(number, body, wraps=wraps)
        self._ended(number, well=True)

    def _fail(self, number: int, error: Exception) -> None:
        log = "" if isinstance(error, Error | OSError) else record_bug(error)
        self.dashboard.output.finish(number, failure(error, log), note="failed", tone="bad")
        self.dashboard.show_pane()
        self._ended(number, well=False)

    # Answers that are more than words

    def _show_live(self) -> None:
        output = self.dashboard.output
        for number in output.update():
            running = self._shows.pop(number, None)
            if number in self._watches:
                running = self._watches.pop(number).building
            if running is not None:
                self._pending.add(number)
                self.bridge.finish(number, running)
                self._announce(running)
            else:
                self._ended(number, well=True)
        jobs = self.bridge.running_jobs()
        self.dashboard.take_jobs(jobs)
        if not (jobs or self._pending or output.busy):
            self._live_timer.pause()

    def _announce(self, running: Running) -> None:
        """Tell the terminal of the end of a long job: the person may look elsewhere."""
        least = self.engine.config["tui", "notify_s"]
        view = running.job.snapshot()
        if least and view.seconds >= least and self._driver is not None:
            from tui.notify import notification

            self._driver.write(notification("limpet", f"{view.title}: {view.state}"))

    def run_in_pane(self, line: str) -> None:
        """Carry a line out whose terminal, if it asks for one, is a pane beside the tables."""
        number = self.dashboard.output.begin(line)
        self._in_panes.add(number)
        self._pending.add(number)
        self.bridge.run(number, line)
        self._live_timer.resume()

    def _run_foreground(self, number: int, foreground: Foreground) -> None:
        from tui.host_programs import OnHost

        wanted = number in self._in_panes or self.engine.config["tui", "pane"]
        self._in_panes.discard(number)
        if isinstance(foreground, OnHost) and self.is_web:
            hint = "run it in a shell of your own"
            self._fail(number, UsageError("a browser has no terminal for this", hint=hint))
        elif (wanted or self.is_web) and not isinstance(foreground, OnHost):
            self.call_next(self.dashboard.show_terminal, number, foreground)
        else:
            self._give_terminal(number, foreground)

    def on_terminal_pane_ended(self, event: TerminalPane.Ended) -> None:
        """Take the terminal away, and say in the session how it ended."""
        self.dashboard.end_terminal(event.pane)
        self._foreground_ended(event.pane.number, event.code, event.error)

    def _give_terminal(self, number: int, foreground: Foreground) -> None:
        from tui.host_programs import OnHost

        error: Exception | None = None
        code = 0
        with self.suspend():
            keys = self.engine.config["container", "detach_keys"]
            leaving = "" if isinstance(foreground, OnHost) else f"  ({keys} leaves it running)"
            _tell(f"limpet: {foreground.title}{leaving}\n")
            started = time.monotonic()
            try:
                code = foreground.relay(0, 1, 2)
            except Exception as caught:  # noqa: BLE001 - shown in the session, bugs included
                error = caught
            if error is None and code > 0 and time.monotonic() - started < QUICK_S:
                _tell(f"\nlimpet: it ended with {code}; enter goes back ")
                sys.stdin.readline()
        self._foreground_ended(number, code, error)

    def _foreground_ended(self, number: int, code: int, error: Exception | None) -> None:
        if error is not None:
            self._fail(number, error)
            return
        note = "left running" if code < 0 else f"ended with {code}" if code else "ended"
        self.dashboard.output.finish(number, (), note=note, tone="bad" if code > 0 else "faint")
        self._ended(number, well=code <= 0)

    def _ask(self, number: int, plan: Plan) -> None:
        from core.commands.show import size
        from tui.screens.confirm import ConfirmScreen, word_to_type

        def decide(yes: bool | None) -> None:
            if yes:
                self._pending.add(number)
                self.bridge.apply(number, plan)
            else:
                self.dashboard.output.finish(number, (), note="not done")
                self._ended(number, well=False)

        back = f", {size(plan.bytes_back)} come back" if plan.bytes_back else ""
        screen = ConfirmScreen(plan.title + back, plan.lines, "go on", word=word_to_type(plan))
        self.push_screen(screen, decide)

    # Leaving

    def leave(self) -> None:
        """Leave limpet; ask first when that would end running jobs."""
        jobs = self.bridge.running_jobs()
        panes = self.dashboard.terminals
        if not (jobs or panes):
            self.exit(0)
            return
        from tui.screens.confirm import ConfirmScreen

        def decide(yes: bool | None) -> None:
            if yes:
                for job in self.engine.jobs.all():
                    job.cancel()
                self.exit(0)

        titles = [*(job.title for job in jobs), *(f"terminal: {pane.title}" for pane in panes)]
        self.push_screen(ConfirmScreen("leaving ends these", titles, "leave", "stay"), decide)

    # Other screens

    def show_screen(self, screen: Screen[None], address: str) -> None:
        """Show a screen that can be come back to by its address."""
        self._addresses[screen] = address
        self.visits.arrive(address)
        self.push_screen(screen, self._left)

    def _left(self, _: None) -> None:
        self.call_later(self._came_back)

    def _came_back(self) -> None:
        self.visits.arrive(self._addresses.get(self.screen, self.dashboard.place))

    def action_travel(self, by: int) -> None:
        """Go to the screen that was shown before, or after."""
        from tui.own_words import go

        address = self.visits.neighbour(by)
        if not address:
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.visits.arrive(address)
        go(self, address.split())

    def action_bookmark(self) -> None:
        """Keep the address of what is shown, or no longer."""
        from tui.bookmarks import toggle

        toggle(self)

    def action_bookmarks(self) -> None:
        """Choose a bookmark, or what was seen last, to go to."""
        from tui.bookmarks import choose

        choose(self)

    def start_here(self) -> None:
        """Make the starter image and run a container of it: a newcomer's first key."""
        name = "" if self._taken(FIRST) else f"--name {FIRST} "
        self.submit(f"image starter && run -d -it {name}starter")

    def _taken(self, name: str) -> bool:
        return any(info.name == name for info in self.bridge.latest.containers)


def _ascii_filters() -> list[LineFilter]:
    if glyphs() is not PLAIN:
        return []
    from tui.ascii_only import AsciiOnly

    return [AsciiOnly()]


def _tell(words: str) -> None:
    os.write(1, words.encode())


def show(app: LimpetApp) -> int | None:
    """Run an app on the terminal until the person leaves."""
    sys.setswitchinterval(SWITCH_S)
    garbage.put_off()
    limit_arenas(1)
    key_sequences.teach()
    return app.run(mouse=bool(app.engine.config["tui", "mouse"]))


def run(engine: Engine, *, read_only: bool = False) -> int:
    """Run the app on the terminal until the person leaves; returns the exit code."""
    app = LimpetApp(engine, read_only=read_only)
    code = show(app)
    if os.environ.get("TEXTUAL_DRIVER"):  # in a browser: there is no terminal to say it on
        engine.close()
        return 0
    left = sum(info.state == "running" for info in app.bridge.latest.containers)
    if left:
        _tell(
            f"limpet: {left} container{'s run' if left > 1 else ' runs'} on; limpet ps lists them\n"
        )
    engine.close()
    return (app.return_code or 0) if code is None else code
