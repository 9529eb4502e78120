"""What is painted line by line on one ground, as lists, logs and terminals are."""

from __future__ import annotations

from rich.style import Style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.strip import Strip
    from textual.widget import Widget
else:
    Widget = object  # a second widget among the bases would take the first one's styles away


class OnGround(Widget):
    """Part of a widget that has its `rich_style` as `ground` in `render_line`.

    Textual finds it by asking each ancestor, half a millisecond: once a painting, not once a line.
    """

    ground = Style()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint some lines."""
        self.ground = self.rich_style
        return super().render_lines(crop)
