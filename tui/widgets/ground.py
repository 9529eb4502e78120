"""What is painted line by line on one ground, as lists, logs and terminals are."""

from __future__ import annotations

from rich.style import Style
from textual._styles_cache import StylesCache
from textual.filter import ANSIToTruecolor
from textual.strip import Strip

from tui.theme import Tones

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from textual.filter import LineFilter
    from textual.geometry import Region
    from textual.widget import Widget
else:
    Widget = object  # a second widget among the bases would take the first one's styles away


class OnGround(Widget):
    """Part of a widget whose `render_line` paints whole lines, and that has no box around them.

    Its `rich_style` is there as `ground`: Textual finds it by asking each ancestor, half a
    millisecond, once a painting and not once a line.  Its `outer_size` is its size, for which
    Textual would ask the screen.
    """

    ground = Style()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._styles_cache = self._ground_lines = GroundLines()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint some lines."""
        return self._ground_lines.of(self, crop)


class Toned(OnGround):
    """Part of such a widget whose lines have no colours but those of tones."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tones = Tones(self)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Leave out what makes true colours of a terminal's own: tones have none, or keep them."""
        filters = super().get_line_filters()
        return [each for each in filters if not isinstance(each, ANSIToTruecolor)]


class GroundLines(StylesCache):
    """The lines of a widget as they were painted last.

    Textual would paint borders, padding, tints and opacity, of which there are none, on each.
    """

    def of(self, widget: OnGround, crop: Region) -> list[Strip]:
        """Return the widget's lines of a region; those that are not as they were are painted."""
        width = widget.outer_size.width
        if width != self._width:
            self.clear()
            self._width = width
        lines, (left, right) = crop.line_range, crop.column_span
        anew = [y for y in lines if self.is_dirty(y) or y not in self._cache]
        if anew:
            self._paint(widget, anew)
            self._dirty_lines.difference_update(anew)
        return [self._cache[y].crop(left, right) for y in lines]

    def _paint(self, widget: OnGround, lines: list[int]) -> None:
        ground = widget.rich_style
        if widget.ground != ground:  # what has been made of it is known by the one of before
            widget.ground = ground
        _, background = widget.background_colors
        filters = widget.get_line_filters()
        for y in lines:
            strip = widget.render_line(y)
            if filters:
                segments = list(strip)
                for each in filters:
                    segments = each.apply(segments, background)
                strip = Strip(segments, strip.cell_length)
            self._cache[y] = strip
