"""The full-screen app: opens on the dashboard, keeps it up to date, goes from screen to screen."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager, suppress
from weakref import WeakSet

from textual import on
from textual.binding import Binding
from textual.drivers.linux_driver import LinuxDriver
from textual.events import AppBlur, InputEvent, Key, Paste
from textual.filter import Monochrome, NoColor

from core import garbage
from core.commands.key_changes import named
from core.lean_import import hold
from core.linux.heap import limit_arenas
from tui import replaced
from tui.bridge import Answered, Bridge, Changed, Snapshot
from tui.keymap import Keymap
from tui.navigation import Navigates
from tui.remembered import recall, remember
from tui.screens.dashboard.screen import DashboardScreen
from tui.session.session import Session, tell
from tui.theme import LIMPET, PLAIN, TERMINAL, THEMES, glyphs, lit
from tui.tty import gone_widgets, key_parser
from tui.tty.hang_up import on_hang_up
from tui.tty.signals import before_hang_up, leave_on_signals
from tui.tty.window_size import InTurnDriver
from tui.turns import QUIET_S, Turns
from tui.typed_ahead import TypedAhead
from tui.widgets.foot import Foot
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from textual.await_complete import AwaitComplete
    from textual.driver import Driver
    from textual.events import Event
    from textual.filter import LineFilter
    from textual.screen import Screen

    from core.engine import Engine
    from core.model import ContainerInfo
    from tui.terminal.pane import TerminalPane

AGES_EVERY_S = 20
SETTLED_S = 1.5
"""So long after the first paint everything is loaded."""
READERS = 64
"""Threads that screens and completion read in; as many as asyncio has are soon used up."""
SWITCH_S = 0.0005
"""A key waits so long for a thread that reads many containers, several times on its way."""
MOST_AT_ONCE = 500
"""Rows that are in the table when it is first painted; more take longer than they are worth."""
FIRST = "first"
"""Name of a newcomer's container."""


