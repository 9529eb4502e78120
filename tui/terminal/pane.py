"""Terminals in the app: each runs on a pty of its own, the app is that pty's terminal.

All keys go in, but for `ctrl-]`, which gives them back to the tables, ctrl with page up or
down, which goes to another terminal, and shift with them, which scrolls; what is looked back
at, `y` copies.  The detach keys are the relay's own matter.  The mouse is the program's if it
asks for it; else it marks what is copied, and its wheel scrolls.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import struct
import termios
import threading
import tty
from collections import deque

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.emulator import PyteEmulator
from tui.terminal.keys import MOVED, WHEEL_DOWN, WHEEL_UP, mouse, sequence
from tui.terminal.selection import Selection
from tui.widgets.ground import OnGround

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from core.commands.result import Foreground
    from tui.terminal.emulator import Emulator

AT_ONCE = 8 << 10
"""Bytes read, and shown, at a time: more would hold keys up."""
MOST_WAITING = 64
MOST_UNSENT = 1 << 20
FRAME_S = 1 / 30
LEAVE = "ctrl+right_square_bracket"
STEP = 3
"""Lines that the mouse's wheel scrolls."""
SGR_MOUSE = 1006
TELLS_BUTTONS, TELLS_MOVES = (1000, 1002, 1003), (1002, 1003)
"""Modes in which a program is told of the mouse."""


