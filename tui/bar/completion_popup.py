"""The list of completions above the command bar."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.theme import Tones, edges
from tui.widgets.table.columns import pad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.completion import Completion
    from textual import events
    from textual.timer import Timer

MOST = 8
"""Lines shown at a time."""
REST_S = 0.15
"""Keys that come faster are typed without looking: to paint for each would fill a slow line."""


class CompletionPopup(Widget):
    """Completions with what each means; one may be picked."""

    COMPONENT_CLASSES = {"completion-popup--picked"}

    class Taken(Message):
        """The mouse has chosen."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - the base's name
        super().__init__(id=id)
        self.items: Sequence[Completion] = ()
        self._at = -1
        self._top = 0
        self._left = 0
        """The column in which the word at hand begins."""
        self._shown_for = 0
        """The one that was at hand when this was painted last."""
        self._tones = Tones(self)
        self._wide = 0
        self._rest: Timer | None = None
        self.turned: Callable[[], object] | None = None
        """Called when there is something to choose from, and when there no longer is."""

    def on_mount(self) -> None:
        """Stay away until there is something to offer."""
        self.display = False

    @property
    def picked(self) -> Completion | None:
        """The completion the person went to."""
        return self.items[self._at] if 0 <= self._at < len(self.items) else None

    @property
    def first(self) -> Completion | None:
        """The best completion."""
        return self.items[0] if self.items else None

    def offer(self, items: Sequence[Completion], x: int) -> None:
        """Have these to choose from, shown as soon as the keys rest, aligned with column `x`."""
        if not items:
            self.close()
            return
        self._at, self._top, self._left = -1, 0, x
        self._take(items)
        self._wait_no_more()
        self._rest = self.set_timer(REST_S, self._paint)

    def _take(self, items: Sequence[Completion]) -> None:
        turns = bool(items) != bool(self.items)
        self.items = items
        if turns and self.turned is not None:
            self.turned()

    def _wait_no_more(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None

    def _paint(self) -> None:
        self._wait_no_more()
        items = self.items
        if not items:
            return
        room = self.screen.size.width - edges(self)
        width = self._take_columns(room)
        height = min(MOST, len(items), max(1, self.screen.size.height - 4))
        self.styles.width = width + edges(self)
        self.styles.height = height + edges(self)
        self.styles.offset = (max(0, min(self._left - 1 - edges(self) // 2, room - width)), 0)
        self.display = True
        self.refresh()

    def _take_columns(self, room: int) -> int:
        """Make the columns as wide as `room` lets them be; return the width of both."""
        meaning = max(cell_len(item.display_meta_text) for item in self.items)
        word = max(cell_len(item.display_text) for item in self.items)
        # While a word is typed they stay where they are: calmer, and little has to be sent.
        goes_on = self.display and self._left == self._shown_for
        self._shown_for = self._left
        self._wide = max(min(word, 40 if meaning else room - 4), self._wide if goes_on else 0)
        width = self._wide + (meaning + 2 if meaning else 0) + 2
        return min(max(width, self.size.width if goes_on else 0), room)

    def close(self) -> None:
        """Go away."""
        self._wait_no_more()
        self._take(())
        self._at = -1
        self.display = False

    def pick(self, by: int) -> None:
        """Go to the next or the previous one; before the first nothing is picked."""
        if self._rest is not None:
            self._paint()
        self._at = max(-1, min(self._at + by, len(self.items) - 1))
        height = self.size.height
        self._top = max(min(self._top, max(0, self._at)), self._at - height + 1)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Take a completion."""
        self._at = self._top + event.y
        self.post_message(self.Taken())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go on."""
        event.stop()
        self.pick(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go back."""
        event.stop()
        self.pick(-1)

    def render_line(self, y: int) -> Strip:
        """Paint one completion."""
        place = self._top + y
        width = self.size.width
        base = self.rich_style
        if place >= len(self.items):
            return Strip.blank(width, base)
        item = self.items[place]
        tones = self._tones.__getitem__
        if place == self._at:
            base = self.get_component_rich_style("completion-popup--picked")
            tones = self._tones.lit
        word = pad(item.display_text, self._wide, right=False)
        meaning = item.display_meta_text
        room = width - self._wide - 4
        if cell_len(meaning) > room:
            meaning = set_cell_size(meaning, max(0, room - 1)) + "…"
        return Strip(
            [Segment(f" {word}", base), Segment(f"  {meaning} ", base + tones("dim"))]
        ).adjust_cell_length(width, base)
