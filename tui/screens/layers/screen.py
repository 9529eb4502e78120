"""Looks into an image: its layers, the files of each, and what each did to those below."""

from __future__ import annotations

from textual.binding import Binding

from core.images.files.file_tree import ADDED, CHANGED, REMOVED, SAME
from tui.screens.layers.file_actions import FileActions
from tui.screens.layers.lines import step_words
from tui.tty.clipboard import copy


class LayersScreen(FileActions, inherit_bindings=False):
    """The layer browser's keys."""

    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("q", "leave", "Leave"),
        Binding("left_square_bracket", "layer(-1)", "Layer before"),
        Binding("right_square_bracket", "layer(1)", "Next layer"),
        Binding("tab,shift+tab", "other", "Other pane"),
        Binding("enter,right,l", "other", "To the files"),
        Binding("t", "whole", "Whole image or one layer"),
        Binding("a", f"only('{ADDED}')", "Only added files"),
        Binding("m", f"only('{CHANGED}')", "Only changed files"),
        Binding("d", f"only('{REMOVED}')", "Only removed files"),
        Binding("u", f"only('{SAME}')", "Only unchanged files"),
        Binding("slash", "find", "Find by name, /path or pattern", priority=True),
        Binding("n", "next(1)", "Next"),
        Binding("N", "next(-1)", "Before"),
        Binding("s", "ask", "Search the files' content", priority=True),
        Binding("v", "version", "To the layer with the version before"),
        Binding("D", "diff", "How the file differs from the version before"),
        Binding("X", "extract", "Extract the file, or a directory as tar"),
        Binding("w", "wasted", "The files that waste most, to go to one"),
        Binding("y", "copy", "Copy the path"),
    ]

    def action_leave(self) -> None:
        """Go back to the tables."""
        self.dismiss(None)

    def action_back(self) -> None:
        """End what goes on, or show all files again; then leave."""
        if self._working:
            self._halt.set()
            self._source.cancel()
        elif self._statuses:
            self._statuses = frozenset()
            self._build()
        else:
            self.dismiss(None)

    def action_other(self) -> None:
        """Go to the other pane."""
        (self.layer_list if self.file_list.has_focus else self.file_list).focus()

    def action_whole(self) -> None:
        """Show the whole image up to the layer, or the layer alone."""
        self._whole = not self._whole
        self._build()

    def action_only(self, status: str) -> None:
        """Show only files of this status, or no longer only those."""
        self._statuses ^= {status}
        self._build()

    def action_copy(self) -> None:
        """Copy the path under the cursor, or what made the layer."""
        if self.layer_list.has_focus and self._contents.layers:
            self._foot.say(copy(self.app, step_words(self._contents.layers[self._number])))
        elif self.file_list.row is not None:
            self._foot.say(copy(self.app, f"/{self.file_list.row.path}"))
