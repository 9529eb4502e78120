"""Renders only what an update touches, and nothing that is gone.

For every update Textual goes through all lines of all widgets on the screen, though most are
neither painted nor sent.  And until it has laid out what is left, it would paint a widget that
has been removed and has lost its styles.  `_get_renders` is a private name of Textual, whose
release is pinned.
"""

from __future__ import annotations

from rich.style import Style
from textual._compositor import Compositor
from textual.geometry import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.strip import Strip
    from textual.widget import Widget


class NearCompositor(Compositor):
    """A compositor that leaves out widgets and lines beyond the region of an update."""

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        # Lines are cut, columns are not: those of a line are put together from whole widgets.
        lines = None if crop is None else Region(0, crop.y, self.size.width, crop.height)
        for widget, (region, clip) in self.visible_widgets.items():
            near = clip if lines is None else clip.intersection(lines)
            shown = region.intersection(near)
            if shown and not _is_gone(widget) and (crop is None or crop.overlaps(shown)):
                yield region, near, widget.render_lines(shown.translate(-region.offset))

    def get_style_at(self, x: int, y: int) -> Style:
        """Return the style of a cell; none where a widget was that is gone."""
        if any(_is_gone(widget) for widget, _ in self.get_widgets_at(x, y)):
            return Style.null()
        return super().get_style_at(x, y)


def _is_gone(widget: Widget) -> bool:
    return widget.parent is None
