"""Renders only what an update shows, and nothing that is gone.

For every update Textual goes through all lines of all widgets between the first line that is
painted and the last, though most are not painted, or stand behind others.  And until it has laid
out what is left, it would paint a widget that has been removed and has lost its styles.
`_render_chops` is a private name of Textual, whose release is pinned.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from rich.style import Style
from textual._compositor import Compositor
from textual.geometry import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from textual.events import ScreenResume
    from textual.screen import Screen
    from textual.strip import Strip
    from textual.widget import Widget

    AnyScreen = Screen[Any]
    Pieces = Mapping[int, Strip]
    """Of one line, what begins at a column."""
else:
    AnyScreen = object  # a second screen among the bases would take the first one's styles away


class PaintsNear(AnyScreen):
    """Part of a screen that is put together by a `NearCompositor`, and styled once as it opens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._compositor = NearCompositor()

    def _on_screen_resume(self, event: ScreenResume) -> None:
        # The first time its widgets have just been mounted, with the styles they are to have.
        event.refresh_styles = event.refresh_styles and self.stack_updates > 0


class NearCompositor(Compositor):
    """A compositor that renders of each widget only lines that are painted and show it."""

    def _render_chops(
        self, crop: Region, is_rendered_line: Callable[[int], bool]
    ) -> Sequence[Pieces]:
        cuts = self.cuts
        chops: list[dict[int, Strip | None]] = [dict.fromkeys(cut[:-1]) for cut in cuts]
        missing = {
            y: {x for x, end in pairwise(cuts[y]) if x < crop.right and end > crop.x}
            for y in crop.line_range
            if is_rendered_line(y)
        }
        # The foremost come first.
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            if not shown or _is_gone(widget):
                continue
            left, right = shown.column_span
            lines = [
                y
                for y in shown.line_range
                if y in missing and any(left <= x < right for x in missing[y])
            ]
            for top, bottom in _runs(lines):
                part = Region(left, top, shown.width, bottom - top)
                strips = widget.render_lines(part.translate(-region.offset))
                for y, strip in zip(part.line_range, strips, strict=False):
                    for x, piece in _pieces(strip, left, right, cuts[y]):
                        if chops[y][x] is None:
                            chops[y][x] = piece
                            missing[y].discard(x)
        return cast("Sequence[Pieces]", chops)

    def get_style_at(self, x: int, y: int) -> Style:
        """Return the style of a cell; none where a widget was that is gone."""
        if any(_is_gone(widget) for widget, _ in self.get_widgets_at(x, y)):
            return Style.null()
        return super().get_style_at(x, y)


def _is_gone(widget: Widget) -> bool:
    return widget.parent is None


def _runs(lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Join ascending numbers that follow each other to (first, last + 1)."""
    start = 0
    for place, line in enumerate(lines, 1):
        if place == len(lines) or lines[place] != line + 1:
            yield lines[start], line + 1
            start = place


def _pieces(
    strip: Strip, left: int, right: int, cuts: Sequence[int]
) -> Iterator[tuple[int, Strip]]:
    """Cut a strip that lies between two columns, each of which is a cut; with where each begins."""
    starts = [cut for cut in cuts if left <= cut < right]
    if len(starts) == 1 and strip.cell_length == right - left:
        yield left, strip  # that would remember itself as its own piece: garbage
        return
    ends = [*starts[1:], right]
    yield from zip(starts, strip.divide([end - left for end in ends]), strict=False)
