"""Turns lines of a log into rows of the screen, those that are looked at and no others."""

from __future__ import annotations

from rich.style import Style

from tui.widgets.ansi import ESCAPE, Span, breaks, cut, over, pieces, plain_text, spans
from tui.widgets.log.levels import TONES, find_level, pretty_json, read_json, short_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.theme import Tones
    from tui.widgets.log.ring import LogRing, Matches

STAMP = 31
"""Bytes of a time and the blank after it: `2026-11-24T19:47:17.123456789Z `."""
DATED = 100
"""From this width on times are shown with their date."""
NARROW = 8
CACHED = 2000
REVERSE = Style(reverse=True)

Rows = list[list[Span]]
RAW, SHORT, PRETTY = "", "short", "pretty"
"""How JSON lines are shown: as they came, in a person's words, or indented."""


class LogRows:
    """Rows by line number, remembered until something about their look changes."""

    def __init__(self, ring: LogRing, tones: Tones) -> None:
        self.stamps = False
        """Whether times are shown."""
        self.wraps = False
        self.json = RAW
        self.levels = True
        """Whether the words for levels are coloured."""
        self.named = 0
        """Cells of the name in front of each line, when logs are merged."""
        self.left = 0
        """Columns that are scrolled out of sight, when lines are not wrapped."""
        self.width = 80
        self.searched: Matches | None = None
        self._ring = ring
        self._tones = tones
        self._rows: dict[int, tuple[int, Rows]] = {}

    def forget(self) -> None:
        """Make all rows anew: something about them has changed."""
        self._rows.clear()

    def text(self, number: int) -> str:
        """Return a line's text as it is searched and copied."""
        text = plain_text(self._ring[number][1])
        return text if self.stamps else text[STAMP:]

    def __getitem__(self, number: int) -> Rows:
        line = self._ring[number][1]
        known = self._rows.get(number)
        if known is not None and known[0] == len(line):
            return known[1]
        if len(self._rows) > CACHED:
            self._rows.clear()
        rows = self._make(line.decode("utf-8", "replace").rstrip())
        self._rows[number] = (len(line), rows)
        return rows

    def _make(self, text: str) -> Rows:
        head: list[Span] = []
        stamp, text = text[: STAMP - 1], text[STAMP:]
        if self.stamps:
            date = f"{stamp[:10]} " if self.width >= DATED else ""
            head = [(f"{date}{stamp[11:23]}  ", self._tones["dim"])]
        room = max(NARROW, self.width - sum(len(part) for part, _ in head))
        if self.json:
            shown = self._json(text, room)
            if shown is not None:
                return [head + shown[0], *shown[1:]]
        parts = spans(text, None if self.wraps else self.left + room)
        plain = "".join(part for part, _ in parts)
        if self.levels:
            parts = self._levelled(parts, plain, text)
        if self.searched is not None:
            parts = over(parts, self.searched.ranges(plain), self._hit)
        if not self.wraps:
            return [head + parts]
        blank = [(" " * len(part), style) for part, style in head]
        first, *others = pieces(parts, breaks(plain, room)[1:])
        return [head + first, *(blank + row for row in others)]

    def _levelled(self, parts: list[Span], plain: str, text: str) -> list[Span]:
        """Colour the word for the level, in lines that bring no colours themselves."""
        if ESCAPE in text[self.named :] and not self.named:
            return parts
        level, start, end = find_level(plain[self.named :])
        if not level:
            return parts
        where = (start + self.named, end + self.named)
        return over(parts, [where], self._tones[TONES[level]])

    def _json(self, text: str, room: int) -> Rows | None:
        """Return the rows of a line that is a JSON object."""
        named = spans(text) if self.named else []
        plain = plain_text(text.encode())
        document = read_json(plain[self.named :])
        if document is None:
            return None
        name = cut(named, 0, self.named)
        if self.json == PRETTY:
            blank = " " * self.named
            lines = [[(line, Style.null())] for line in pretty_json(document)]
            rows = [[*name, *lines[0]], *([(blank, Style.null()), *line] for line in lines[1:])]
        else:
            parts = [(words, self._tones[tone]) for words, tone in short_json(document)]
            rows = [[*name, *parts]]
        found: Rows = []
        for row in rows:
            shown = "".join(words for words, _ in row)
            if self.searched is not None:
                row = over(row, self.searched.ranges(shown), self._hit)
            if self.wraps:
                found += pieces(row, breaks(shown, room)[1:])
            else:
                found.append(row)
        return found

    @property
    def _hit(self) -> Style:
        return self._tones["accent"] + REVERSE
