"""A container's log on a screen of its own, followed as it grows."""

from __future__ import annotations

import os
import threading
import time
from collections import deque

from textual import on
from textual.binding import Binding
from textual.message import Message

from core.commands.read_only import FILES
from core.commands.show import size as shown_size
from tui.answers import cause
from tui.tty.clipboard import copy
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.foot import Foot
from tui.widgets.log.levels import ERROR, WORDS
from tui.widgets.log.merged import colourless
from tui.widgets.log.ring import size_of
from tui.widgets.log.view import LogView
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import ComposeResult
    from textual.timer import Timer

    from core.containers.log.blocks import Line
    from tui.app import LimpetApp
    from tui.theme import Part
    from tui.widgets.log.ring import Lot

    Source = Callable[[Callable[[], bool]], Iterator[Lot]]

FRAMES = 15
"""Most paintings a second."""
MOST_WAITING = 8 << 20
"""Bytes read ahead of the screen; then the reader waits, and loses nothing."""
CALM_FRAMES = 2 * FRAMES
HINTS = (
    ("f", "follow"), ("/", "search"), ("n N", "next, before"), ("&", "keep"), ("v", "level"),
    ("J", "JSON"), ("w", "wrap"), ("T", "times"), ("V", "select"), ("y", "copy"), ("S", "save"),
    ("g G", "first, last"),
)  # fmt: skip
SELECTING = (("j k", "more, less"), ("y", "copy"), ("esc", "end selecting"))


class Reader:
    """Reads lots of lines of a log in a thread until told to stop."""

    def __init__(
        self, source: Source, arrived: Callable[[], object], unstarted: Callable[[], bool]
    ) -> None:
        self.error: Exception | None = None
        self.ended = False
        self.unstarted = False
        self._source = source
        self._is_unstarted = unstarted
        self._arrived = arrived
        self._waiting: deque[Lot] = deque()
        self._read_bytes = self._taken_bytes = 0
        self._room = threading.Event()
        self._stop = threading.Event()
        self._told = False
        self.thread = threading.Thread(target=self._read, name="limpet-logs", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            for lot in self._source(self._stop.is_set):
                if self._stop.is_set():
                    return
                self._read_bytes += size_of(lot)
                self._waiting.append(lot)
                self._tell()
                while not (self._stop.is_set() or self._has_room):
                    self._room.wait(1)
                    self._room.clear()
            self.unstarted = self._is_unstarted()
        except Exception as error:  # noqa: BLE001 - shown on the screen
            self.error = error
        self.ended = True
        if not self._stop.is_set():
            self._told = False
            self._tell()

    @property
    def _has_room(self) -> bool:
        return self._read_bytes - self._taken_bytes < MOST_WAITING

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._arrived()

    def take(self) -> list[Lot]:
        """Return what has been read since."""
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(len(waiting))]
        self._taken_bytes += sum(map(size_of, taken))
        self._room.set()
        return taken

    def rest(self) -> None:
        """Say once more when something arrives."""
        self._told = False
        if self._waiting:  # it came after the last look
            self._tell()

    def stop(self) -> None:
        """End the thread: at once when it has something to read, else within a second."""
        self._stop.set()
        self._room.set()


