"""The one screen people live in: three live tables, the session, the command bar."""

from __future__ import annotations

from textual import on

from core.commands.keys import ACTION, CONTAINERS, FILL, IMAGES, REGISTRIES, TABLES
from core.errors import Error
from tui.bar.command_bar import CommandBar
from tui.bar.completion_popup import CompletionPopup
from tui.bridge import Snapshot
from tui.keymap import Keymap, fill, moves_keys
from tui.screens.dashboard.edges import Edges
from tui.screens.dashboard.panes import OUTPUT, Panes
from tui.screens.dashboard.row_actions import RowActions
from tui.screens.dashboard.tables import (
    COLUMNS,
    EMPTY,
    WELCOME,
    ContainerRows,
    image_rows,
    registry_rows,
)
from tui.screens.dashboard.typed_on import MENUS, TERMINALS, WORDS, TypedOn
from tui.theme import glyphs
from tui.widgets.output.view import Output
from tui.widgets.table.line_table import LineTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget

    from core.commands.result import Foreground
    from core.engine import Engine
    from core.jobs import JobView
    from tui.app import LimpetApp
    from tui.terminal.pane import TerminalPane
    from tui.widgets.table.rows import Row

SAID_S = 3


class DashboardScreen(RowActions, inherit_bindings=False):
    """Tables, session, bar; keys come from the keymap."""

    app: LimpetApp

    AUTO_FOCUS = ""

    def __init__(self, engine: Engine, keymap: Keymap, *, read_only: bool) -> None:
        super().__init__()
        self.keymap = keymap
        self.place = CONTAINERS
        self.frozen = False
        self.bar_for = ""
        """The address of the screen from which the bar was opened."""
        self.read_only = read_only
        self._engine = engine
        self._rows = ContainerRows(glyphs())
        self._snapshot = Snapshot()
        self._waiting: Snapshot | None = None
        self.nothing = False
        """No image and no container: the person is new here."""
        self._searching = False
        """Whether what is typed in the bar is searched in the session."""
        self.typed_on = TypedOn()
        self.tables = {
            place: LineTable(f"{number} {place.capitalize()}", COLUMNS[place], id=place)
            for number, place in enumerate(TABLES, 1)
        }
        self.output = Output(id="output")
        self.panes = Panes(self.tables, self.output)
        self._edges = Edges(self)
        self.popup = CompletionPopup(id="popup")
        self.bar = CommandBar(engine, self.popup, id="bar")
        self._bind_keys()

    def _bind_keys(self) -> None:
        for place, table in self.tables.items():
            for key in self.keymap.of(place):
                action = f"screen.press({place!r}, {key.key!r})"
                table.bind_key(key.key, action, key.help, at_once=moves_keys(key))
            own = {key.key for key in self.keymap.of(place)}
            for key in self.keymap.of(""):
                if moves_keys(key) and key.key not in own:
                    table.bind_key(
                        key.key, f"screen.press('', {key.key!r})", key.help, at_once=True
                    )
        for key in self.keymap.of(""):
            self._bindings.bind(key.key, f"press('', {key.key!r})", key.help, show=key.hint)

    def compose(self) -> ComposeResult:
        """Place the parts."""
        yield self._edges.header
        with self.panes.upper:
            yield self.tables[CONTAINERS]
            with self.panes.lower:
                yield self.tables[IMAGES]
                yield self.tables[REGISTRIES]
        yield self.output
        yield self.bar
        yield self._edges.hints
        yield self.popup

    def on_mount(self) -> None:
        """Paint the empty frame and take the keys."""
        self._arrange()
        self.set_focus(self.table)
        self.app.call_next(self.app.take_early_keys)

    # Layout

    def on_resize(self) -> None:
        """Choose the layout for the new size."""
        self.popup.close()
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        self.set_class(not self.panes.all_fit(width, height), "-one")
        self.panes.arrange(self.place, width, height)
        if self.panes.in_lower and self.focused not in self.focus_chain:
            self.set_focus(self.home)
        self.show_edges()

    @property
    def home(self) -> Widget | None:
        """What has the keys when nothing else has: the table, unless it is not shown."""
        shown = self.focus_chain
        parts = (self.table, self.panes.terminal, self.output)
        return next((part for part in parts if part in shown), None)

    async def show_terminal(self, number: int, foreground: Foreground) -> None:
        """Run something in a terminal beside the tables; it belongs to the block `number`."""
        from tui.terminal.deck import Deck

        if not self.is_attached:
            return  # the app was left meanwhile

        panes = self.panes
        if panes.deck is None:
            keys = self._engine.config["container", "detach_keys"]
            panes.deck = Deck(id="terminals-deck", detach=keys)
            await self.mount(panes.deck, before=self.output)
        panes.session, panes.deck.empty = True, False
        self._arrange()  # before it begins: it is told its size but once
        await panes.deck.add(number, foreground)
        self.typed_on.end()

    def on_terminal_pane_copied(self, event: TerminalPane.Copied) -> None:
        """Copy it, and say so for a while: a terminal's keys are not seen here."""
        self._copy(event.text)
        self.set_timer(SAID_S, lambda: self.say(""))

    def end_terminal(self, pane: TerminalPane) -> None:
        """Take a terminal away whose program has ended."""
        if self.panes.deck is None:
            return
        had_keys = pane.has_focus
        self.panes.deck.close(pane)
        if had_keys and not self.panes.terminals:
            self._focus_table()
            self.typed_on.ended()
        self._arrange()

    def on_terminal_pane_left(self) -> None:
        """Give the keys back to the tables; the terminal stays."""
        self._focus_table()

    def go(self, place: str) -> None:
        """Give a table the keys."""
        self.place = place
        if self.panes.zoomed:
            self.panes.zoomed = place
        self._arrange()
        self.set_focus(self.table)  # now: focus() would let the next keys pass by

    def show_pane(self) -> None:
        """Make sure that an answer is seen."""
        if not self.output.display:
            self.panes.session, self.panes.zoomed = True, ""
            self._arrange()

    def tell_problems(self, problems: Sequence[str]) -> None:
        """Say what is wrong with the settings where it is seen before the first key."""
        for problem in problems:
            self.output.say([("[keys] ", "faint"), (problem, "warn")])
        if problems:
            self.output.say([("limpet doctor, or limpet config, says it again", "faint")])
            self.show_pane()

    # Facts

    def take(self, snapshot: Snapshot) -> None:
        """Show a newer snapshot, unless the tables are frozen."""
        for _ in self.taking(snapshot):
            pass

    def taking(self, snapshot: Snapshot, *, aged: bool = False) -> Iterator[None]:
        """Do what `take` does in many steps; `aged`: how old things are may differ."""
        if self._held(snapshot):
            return
        rows: list[Row] = []
        yield from self._rows.make(snapshot, rows, aged=aged)
        if self._held(snapshot):
            return
        before, self._snapshot = self._snapshot, snapshot
        self.tables[CONTAINERS].set_rows(rows)
        yield
        if aged or not before.read or before.images is not snapshot.images:
            self.tables[IMAGES].set_rows(image_rows(snapshot))
            self.tables[REGISTRIES].set_rows(registry_rows(snapshot))
        running = sum(info.state == "running" for info in snapshot.containers)
        self.tables[CONTAINERS].set_note(f"{running} running" if running else "")
        if snapshot.read:
            self.nothing = not snapshot.images and not snapshot.containers
            self.tables[CONTAINERS].empty = WELCOME if self.nothing else EMPTY[CONTAINERS]
            self.tables[IMAGES].empty = EMPTY[IMAGES]
            self.tables[REGISTRIES].empty = EMPTY[REGISTRIES]
        self.show_edges()

    @property
    def problem(self) -> str:
        """Why the tables cannot be read, nothing while they can."""
        return self._snapshot.error

    def _held(self, snapshot: Snapshot) -> bool:
        """Keep a snapshot for later while the tables are frozen."""
        if self.frozen:
            self._waiting = snapshot
        return self.frozen

    def take_jobs(self, jobs: list[JobView]) -> None:
        """Show running jobs in the header."""
        self._edges.jobs = jobs
        self.show_edges()

    # The two edges

    def show_edges(self) -> None:
        """Show where one is, and which keys are at hand or what the line means."""
        if self.is_mounted:
            self._edges.show()

    # Messages

    @on(LineTable.Moved)
    def _moved(self, event: LineTable.Moved) -> None:
        if event.table is self.table:
            self.show_edges()

    @on(LineTable.Opened)
    async def _opened(self, event: LineTable.Opened) -> None:
        await self.action_press(event.table.id or "", "enter")

    @on(CommandBar.Submitted)
    def _submitted(self, event: CommandBar.Submitted) -> None:
        self.bar_for = ""
        self.app.submit(event.line)

    @on(CommandBar.Filtered)
    def _filtered(self, event: CommandBar.Filtered) -> None:
        if self._searching:
            self.output.search(event.wanted)
        else:
            self.table.set_filter(event.wanted)

    @on(CommandBar.Paged)
    def _paged(self, event: CommandBar.Paged) -> None:
        self.output.action_page(event.by)

    @on(CompletionPopup.Taken)
    def _taken(self) -> None:
        self.bar.accept()
        self.set_focus(self.bar.script or self.bar.line)

    @on(CommandBar.Left)
    @on(Output.Left)
    def _left(self) -> None:
        if self._searching:
            self._searching = False
            self.set_focus(self.output)
        elif self.bar_for:
            address, self.bar_for = self.bar_for, ""
            self._focus_table()
            self.app.go_to(address)
        else:
            self._focus_table()

    @on(Output.Copied)
    def _copied(self, event: Output.Copied) -> None:
        self._copy(event.text)

    @on(Output.Opened)
    def _opened_answer(self, event: Output.Opened) -> None:
        try:
            self.app.open_answer(event.line)
        except Error as error:
            self.say(error.message)

    @on(Output.Again)
    def _again(self, event: Output.Again) -> None:
        self.bar.open(event.line)

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        if self._edges.note:
            self.say("")

    def say(self, words: str) -> None:
        """Tell what a key did, until the next one."""
        self._edges.note = words
        self.show_edges()

    def _focus_table(self) -> None:
        if self.panes.zoomed == OUTPUT:
            self.panes.zoomed = ""
            self._arrange()
        self.set_focus(self.table)  # now: focus() would let the next keys pass by

    @on(CommandBar.Interrupted)
    def _interrupted(self) -> None:
        if not self.output.cancel():
            self.bar.leave()

    @on(CommandBar.Hinted)
    def _hinted(self, event: CommandBar.Hinted) -> None:
        self._edges.meaning = event.text
        self.show_edges()

    def on_descendant_focus(self) -> None:
        """Follow the keys to another table."""
        focused = self.focused
        if isinstance(focused, LineTable) and focused.id in TABLES:
            if self.place != focused.id:
                self.place = focused.id
                self._arrange()
            if self.app.screen is self:  # not so when keys are given back for another screen
                self.app.visits.arrive(self.place)
        self.show_edges()

    # Keys

    async def action_press(self, place: str, name: str) -> None:
        """Do what a key means for the row under the cursor."""
        table = self.tables.get(place, self.table)
        row, about = table.selected, table.at_hand
        key = self.keymap.find(place, name, about.state if about else "")
        if key is None:
            return
        if self.typed_on.goes_on() and (key.command in MENUS or self.keymap.changes(key.command)):
            self.say(WORDS)
            return
        if name == "enter" and table.on_head:
            table.fold()
        elif row is None and self.nothing and name == "enter":
            self.action_starter()
        else:
            await self.do(key.command, row.name if row else "", table.chosen)
        if row and key.command.startswith(TERMINALS):
            self.typed_on.asked()

    async def do(
        self, command: str, name: str, names: Sequence[str], *, edit: bool = False
    ) -> None:
        """Do what a key's command means for a row; `edit`: put it into the bar instead."""
        if command.startswith(ACTION):
            action, start, rest = command.removeprefix(ACTION).partition("(")
            place = "screen" if hasattr(self, f"action_{action}") else "app"
            await self.run_action(f"{place}.{action}{start or '('}{rest or ')'}")
            return
        if ("{name}" in command and not name) or ("{names}" in command and not names):
            return
        command = fill(command, name, names)
        before, gap, after = command.partition(FILL)
        if gap or edit:
            self.bar.open(before, after if gap else " ")
        else:
            self.app.submit(command)

    def action_starter(self) -> None:
        """Make the starter image and run a container of it."""
        self.app.start_here()

    def action_bar(self) -> None:
        """Go to the command bar."""
        self.bar.open()

    def action_filter(self) -> None:
        """Filter the table, or search the session."""
        self._searching = self.output.has_focus
        self.bar.open_filter(self.output.searched if self._searching else self.table.wanted)

    def action_place(self, number: int) -> None:
        """Go to a table."""
        self.go(TABLES[number])

    def action_next(self, by: int) -> None:
        """Go to the next pane: the tables, then the session."""
        panes = [*TABLES, *([OUTPUT] if self.output.display or self.panes.zoomed else [])]
        here = OUTPUT if self.panes.in_lower and OUTPUT in panes else self.place
        there = panes[(panes.index(here) + by) % len(panes)]
        if there == OUTPUT:
            self._go_below()
        else:
            self.go(there)

    def action_terminal(self) -> None:
        """Go to the terminal beside the tables; from there the same key comes back."""
        if self.panes.terminal is not None:
            self._go_below()

    def _go_below(self) -> None:
        """Give the terminal the keys, or the session where there is none."""
        if self.panes.zoomed:
            self.panes.zoomed = OUTPUT
        elif not self.output.display:
            self.panes.session = True
        self._arrange()
        self.set_focus(self.panes.terminal or self.output)

    def action_back(self) -> None:
        """Leave the session; then clear the filter; then the marks."""
        if self.output.has_focus:
            self._focus_table()
        elif self.table.wanted:
            self.table.set_filter("")
        else:
            self.table.action_unmark()

    def action_freeze(self) -> None:
        """Hold the tables still, or let them go on."""
        self.frozen = not self.frozen
        if not self.frozen and self._waiting:
            waiting, self._waiting = self._waiting, None
            self.take(waiting)
        self.show_edges()

    def action_zoom(self) -> None:
        """Show only the pane that has the keys, or all again."""
        here = OUTPUT if self.panes.in_lower else self.place
        self.panes.zoomed = "" if self.panes.zoomed else here
        self._arrange()

    def action_pane(self) -> None:
        """Hide or show the session."""
        self.panes.zoomed = ""
        if self.output.has_focus:
            self.set_focus(self.table)
        self.panes.session = not self.output.display
        self._arrange()

    def action_redraw(self) -> None:
        """Paint everything anew."""
        for table in self.tables.values():
            table.forget_widths()
        self.app.forget_frame()
        self.app.refresh(layout=True)

    def action_jobs(self) -> None:
        """Show the jobs."""
        self.app.open_listing("jobs")

    def action_listing(self, name: str) -> None:
        """Show a command's table on a screen."""
        if not self.app.open_listing(name):
            self.say(f"there is no command that lists {name}")

    def on_screen_resume(self) -> None:
        """Note that the tables are shown again."""
        self.typed_on.end()
        if self.app.screen is self:
            self.app.visits.arrive(self.place)
