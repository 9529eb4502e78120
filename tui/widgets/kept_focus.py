"""Screens on which something has the keys at any time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from textual.screen import Screen
    from textual.widget import Widget

    AnyScreen = Screen[Any]
else:
    AnyScreen = object  # a second screen among the bases would take the first one's styles away


class KeepsFocus(AnyScreen):
    """Part of a screen that gives the keys to `home` when Textual takes them from everybody.

    It does when what had them is hidden or removed with nothing beside it, and at a click beyond
    the edge, as comes from a terminal that has just become smaller.
    """

    @property
    def home(self) -> Widget | None:
        """What has the keys when nothing else has: what is shown of `AUTO_FOCUS`, or the first."""
        shown = self.focus_chain
        wanted = set(self.query(self.AUTO_FOCUS)) if self.AUTO_FOCUS else ()
        return next((widget for widget in shown if widget in wanted), next(iter(shown), None))

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        """Give a widget the keys; None stands for `home`."""
        super().set_focus(widget or self.home, scroll_visible, from_app_focus)
