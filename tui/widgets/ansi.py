"""Reads what a container printed: colours are kept, nothing else may steer the terminal.

Of all escape sequences only SGR (ECMA-48 8.3.117, `ESC [ … m`) has an effect, and of it
neither blinking nor hidden text.  Cursor movements, titles, clipboard writes and the rest
are left out; single control characters are shown as `\\x07`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rich.ansi import SGR_STYLE_MAP
from rich.cells import cell_len, get_character_cell_size
from rich.color import Color
from rich.style import Style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Span = tuple[str, Style]
SEQUENCE = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # CSI: parameters, then what it does
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC: strings up to their end
    r"|\x1b[ -/]*[0-~]?"  # everything else
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
ESCAPE = "\x1b"
SGR = re.compile("[0-9;:]*")
"""Parameters with another character in front, as `?`, are of a terminal's own sequences."""
IGNORED = frozenset((5, 6, 8, 25, 28))
"""Blinking and concealing, and their ends."""
TAB = 8
PER_COLUMN = 64
"""A column is made of no more characters, those among them that colour it."""
FAINT = Style(dim=True)


def plain_text(line: bytes | bytearray) -> str:
    """Return a line's text for searching: without its newline and escape sequences."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return SEQUENCE.sub("", text) if ESCAPE in text or "\x9b" in text else text


def spans(text: str, enough: int | None = None) -> list[Span]:
    """Return the text in its colours, tabs expanded, control characters made visible.

    Ends early when at least `enough` characters have been found; a line may be a megabyte.
    """
    if enough is not None:
        text = text[: enough * PER_COLUMN]
    if text.isprintable():
        return [(text, Style.null())]
    found: list[Span] = []
    style = Style.null()
    column = at = 0
    for match in SEQUENCE.finditer(text):
        column = _take(found, text[at : match.start()], style, column)
        at = match.end()
        if match[2] == "m":
            style = _after(style, match[1])
        if enough is not None and column >= enough:
            return found
    _take(found, text[at:], style, column)
    return found


def _take(found: list[Span], text: str, style: Style, column: int) -> int:
    """Add the text, a visible sign for each control character; return the next column."""
    if not text:
        return column
    if text.isprintable():
        found.append((text, style))
        return column + cell_len(text)
    run = ""
    for letter in text:
        if letter.isprintable():
            run += letter
            column += get_character_cell_size(letter)
        elif letter == "\t":
            blank = TAB - column % TAB
            run += " " * blank
            column += blank
        else:
            if run:
                found.append((run, style))
                run = ""
            shown = _sign(letter)
            found.append((shown, style + FAINT))
            column += len(shown)
    if run:
        found.append((run, style))
    return column


def _sign(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@lru_cache(1024)
def _after(style: Style, parameters: str) -> Style:
    """Return the style after an SGR with these parameters."""
    if not SGR.fullmatch(parameters):
        return style
    codes = [min(255, int(code or 0)) for code in re.split("[;:]", parameters) if len(code) < 5]
    place = 0
    while place < len(codes):
        code = codes[place]
        place += 1
        if code == 0:
            style = Style.null()
        elif code in (38, 48):
            colour, place = _colour(codes, place)
            if colour is not None:
                style += Style(color=colour) if code == 38 else Style(bgcolor=colour)
        elif code not in IGNORED and code in SGR_STYLE_MAP:
            style += Style.parse(SGR_STYLE_MAP[code])
    return style


def _colour(codes: Sequence[int], place: int) -> tuple[Color | None, int]:
    kind = codes[place] if place < len(codes) else 0
    if kind == 5 and place + 1 < len(codes):
        return Color.from_ansi(codes[place + 1]), place + 2
    if kind == 2 and place + 3 < len(codes):
        return Color.from_rgb(*codes[place + 1 : place + 4]), place + 4
    return None, len(codes)


def cut(parts: Sequence[Span], start: int, end: int) -> list[Span]:
    """Return characters `start` to `end` of the parts."""
    found: list[Span] = []
    at = 0
    for text, style in parts:
        after = at + len(text)
        if after > start and at < end:
            found.append((text[max(0, start - at) : end - at], style))
        at = after
        if at >= end:
            break
    return found


def pieces(parts: Sequence[Span], ends: Sequence[int]) -> list[list[Span]]:
    """Cut the parts behind so many characters each time, the last of which is their end."""
    found: list[list[Span]] = [[]]
    at = place = 0
    for text, style in parts:
        start = 0
        while at + len(text) - start > ends[place]:
            end = start + ends[place] - at
            found[-1].append((text[start:end], style))
            start, at, place = end, ends[place], place + 1
            found.append([])
        found[-1].append((text[start:], style))
        at += len(text) - start
    return found


def over(parts: Sequence[Span], ranges: Sequence[tuple[int, int]], style: Style) -> list[Span]:
    """Return the parts with `style` laid over ranges of characters, in order, none overlapping."""
    found: list[Span] = []
    at = 0
    for start, end in ranges:
        found += cut(parts, at, start)
        found += [(text, below + style) for text, below in cut(parts, start, end)]
        at = end
    return found + cut(parts, at, sum(len(text) for text, _ in parts))


def breaks(text: str, width: int) -> list[int]:
    """Return where the text is cut into rows of at most `width` cells, 0 and its end included."""
    if text.isascii():
        return [*range(0, max(1, len(text)), width), len(text)]
    places, used = [0], 0
    for place, letter in enumerate(text):
        size = get_character_cell_size(letter)
        if used + size > width and place > places[-1]:
            places.append(place)
            used = 0
        used += size
    return [*places, len(text)]