class LimpetApp(Navigates):
    """Tables, session and command bar on one engine."""

    CSS_PATH = os.path.join(os.path.dirname(__file__), "app.tcss")
    ENABLE_COMMAND_PALETTE = False
    TITLE = "limpet"
    BINDINGS = [
        Binding("alt+left", "travel(-1)", "The screen before"),
        Binding("alt+right", "travel(1)", "The screen after"),
        Binding("colon", "command", "The command line", priority=True),
        Binding("question_mark", "help_here", "What can be done here"),
        Binding("M", "commands", "All commands"),
        Binding("ctrl+z", "to_shell", "Back to the shell; fg comes back here"),
        Binding("alt+m", "bookmark", "Keep a bookmark here, or drop it"),
        Binding("apostrophe", "bookmarks", "Go to a bookmark, or to what was seen last"),
    ]
    ALLOW_SELECT = False
    """No widget here marks text by Textual's means, which fail at a widget that has just gone."""
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
        self._typed_ahead = TypedAhead(self, super().on_event)
        self._news = asyncio.Event()
        """There is something that the tables do not show yet."""
        self._leaving: WeakSet[Screen[Any]] = WeakSet()
        """Screens that were left and are not gone yet."""
        self._aged = False
        """How old things are has not been shown for a while."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Replace signs that the terminal does not have."""
        return [*super().get_line_filters(), *self._ascii]

    def get_default_screen(self) -> DashboardScreen:
        """Start on the dashboard."""
        return self.dashboard

    def get_css_variables(self) -> dict[str, str]:
        """Add the ground of the cursor's line, which no theme of Textual's has."""
        variables = super().get_css_variables()
        self.theme_variables = {"lit": lit(variables), **variables}
        return self.theme_variables

    def choose_theme(self, name: str) -> None:
        """Take other colours, and open with them from now on."""
        self.chosen_theme = self.theme = name

    def _set_theme(self, wanted: str) -> None:
        """Set the theme before anything is styled, so that nothing is styled twice."""
        for theme in THEMES:
            self.register_theme(theme)
        name = wanted if wanted in self.available_themes else LIMPET.name
        if self.no_color or self.console.color_system == "standard":
            name = TERMINAL.name
        self.set_reactive(LimpetApp.theme, name)
        self._refresh_truecolor_filter(self.ansi_theme)
        if self.no_color:  # Textual would paint in shades of grey
            coloured = [one for one in self._filters if not isinstance(one, Monochrome)]
            self._filters = [*coloured, NoColor()]
        self.stylesheet.set_variables(self.get_css_variables())

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's driver for where the app runs, on a terminal ours."""
        driver = super().get_driver_class()
        return InTurnDriver if driver is LinuxDriver else driver

    def on_mount(self) -> None:
        """Look as one left it, and leave everything slow until after the first paint."""
        recall(self)
        self.dashboard.take(self.bridge.latest)  # a key for one of them comes at any time
        self.session = Session(self)
        self._tidying = self.set_interval(QUIET_S, self._tidy, pause=True)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if not self.is_headless:
            on_hang_up(0, self.exit)
            leave_on_signals(self)
            before_hang_up(lambda: remember(self))
        self._read_side_by_side()
        self.bridge.start()
        self.dashboard.bar.load(self.bridge)
        self.dashboard.tell_problems(self.dashboard.keymap.problems())
        self.run_worker(self._keep_up(), group="tables")
        self.set_interval(AGES_EVERY_S, self._age)
        self.run_worker(self._load_ahead())

    @staticmethod
    def _read_side_by_side() -> None:
        """Have threads for more than wait for what was left and does not answer, as a registry."""
        from concurrent.futures import ThreadPoolExecutor

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(READERS, "limpet-read"))

    async def _load_ahead(self) -> None:
        """Load what takes long to open, before somebody waits for it."""
        await asyncio.sleep(SETTLED_S)
        await asyncio.to_thread(hold)
        with suppress(ImportError):  # whoever opens it is told
            await asyncio.to_thread(_load_browser)
        self._settle()

    def _settle(self) -> None:
        """Keep what is loaded out of searches, but no screen that is left again some time."""
        if self._leaving or len(self.screen_stack) > 1:
            self.set_timer(SETTLED_S, self._settle)
        else:
            garbage.keep_all()

    async def take_early_keys(self) -> None:
        """Give the keys that came too early to what has the keys now."""
        await self._typed_ahead.open()

    def on_unmount(self) -> None:
        """Stop the threads, and keep the look for the next time."""
        remember(self)
        self.bridge.stop()

    async def on_event(self, event: Event) -> None:
        """Note that there is a key before it goes its way.

        That a person looks elsewhere changes nothing: Textual would take the keys from what has
        them, and not find it again behind a screen that opens meanwhile.
        """
        if isinstance(event, InputEvent):
            self._turns.pressed()
            self._tidying.resume()
        typed = isinstance(event, Key | Paste) and not event.is_forwarded
        if not isinstance(event, AppBlur) and not (typed and self._typed_ahead.holds(event)):
            await super().on_event(event)

    @on(Changed)
    def _changed(self) -> None:
        self._news.set()

    def _age(self) -> None:
        self._aged = True
        self._news.set()
        self._tidying.resume()

    def _tidy(self) -> None:
        """Search for garbage at the first pause behind a key.

        A screen that was left is a heap of it.  The more lies there, the more memory is taken for
        what comes, and the longer a key has to wait in the end.
        """
        if self._turns.pause():
            self._tidying.pause()
            garbage.search(everywhere=bool(self._leaving))

    def pop_screen(self) -> AwaitComplete:
        """Leave a screen, and search for all that goes with it until it is gone."""
        self._leaving.add(self.screen)
        return super().pop_screen()

    async def _keep_up(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            aged, self._aged = self._aged, False
            await self._turns.carry_out(self.dashboard.taking(self.bridge.take(), aged=aged))

    # Command lines

    def submit(self, line: str) -> None:
        """Carry out what a line stands for; the answers appear in the session."""
        self.session.submit(line)

    @on(Answered)
    def _answered(self, event: Answered) -> None:
        self.session.answered(event)

    def on_terminal_pane_ended(self, event: TerminalPane.Ended) -> None:
        """Take the terminal away, and say in the session how it ended."""
        self.dashboard.end_terminal(event.pane)
        self.session.foreground_ended(event.pane.number, event.code, event.error)

    @on(StatusLine.Clicked)
    def _clicked(self, event: StatusLine.Clicked) -> None:
        if self.dashboard.bar.has_keys:
            self.dashboard.bar.close()
        self.call_next(self.simulate_key, named(event.sign))

    def _handle_exception(self, error: Exception) -> None:
        """End the app, unless it is only that nothing more can be loaded: that is said."""
        if replaced.as_error(error) is None:
            super()._handle_exception(error)
            return
        self.dashboard.say(replaced.WORDS)
        for foot in self.screen.query(Foot):
            foot.say(replaced.WORDS)

    def announce(self, words: str) -> None:
        """Have the terminal itself show something, whatever it has in front."""
        if self._driver is not None:
            from tui.tty.notify import notification

            self._driver.write(notification("limpet", words))

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Give the terminal away for a while, and its keys' signals with it."""
        from tui.session.host_programs import enter_ends_lines, keyboard_given_away

        with keyboard_given_away(), super().suspend(), enter_ends_lines(0):
            yield

    # Leaving

    def action_to_shell(self) -> None:
        """Stop until the shell that limpet was started from says fg."""
        from tui.session.host_programs import sane_modes
        from tui.tty.job_control import shell_waits, stop

        if self._driver is None or not (self._driver.can_suspend and shell_waits()):
            self.dashboard.say("there is no shell to go back to here: ! opens one")
            return
        with self.suspend(), sane_modes(0):
            stop()

    def action_leave(self) -> None:
        """Leave limpet; ask first when that would end running jobs."""
        jobs = self.bridge.running_jobs()
        panes = self.dashboard.panes.terminals
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

    def start_here(self) -> None:
        """Make the starter image and run a container of it: a newcomer's first key."""
        name = "" if self.has_container(FIRST) else f"--name {FIRST} "
        self.submit(f"image starter && run -d -it {name}starter")

    def has_container(self, name: str) -> bool:
        """Tell whether there is a container of this name, as last read."""
        return any(info.name == name for info in self.bridge.latest.containers)


def _load_browser() -> None:
    # Imported for when an image is looked into.
    from core.images import index  # noqa: F401
    from tui.screens.layers import screen  # noqa: F401
    from tui.views import layer_sources  # noqa: F401


def _ascii_filters() -> list[LineFilter]:
    if glyphs() is not PLAIN:
        return []
    from tui.tty.ascii_only import AsciiOnly

    return [AsciiOnly()]


def show(app: LimpetApp) -> int | None:
    """Run an app on the terminal until the person leaves."""
    sys.setswitchinterval(SWITCH_S)
    garbage.put_off()
    limit_arenas(1)
    key_parser.take()
    gone_widgets.let_go()
    replaced.let_live()
    return app.run(mouse=bool(app.engine.config["tui", "mouse"]))


def run(
    engine: Engine, *, read_only: bool = False, containers: Sequence[ContainerInfo] = ()
) -> int:
    """Run the app on the terminal until the person leaves; returns the exit code.

    `containers`: those that the terminal shows already.
    """
    app = LimpetApp(engine, read_only=read_only)
    if len(containers) <= MOST_AT_ONCE:
        app.bridge.latest = Snapshot(tuple(containers))
    code = show(app)
    if os.environ.get("TEXTUAL_DRIVER"):  # in a browser: there is no terminal to say it on
        engine.close()
        return 0
    left = sum(info.state == "running" for info in app.bridge.latest.containers)
    if left:
        tell(
            f"limpet: {left} container{'s run' if left > 1 else ' runs'} on; limpet ps lists them\n"
        )
    engine.close()
    return (app.return_code or 0) if code is None else code
