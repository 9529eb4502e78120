"""The keys that move a cursor through lines, the same in every list; vim's beside the arrows."""

from __future__ import annotations

from textual.binding import Binding

MOVES = (
    Binding("down,j", "move(1)", "Down", show=False),
    Binding("up,k", "move(-1)", "Up", show=False),
    Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
    Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
    Binding("g,home", "end(-1)", "First", show=False),
    Binding("G,end", "end(1)", "Last", show=False),
)
"""The widget has the actions `move` and `page` (by a number of lines, screens) and `end`."""
