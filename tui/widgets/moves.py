"""What moves a cursor in every list: arrows, the keys of vim and of emacs, the wheel."""

from __future__ import annotations

from textual.binding import Binding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual import events

WHEEL_LINES = 3
MOVES = (
    Binding("down,j,ctrl+n", "move(1)", "Down", show=False),
    Binding("up,k,ctrl+p", "move(-1)", "Up", show=False),
    Binding("pagedown,ctrl+f,ctrl+v", "page(1)", "Page down", show=False),
    Binding("pageup,ctrl+b,alt+v", "page(-1)", "Page up", show=False),
    Binding("g,home,alt+less_than_sign", "end(-1)", "First", show=False),
    Binding("G,end,alt+greater_than_sign", "end(1)", "Last", show=False),
)
"""The widget has the actions `move` and `page` (by a number of lines, screens) and `end`."""


class Wheel:
    """A widget whose `action_move` the mouse's wheel calls: a selection never leaves the screen."""

    def action_move(self, by: int) -> None:
        """Move by lines."""
        raise NotImplementedError

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down."""
        event.stop()
        self.action_move(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up."""
        event.stop()
        self.action_move(-WHEEL_LINES)
