"""Sentences in the cells of a table that is wider than the terminal, on several lines each."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

LEAST = 16
"""Columns of a cell that is folded; a screen that is narrower still breaks the lines itself."""


def fold(rows: list[list[str]], places: list[int], width: int, gap: int) -> list[list[str]]:
    """Return rows in which the cells at `places` share what the others leave of the width.

    A cell that does not fit goes on in further rows.
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    left = width - sum(widths) - gap * (len(widths) - 1) + sum(widths[place] for place in places)
    for rest, place in enumerate(sorted(places, key=lambda place: widths[place])):
        share = max(LEAST, left // (len(places) - rest))
        widths[place] = min(widths[place], share)
        left -= widths[place]
    found = []
    for row in rows:
        cells = [
            textwrap.wrap(value, widths[place], break_on_hyphens=False, break_long_words=False)
            if place in places
            else [value]
            for place, value in enumerate(row)
        ]
        found += [list(line) for line in zip_longest(*cells, fillvalue="")]
    return found
