"""Lets go of what widgets have painted once they are gone.

Textual remembers two colours by the cache of a widget's lines, and of the last thousand with
them all their lines: ten or twenty megabytes, where the colours alone are the same for all.
It is a private name of Textual, whose release is pinned.
"""

from __future__ import annotations

from textual._styles_cache import StylesCache

COLOURS = "get_inner_outer"


def let_go() -> None:
    """Have Textual remember the colours by themselves; for the whole process."""
    remembered = vars(StylesCache)[COLOURS]
    if not isinstance(remembered, classmethod):
        setattr(StylesCache, COLOURS, classmethod(remembered))