class LogsScreen(AskingScreen, inherit_bindings=False):
    """The log of the container `title`.

    `source(stopped)` is called in a thread and yields blocks of lines, or lists of (1 for
    stdout or 2 for stderr, text) pieces, each line beginning with its RFC 3339 time, and ends
    soon after `stopped()` is true: `engine.containers.log_blocks(…, stopped=stopped)`.  In merged
    logs each line has a name of `named` cells in front.  `max_bytes` is kept in memory.
    `unstarted()` is asked in the thread once the log has ended: has it none because its
    container was never started?
    """

    app: LimpetApp

    DEFAULT_CSS = """
    LogsScreen { background: $background; }
    LogsScreen #head { height: 1; background: $panel; }
    LogsScreen LogView { height: 1fr; }
    """
    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("slash", "ask('search', '/')", "Search", priority=True),
        Binding("ampersand", "ask('keep', '&')", "Keep only matching lines", priority=True),
        Binding("y", "copy", "Copy what is shown or selected"),
        Binding("S", "save", "Save to a file"),
    ]
    AUTO_FOCUS = "LogView"

    class Arrived(Message):
        """There is something to take from the reader."""

    def __init__(
        self,
        title: str,
        source: Source,
        *,
        named: int = 0,
        max_bytes: int = 32 << 20,
        unstarted: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._foot = Foot()
        self._title = title
        self._source = source
        self._unstarted = unstarted
        self._calm = 0
        self._reader: Reader | None = None
        self._timer: Timer | None = None
        self.view = LogView(max_bytes, named=named, id="log")

    def compose(self) -> ComposeResult:
        """Place head, log and foot."""
        yield self._head
        yield self.view
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Begin to read."""
        self._timer = self.set_interval(1 / FRAMES, self._frame, pause=True)
        self._reader = Reader(
            self._source, lambda: self.post_message(self.Arrived()), self._unstarted
        )
        self._tell()

    def on_unmount(self) -> None:
        """Stop reading."""
        if self._reader:
            self._reader.stop()

    @on(Arrived)
    def _arrived(self) -> None:
        self._calm = 0
        if self._timer:
            self._timer.resume()
        if self._reader and self._reader.ended:
            self._tell()

    def _frame(self) -> None:
        """Show what has arrived since the last frame; rest when nothing comes any more."""
        if self._reader is None or self._timer is None:
            return
        taken = self._reader.take()
        if taken:
            self.view.feed(taken)
        self.view.tick()
        self._calm = 0 if taken or self.view.pending else self._calm + 1
        if self._calm > CALM_FRAMES:
            self._timer.pause()
            self._reader.rest()
            self._tell()

    @on(LogView.Changed)
    def _changed(self) -> None:
        """Go on looking for lines that pass, also while none arrive."""
        if self.view.pending and self._timer:
            self._timer.resume()
        self._tell()

    def _tell(self) -> None:
        self._head.show(self._state(), self._facts())
        self.view.say_when_empty(self._empty_words())
        self._foot.offer(SELECTING if self.view.selecting else HINTS)

    @on(LogView.Missed)
    def _missed(self, event: LogView.Missed) -> None:
        self._foot.say(f"nothing matches {event.wanted}")

    def _empty_words(self) -> str:
        if len(self.view.ring):
            return "no line passes; esc shows all again"
        if self._reader and self._reader.error is not None:
            return ""  # the head tells it
        if self._reader and self._reader.unstarted:
            return "it was never started, so it has printed nothing; s on its row starts it"
        ended = self._reader is not None and self._reader.ended
        return "it printed nothing" if ended else "nothing was printed yet"

    def _state(self) -> list[Part]:
        view, reader = self.view, self._reader
        parts: list[Part] = [(f" {self._title} ", "bold")]
        if reader and reader.error is not None:
            return [*parts, (" ", ""), *cause(reader.error)]
        if view.selecting:
            parts.append((" selecting", "accent"))
        elif reader and reader.ended:
            parts.append((" not started" if reader.unstarted else " ended", "dim"))
        elif view.following:
            rate = f" {view.rate:,} lines/s" if view.rate else ""
            parts.append((f" following{rate}", "good"))
        else:
            parts.append((" held", "warn"))
        if view.ring.first:
            parts.append((f"   {view.ring.first:,} older lines dropped", "warn"))
        return parts

    def _facts(self) -> list[Part]:
        view = self.view
        parts: list[Part] = []
        if view.filter:
            waiting = "…" if view.pending else ""
            parts.append((f"&{view.filter} {view.count:,}{waiting}  ", "accent"))
        if view.level:
            parts.append((f"{WORDS[view.level]} and worse  ", "accent"))
        if view.missed:
            parts.append((f"{view.missed:,} came too fast to look at  ", "warn"))
        if view.rows.json:
            parts.append((f"JSON {view.rows.json}  ", "dim"))
        if view.rows.searched:
            parts.append((f"/{view.rows.searched.wanted}  ", "accent"))
        if view.rows.wraps:
            parts.append(("wrap  ", "dim"))
        parts.append((f"{view.position:,}/{view.count:,} ", "dim"))
        if self.app.size.width >= 100:
            parts.append((f" {shown_size(view.ring.size_bytes)} ", "faint"))
        return parts

    # Keys

    def action_leave(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_back(self) -> None:
        """End selecting; then the search; then the filter; then leave."""
        view = self.view
        if view.leave_selection():
            return
        if view.rows.searched:
            view.search("")
        elif view.filter:
            view.keep("")
        elif view.level:
            view.level = ERROR
            view.action_level()
        else:
            self.dismiss(None)

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    def action_ask(self, question: str, sign: str) -> None:
        """Let the person type what to search or to keep."""
        old = self.view.filter if question == "keep" else ""
        self.ask_line.ask(question, sign, old)

    def action_save(self) -> None:
        """Let the person say where to save what is kept."""
        if self.app.read_only:
            self._foot.say(FILES)
            return
        title = self._title.replace(", ", "-")[:60]
        name = f"{title}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        self.ask_line.ask("save", "save to ", name)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.view.focus()
        if event.text is None:
            return
        if event.question == "search":
            self.view.search(event.text)
        elif event.question == "keep":
            self.view.keep(event.text)
        elif event.text:
            lines = self.view.everything()
            self.run_worker(lambda: self._save(event.text or "", lines), thread=True)

    def _save(self, path: str, lines: Iterator[Line]) -> None:
        """Write the lines as they came; a file that is there already is left alone."""
        named, count = bool(self.view.rows.named), 0
        try:
            with open(os.path.expanduser(path), "xb") as file:
                for _, line in lines:
                    count += 1
                    file.write(colourless(line) if named else line)
            said = f"saved {count:,} line{'s' * (count != 1)} to {path}"
        except OSError as error:
            said = f"{error.strerror}: {path}"
        self.app.call_from_thread(self._foot.say, said)

    def action_copy(self) -> None:
        """Copy the selected lines, or those on the screen."""
        said = copy(self.app, "\n".join(self.view.shown()))
        self.view.leave_selection()
        self._foot.say(said)

    def on_resize(self) -> None:
        """Fit the edges."""
        if self.is_mounted:
            self._tell()
