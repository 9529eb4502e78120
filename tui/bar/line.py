"""The line of the command bar: what its keys do, its colours and its ghost."""

from __future__ import annotations

from rich.highlighter import Highlighter
from textual.binding import Binding
from textual.geometry import Size
from textual.reactive import Reactive
from textual.suggester import Suggester
from textual.widgets import Input

from tui.bar.line_words import paint
from tui.theme import Tones
from tui.widgets.keys_in_order import KeysInOrder, typable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from rich.text import Span, Text
    from textual import events
    from textual.events import Key

    from tui.bar.command_bar import CommandBar


class Ghost(Suggester):
    """Suggests the newest line of the history that starts with what is typed."""

    def __init__(self, bar: CommandBar) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._bar = bar

    async def get_suggestion(self, value: str) -> str | None:
        """Return the whole line, None where there is none."""
        history = self._bar.past.history
        if history is None or self._bar.searching:
            return None
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.document import Document

        found = AutoSuggestFromHistory().get_suggestion(_Holder(history), Document(value))  # type: ignore[arg-type]
        return value + found.text if found and found.text else None


class _Holder:
    """What AutoSuggestFromHistory needs of a buffer."""

    def __init__(self, history: History) -> None:
        self.history = history


class Colours(Highlighter):
    """Colours a line by what the grammar says about its words."""

    def __init__(self, bar: CommandBar) -> None:
        self._bar = bar
        self._tones = Tones(bar)
        self._known: object = None
        self._line: tuple[object, ...] = ()
        self._spans: list[Span] = []

    def highlight(self, text: Text) -> None:
        """Colour it."""
        bar = self._bar
        if bar.searching:
            return
        line = (text.plain, bar.offers, bar.app.theme)
        if line == self._line and bar.known is self._known:  # asked for five times a key
            text.spans = self._spans.copy()
            return
        paint(text, bar, self._tones)
        self._line, self._known, self._spans = line, bar.known, text.spans.copy()


class BarInput(KeysInOrder, Input):
    """The line itself: keys that Textual's Input lacks."""

    virtual_size = Reactive(Size(0, 0))
    """Textual lays the whole screen out anew when this changes: with each letter."""

    BINDINGS = [
        Binding("tab", "complete", "Complete", show=False),
        Binding("up,ctrl+p", "walk(-1)", "Line before", show=False),
        Binding("down,ctrl+n", "walk(1)", "Next line", show=False),
        Binding("pageup", "page(-1)", "Scroll the session up", show=False),
        Binding("pagedown", "page(1)", "Scroll the session down", show=False),
        Binding("alt+enter,shift+enter,ctrl+j", "grow", "Go on in another line", show=False),
        Binding("f4", "edit", "Edit in $EDITOR", show=False),
        Binding("ctrl+r", "find_history", "Look for a line of the past", show=False),
        Binding("escape", "leave", "Back to the table", show=False),
        Binding("ctrl+c", "empty", "Empty the line, or leave it", show=False),
    ]

    def __init__(self, bar: CommandBar) -> None:
        super().__init__(
            id="line",
            compact=True,
            select_on_focus=False,
            highlighter=Colours(bar),
            suggester=Ghost(bar),
        )
        self.cursor_blink = False
        self._bar = bar
        self._is_left = False

    @property
    def left(self) -> bool:
        """Whether a key before has closed the bar, or given the keys to something else."""
        return self._is_left or super().left

    def leave(self) -> None:
        """Be empty, and take no keys until they are given again."""
        self._is_left = True
        with self.prevent(Input.Changed):
            self.value = ""

    def take_keys(self) -> None:
        """Have the keys from now on; `focus` would let the next ones pass by."""
        self._is_left = False
        self.screen.set_focus(self)

    def on_focus(self) -> None:
        """Take keys: the mouse chose this."""
        self._is_left = False

    async def _on_key(self, event: Key) -> None:
        if event.character == ":" and not (self.value or self._bar.searching or self.left):
            event.stop()  # the key that opens the bar, pressed while it is open
            event.prevent_default()

    async def action_submit(self) -> None:
        """Take what was typed."""
        self._bar.enter()

    def action_complete(self) -> None:
        """Take the completion."""
        self._bar.accept()

    def action_walk(self, by: int) -> None:
        """Go through completions or history."""
        self._bar.walk(by)

    async def action_grow(self) -> None:
        """Go on in another line."""
        await self._bar.grow(f"{self.value}\n" if self.value else "")

    async def action_edit(self) -> None:
        """Edit the line, which may become several, in the person's own editor."""
        if self._bar.may_start_editor():
            await self._bar.grow(self.value)
            if self._bar.script is not None:
                self._bar.script.action_edit()

    def _on_paste(self, event: events.Paste) -> None:
        text = typable(event.text.strip())
        if "\n" in text:
            event.stop()
            event.prevent_default()
            self.call_later(self._bar.grow, self.value + text)

    def action_find_history(self) -> None:
        """Look for a line of the past."""
        self._bar.find_history()

    def action_page(self, by: int) -> None:
        """Scroll the session."""
        self._bar.page(by)

    def action_leave(self) -> None:
        """Go back to the table."""
        self._bar.leave()

    def action_empty(self) -> None:
        """Empty the line; on an empty one, end what goes on, or leave."""
        if self.value:
            self.value = ""
        else:
            self._bar.interrupt()
