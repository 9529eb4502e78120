"""Renders only what an update touches.

For every update Textual goes through all lines of all widgets on the screen, though most are
neither painted nor sent.  `_get_renders` is a private name of Textual, whose release is pinned.
"""

from __future__ import annotations

from textual._compositor import Compositor
from textual.geometry import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.strip import Strip


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
            if shown and (crop is None or crop.overlaps(shown)):
                yield region, near, widget.render_lines(shown.translate(-region.offset))
