"""One file of an image: text in colours, or bytes; searched, copied, extracted."""

from __future__ import annotations

import os

from textual import on
from textual.binding import Binding

from core.commands.read_only import FILES
from core.commands.show import size
from tui.answers import failure, visible
from tui.screens.file_text import MOST_BYTES, hex_line, is_text, read_bytes, text_lines
from tui.theme import plain
from tui.tty.clipboard import copy
from tui.widgets.ask_line import AskingScreen, AskLine
from tui.widgets.foot import Foot
from tui.widgets.line_list import LineList
from tui.widgets.log.ring import Matches
from tui.widgets.status import StatusLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from tui.app import LimpetApp
    from tui.theme import Part

HINTS = (
    ("j k", "move"), ("/", "search"), ("n N", "next, before"), ("x", "hex"), ("y", "copy line"),
    ("Y", "copy all"), ("X", "extract"), ("< >", "sideways"),
)  # fmt: skip
WIDE = 150
"""From this width on a line of hex has 32 bytes."""


class FileScreen(AskingScreen, inherit_bindings=False):
    """Shows the file `path`; `open_file()`, called in a thread, returns a descriptor of it.

    `lines`, when given, is shown instead: how two versions differ.
    """

    app: LimpetApp

    DEFAULT_CSS = """
    FileScreen { background: $background; }
    FileScreen #head { height: 1; background: $panel; }
    """
    BINDINGS = [
        Binding("escape,q", "back", "Back"),
        Binding("slash", "find", "Search", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("x", "hex", "Hex or text"),
        Binding("y", "copy", "Copy the line"),
        Binding("Y", "copy_all", "Copy all"),
        Binding("X", "extract", "Extract"),
    ]
    AUTO_FOCUS = "#lines"

    def __init__(
        self,
        path: str,
        open_file: Callable[[], int],
        *,
        where: str = "",
        lines: Callable[[], Sequence[Sequence[Part]]] | None = None,
    ) -> None:
        super().__init__()
        self._head = StatusLine(id="head")
        self._foot = Foot()
        self._path = path
        self._open = open_file
        self._where = where
        self._make = lines
        self._data = b""
        self._total = 0
        self._text: Sequence[Sequence[Part]] = ()
        self._hex = False
        self._searched: Matches | None = None
        self._error: Exception | None = None
        self._ready = False
        self._lines = LineList(id="lines")

    def compose(self) -> ComposeResult:
        """Place head, content and foot."""
        yield self._head
        yield self._lines
        yield self._foot
        yield self.ask_line

    def on_mount(self) -> None:
        """Read in a thread."""
        self.run_worker(self._read, thread=True)
        self._tell()

    def _read(self) -> None:
        try:
            self._data, self._total = read_bytes(self._open())
            if self._make is not None:
                self._text = self._make()
            elif is_text(self._data):
                self._text = text_lines(self._data, self._path)
            else:
                self._hex = True
                self._text = [[(line, "")] for line in visible_lines(self._data)]
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            self._error = error
        self._ready = True
        self.app.call_from_thread(self._show)

    def _show(self) -> None:
        if not self.is_attached:
            return
        if self._error is not None:
            self._lines.show_lines(failure(self._error))
        elif self._hex:
            width = self._width
            self._lines.show(-(-len(self._data) // width), lambda n: self._line(n))
        else:
            self._lines.show(len(self._text), lambda n: self._line(n))
        self._tell()

    @property
    def _width(self) -> int:
        return 32 if self.app.size.width >= WIDE else 16

    def _content(self, number: int) -> Sequence[Part]:
        if self._hex:
            return hex_line(self._data, number, self._width)
        return self._text[number]

    def _line(self, number: int) -> Sequence[Part]:
        parts = self._content(number)
        if self._searched is not None and self._searched(plain(parts)):
            parts = [(plain(parts), "accent")]
        if self._hex or self._make is not None:
            return parts
        digits = len(str(len(self._text)))
        return [(f"{number + 1:>{digits}}  ", "faint"), *parts]

    def _tell(self) -> None:
        left: list[Part] = [(f" /{visible(self._path)}", "bold"), (f"  {self._where}", "dim")]
        cut = f", the first {size(MOST_BYTES)}" if self._total > len(self._data) else ""
        mode = " hex " if self._hex else " "
        found = f"/{self._searched.wanted}  " if self._searched else ""
        right: list[Part] = [(found, "accent"), (f"{size(self._total)}{cut}{mode}", "dim")]
        self._head.show(left, right if self._ready else [("… ", "dim")])
        self._foot.offer(HINTS)

    def on_key(self) -> None:
        """Forget what was said about the key before."""
        self._foot.forget()

    def on_resize(self) -> None:
        """Fit the dump and the edges."""
        if self._ready:
            self._show()

    # Keys

    def action_back(self) -> None:
        """End the search, or go back."""
        if self._searched is not None:
            self._searched = None
            self._show()
        else:
            self.dismiss(None)

    def action_hex(self) -> None:
        """Show bytes instead of text, or text instead of bytes."""
        if self._make is None and self._error is None:
            self._hex = not self._hex
            self._lines.go(0)
            self._show()

    def action_find(self) -> None:
        """Let the person type what to search."""
        self.ask_line.ask("search", "/")

    def action_next(self, by: int) -> None:
        """Go to the next line that holds it, or the one before."""
        count = self._lines.count
        if self._searched is None or self._error is not None:
            return
        if self._hex:
            self._next_bytes(self._searched.wanted.lower().encode(), by)
            return
        for step in range(1, count + 1):
            number = (self._lines.cursor + by * step) % count
            if self._searched(plain(self._content(number))):
                self._lines.go(number)
                return
        self._foot.say(f"nothing matches {self._searched.wanted}")

    def _next_bytes(self, wanted: bytes, by: int) -> None:
        data, width, line = self._data.lower(), self._width, self._lines.cursor
        if by > 0:
            place = data.find(wanted, (line + 1) * width)
            place = data.find(wanted) if place < 0 else place
        else:
            place = data.rfind(wanted, 0, line * width)
            place = data.rfind(wanted) if place < 0 else place
        if place < 0:
            self._foot.say(f"no bytes are {wanted.decode()}")
        else:
            self._lines.go(place // width)

    def action_copy(self) -> None:
        """Copy the line under the cursor."""
        if self._lines.count and self._error is None:
            self._foot.say(copy(self.app, plain(self._content(self._lines.cursor))))

    def action_copy_all(self) -> None:
        """Copy all that is shown."""
        if self._error is None:
            lines = (plain(self._content(number)) for number in range(self._lines.count))
            self._foot.say(copy(self.app, "\n".join(lines)))

    def action_extract(self) -> None:
        """Let the person say where to write the file."""
        if self.app.read_only:
            self._foot.say(FILES)
            return
        self.ask_line.ask("extract", "extract to ", os.path.basename(self._path))

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self._lines.focus()
        if not event.text:
            return
        if event.question == "search":
            self._searched = Matches(event.text)
            self._show()
            self.action_next(1)
        else:
            target = event.text
            self.run_worker(lambda: self._extract(target), thread=True)

    def _extract(self, target: str) -> None:
        from core.images.files.extraction import write_from

        try:
            said = f"{size(write_from(self._open(), target))} written to {target}"
        except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
            said = plain(failure(error)[0])
        self.app.call_from_thread(self._foot.say, said)


UNSEEN = {code: visible(chr(code)) for code in range(256) if code not in (9, 10)}
"""How the bytes are shown that may be no letters."""


def visible_lines(data: bytes) -> list[str]:
    """Return what is no text as text all the same."""
    return data.decode("latin-1").expandtabs(8).translate(UNSEEN).split("\n")
