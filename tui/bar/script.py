"""Several command lines at once: what the command bar grows into."""

from __future__ import annotations

import os
import subprocess
import tempfile

from rich.style import Style
from textual.binding import Binding
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import TextArea

from tui.bar.line_words import paint
from tui.theme import Tones
from tui.widgets.keys_in_order import KeysInOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.text import Text
    from textual import events

    from tui.bar.command_bar import CommandBar

MOST_LINES = 12


class Script(KeysInOrder, TextArea):
    """Lines to be carried out one after the other, coloured and completed as in the bar."""

    DEFAULT_CSS = """
    Script, Script:focus {
        border: none; padding: 0; width: 1fr; height: 2; background: $surface;
        scrollbar-size: 0 0;
    }
    """
    BINDINGS = [
        Binding("ctrl+j,f5", "run", "Run all", show=False),
        Binding("alt+enter,shift+enter", "line", "Go on in another line", show=False),
        Binding("tab", "complete", "Complete", show=False),
        Binding("ctrl+n", "pick(1)", "Next completion", show=False),
        Binding("ctrl+p", "pick(-1)", "Completion before", show=False),
        Binding("escape", "leave", "Back", show=False),
        Binding("f4", "edit", "Edit in $EDITOR", show=False),
    ]

    class Ran(Message):
        """The lines are to be carried out."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, bar: CommandBar) -> None:
        super().__init__(compact=True, highlight_cursor_line=False)
        self.cursor_blink = False
        self._bar = bar
        self._tones = Tones(self)

    @property
    def rich_style(self) -> Style:
        """Have a ground at any time: TextArea else takes the theme's, and Rich does not know
        the terminal's own by Textual's name.
        """
        style = super().rich_style
        return style if style.bgcolor else style + Style(bgcolor="default")

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Show where the cursor is, unless an undo has just taken its line and not yet moved it."""
        if self.cursor_location[0] >= self.document.line_count:
            return Offset()
        return super().scroll_cursor_visible(center, animate)

    def get_line(self, line_index: int) -> Text:
        """Return a line in its colours."""
        text = super().get_line(line_index)
        if not text.plain.lstrip().startswith("#"):
            typed = line_index == self.cursor_location[0]
            paint(text, self._bar, self._tones, typed=typed)
        return text

    def recolour(self) -> None:
        """Paint anew, in other colours."""
        self._line_cache.clear()
        self.refresh()

    @property
    def before(self) -> str:
        """The line at hand up to the cursor."""
        row, column = self.cursor_location
        return str(self.document.get_line(row))[:column]

    def fit(self) -> int:
        """Be as high as the text needs; return how high that is."""
        lines = min(max(2, self.document.line_count), MOST_LINES, self.app.size.height // 2)
        self.styles.height = lines
        return lines

    def take(self, text: str, back: int) -> None:
        """Put a completion in the place of the last `back` letters."""
        row, column = self.cursor_location
        self.replace(text, (row, column - back), (row, column))

    def action_run(self) -> None:
        """Carry all lines out."""
        self.post_message(self.Ran(self.text))

    def action_line(self) -> None:
        """Go on in another line, as enter does: the keys that got here."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Take the completion."""
        self._bar.accept()

    def action_pick(self, by: int) -> None:
        """Go through the completions."""
        self._bar.popup.pick(by)

    def action_leave(self) -> None:
        """Close the completions, or go back to the tables; the lines are kept."""
        self._bar.leave()

    def action_edit(self) -> None:
        """Edit the lines in the person's own editor."""
        if self._bar.may_start_editor():
            try:
                self.text = edit(self)
            except OSError as error:  # as a full disk has no room for it
                words = f"the lines cannot be given to an editor: {error.strerror}"
                board = self._bar.app.dashboard
                board.output.say([(words, "bad")])
                board.show_pane()
                return
            self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and self._bar.popup.picked is not None:
            event.stop()
            event.prevent_default()
            self._bar.accept()


def edit(script: Script) -> str:
    """Let the person change the text in $VISUAL, $EDITOR or vi; return it as it is then."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    fd, path = tempfile.mkstemp(prefix="limpet-", suffix=".sh")
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(script.text)
        with script.app.suspend():
            ended = subprocess.run(["/bin/sh", "-c", f'{editor} "$1"', "sh", path])
        if ended.returncode:
            return script.text
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    finally:
        os.unlink(path)