class TerminalPane(OnGround, Widget, can_focus=True):
    """One program's terminal."""

    DEFAULT_CSS = "TerminalPane { height: 1fr; }"

    class Left(Message):
        """The person gives the keys back to the tables."""

    class Chosen(Message):
        """The person goes to the next terminal (1) or the one before (-1)."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Ended(Message):
        """The program has ended, or was left running (-1), or could not be run."""

        def __init__(self, pane: TerminalPane, code: int, error: Exception | None) -> None:
            super().__init__()
            self.pane = pane
            self.code = code
            self.error = error

    class Arrived(Message):
        """There is output to show."""

    class LookedBack(Message):
        """What is shown scrolls now, or the newest is shown again."""

    class Copied(Message):
        """This is to be copied."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, number: int, foreground: Foreground) -> None:
        super().__init__()
        self.number = number
        self.title = foreground.title
        self._foreground = foreground
        self._master, self._slave = pty.openpty()
        # A program that reads nothing would hold up the app.
        os.set_blocking(self._master, False)
        # The relay makes it raw only when it begins: nothing typed before is echoed twice.
        tty.setraw(self._slave)
        self._emulator: Emulator = PyteEmulator(80, 24, self.send)
        self._unsent = bytearray()
        self._waiting: deque[bytes] = deque()
        self._room = threading.Event()
        self._told = False
        self._back = 0
        """Lines that are scrolled back."""
        self.looks_back = False
        """Whether `y` copies what is shown."""
        self._marked: Selection | None = None
        self._held = -1
        """The mouse's button that the program knows to be held."""
        self._begun = False

    def on_resize(self) -> None:
        """Tell the program the size; it is started when there is one."""
        columns, rows = self.size
        if not (columns and rows):
            return
        self._emulator.resize(columns, rows)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._back = 0
        if not self._begun:
            self._begun = True
            for work in (self._run, self._read):
                threading.Thread(target=work, name="limpet-pane", daemon=True).start()
        self.refresh()

    def on_unmount(self) -> None:
        """Hang up, as a terminal that is closed does."""
        self._room.set()
        self._close()

    def _close(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_writer(self._master)
            os.close(self._master)
            self._master = -1

    # In threads

    def _run(self) -> None:
        error: Exception | None = None
        code = 0
        try:
            code = self._foreground.relay(self._slave, self._slave, self._slave)
        except Exception as caught:  # noqa: BLE001 - shown in the session, bugs included
            error = caught
        os.close(self._slave)
        self.post_message(self.Ended(self, code, error))

    def _read(self) -> None:
        master = self._master
        output = select.poll()
        output.register(master, select.POLLIN)
        while True:
            try:
                output.poll()
                data = os.read(master, AT_ONCE)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the program's side is closed
                return
            if not data:
                return
            self._waiting.append(data)
            if not self._told:
                self._told = True
                self.post_message(self.Arrived())
            if len(self._waiting) >= MOST_WAITING:
                self._room.clear()
                self._room.wait(1)

    # What comes out

    def on_terminal_pane_arrived(self) -> None:
        """Show one piece now, the next in the next frame."""
        if not self._waiting:
            self._told = False
            return
        dirty = self._emulator.feed(self._waiting.popleft())
        while self._waiting and len(self._waiting) > MOST_WAITING // 2:
            dirty |= self._emulator.feed(self._waiting.popleft())  # it comes faster than it shows
        self._room.set()
        if self._back:
            self.refresh()
        else:
            width = self.size.width
            self.refresh(*(Region(0, y, width, 1) for y in dirty if y < self.size.height))
        if self._waiting:
            self.set_timer(FRAME_S / 10, self._go_on)
        else:
            self._told = False
            if self._waiting:  # it came after the last look
                self._go_on()

    def _go_on(self) -> None:
        self._told = True
        self.post_message(self.Arrived())

    def render_line(self, y: int) -> Strip:
        """Paint a row, and the cursor when it is there."""
        width, base = self.size.width, self.ground
        number = y - self._back
        if number < -self._emulator.scrolled or number >= self.size.height:
            return Strip.blank(width, base)
        segments = [
            Segment(segment.text, base + (segment.style or Style.null()))
            for segment in self._emulator.row(number)
        ]
        strip = Strip(segments).adjust_cell_length(width, base)
        if self._marked:
            at = self._marked.on_line(self._emulator.scrolled + number, width)
            marked = strip.crop(at.start, at.stop).apply_style(Style(reverse=True))
            strip = Strip.join([strip.crop(0, at.start), marked, strip.crop(at.stop)])
        cursor = self._emulator.cursor
        if cursor and cursor[1] == number and self.has_focus and not self._back:
            x = cursor[0]
            under = strip.crop(x, x + 1).apply_style(Style(reverse=True))
            strip = Strip.join([strip.crop(0, x), under, strip.crop(x + 1)])
        return strip

    # What goes in

    def send(self, data: bytes) -> None:
        """Type this; of what the program does not read in time a megabyte waits for it."""
        if self._master >= 0:
            self._unsent += data[: MOST_UNSENT - len(self._unsent)]
            self._send_on()

    def _send_on(self) -> None:
        """Give the program what it takes now, and the rest when it takes more."""
        loop = asyncio.get_running_loop()
        try:
            del self._unsent[: os.write(self._master, self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it has just ended
            self._unsent.clear()
        if self._unsent:
            loop.add_writer(self._master, self._send_on)
        else:
            loop.remove_writer(self._master)

    def on_key(self, event: events.Key) -> None:
        """Pass the key on, except those that are the app's."""
        event.stop()
        event.prevent_default()
        if event.key == LEAVE:
            self.post_message(self.Left())
        elif event.key == "shift+pageup":
            self._look_back(self.size.height - 1)
        elif event.key == "shift+pagedown":
            self._look_back(1 - self.size.height)
        elif event.key in ("ctrl+pageup", "ctrl+pagedown"):
            self.post_message(self.Chosen(1 if event.key == "ctrl+pagedown" else -1))
        elif event.key == "y" and self.looks_back:
            self.post_message(self.Copied(self.text))
            self._come_back()
        else:
            self._come_back()
            application = self._emulator.is_on(1)
            self.send(sequence(event.key, event.character, application=application))

    def on_paste(self, event: events.Paste) -> None:
        """Pass on what was pasted, marked if the program has asked for that."""
        event.stop()
        data = event.text.replace("\n", "\r").encode()
        self.send(b"\x1b[200~" + data + b"\x1b[201~" if self._emulator.is_on(2004) else data)

    # The mouse

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Look at what was scrolled away."""
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Come back from it."""
        self._wheel(event, 1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        """Turn the wheel for the program, which may know arrow keys only, or scroll."""
        event.stop()
        if self._tells(TELLS_BUTTONS):
            self._send_mouse(WHEEL_UP if by < 0 else WHEEL_DOWN, event)
        elif self._emulator.is_alternate:
            key = "up" if by < 0 else "down"
            self.send(sequence(key, None, application=self._emulator.is_on(1)) * STEP)
        elif by < 0 or self._back:
            self._look_back(-by * STEP)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press a button for the program, or begin to mark."""
        event.stop()
        self.capture_mouse()
        if self._tells(TELLS_BUTTONS):
            self._held = event.button - 1
            self._send_mouse(self._held, event)
        elif event.button == 1:
            self._mark(Selection(self._place(event), self._place(event)))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Go on with either."""
        if self._held >= 0:
            if self._tells(TELLS_MOVES):
                self._send_mouse(self._held + MOVED, event)
        elif self._marked:
            self._mark(self._marked.replace(end=self._place(event)))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let the button go for the program, or copy what is marked."""
        event.stop()
        self.release_mouse()
        if self._held >= 0:
            self._send_mouse(self._held, event, pressed=False)
            self._held = -1
        elif self._marked:
            marked = self._marked
            self._mark(None)
            if marked.start != marked.end:
                self.post_message(self.Copied(self._marked_text(marked)))

    def _tells(self, modes: Sequence[int]) -> bool:
        return not self._back and any(map(self._emulator.is_on, modes))

    def _send_mouse(self, button: int, event: events.MouseEvent, *, pressed: bool = True) -> None:
        x, y = self._inside(event)
        self.send(mouse(button, x, y, sgr=self._emulator.is_on(SGR_MOUSE), pressed=pressed))

    def _inside(self, event: events.MouseEvent) -> tuple[int, int]:
        """Return the cell where the mouse is, or the nearest one."""
        x, y = int(event.x), int(event.y)
        return max(0, min(x, self.size.width - 1)), max(0, min(y, self.size.height - 1))

    def _place(self, event: events.MouseEvent) -> tuple[int, int]:
        x, y = self._inside(event)
        return self._emulator.scrolled + y - self._back, x

    def _mark(self, marked: Selection | None) -> None:
        if marked != self._marked:
            self._marked = marked
            self.refresh()

    def _marked_text(self, marked: Selection) -> str:
        width, scrolled = self.size.width, self._emulator.scrolled
        found = []
        for line in marked.lines:
            at = marked.on_line(line, width)
            found.append(Strip(self._emulator.row(line - scrolled)).crop(at.start, at.stop).text)
        return "\n".join(text.rstrip() for text in found)

    # Looking back

    def _look_back(self, by: int) -> None:
        """Scroll, and let `y` copy what is shown."""
        self._scroll(by)
        self._looks(by > 0 or bool(self._back))

    def _come_back(self) -> None:
        self._scroll(-self._back)
        self._looks(False)

    def _looks(self, back: bool) -> None:
        if back != self.looks_back:
            self.looks_back = back
            self.post_message(self.LookedBack())

    def _scroll(self, by: int) -> None:
        back = max(0, min(self._back + by, self._emulator.scrolled))
        if back != self._back:
            self._back = back
            self.refresh()

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()

    @property
    def text(self) -> str:
        """What the pane shows, as text."""
        rows = (self._emulator.row(y - self._back) for y in range(self.size.height))
        return "\n".join("".join(part.text for part in row).rstrip() for row in rows)
