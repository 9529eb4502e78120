"""Colours and glyphs: what tones mean, so that tables and answers look alike everywhere."""

from __future__ import annotations

import os

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual.widget import Widget

LIMPET = Theme(
    name="limpet",
    primary="#7aa2c8",
    secondary="#5f7f9f",
    accent="#d8a657",
    success="#8ab573",
    warning="#d8a657",
    error="#d3695f",
    foreground="#d4d7d9",
    background="#14171a",
    surface="#1b1e20",
    panel="#24282b",
    variables={
        "block-cursor-text-style": "none",
        "input-cursor-background": "#d4d7d9",
        "input-cursor-foreground": "#14171a",
        "input-selection-background": "#5f7f9f 40%",
    },
)
"""The default: a calm dark theme in the colours of wet rock and lichen."""

LIGHT = Theme(
    name="limpet-light",
    dark=False,
    primary="#2f5f8a",
    secondary="#4f6f8f",
    accent="#8a5a00",
    success="#2f6b1f",
    warning="#8a5a00",
    error="#a32a20",
    foreground="#1d2225",
    background="#f6f6f3",
    surface="#ecece8",
    panel="#dfe0db",
    variables={
        "block-cursor-text-style": "none",
        "input-cursor-background": "#1d2225",
        "input-cursor-foreground": "#f6f6f3",
        "input-selection-background": "#4f6f8f 40%",
    },
)
CONTRAST = Theme(
    name="limpet-contrast",
    primary="#66d9ff",
    secondary="#66d9ff",
    accent="#ffff00",
    success="#00ff66",
    warning="#ffaf00",
    error="#ff5f5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    variables={
        "block-cursor-text-style": "bold",
        "input-cursor-background": "#ffffff",
        "input-cursor-foreground": "#000000",
        "input-selection-background": "#0000ff",
    },
)
THEMES = (LIMPET, LIGHT, CONTRAST)
"""Our own; Textual brings others."""

BARS = "▁▂▃▄▅▆▇█"


class Glyphs(Record):
    """The signs of a terminal's font."""

    running: str = "●"
    paused: str = "◐"
    stopped: str = "○"
    failed: str = "✕"
    cursor: str = "▌"
    mark: str = "*"
    rule: str = "─"
    down: str = "▼"
    up: str = "▲"
    prompt: str = "›"
    bars: str = BARS
    full: str = "━"


PLAIN = Glyphs("*", "=", "o", "x", ">", "+", "-", "v", "^", ">", "_.-:=+*#", "=")
"""For the kernel's console and for locales without UTF-8."""


def glyphs(env: Mapping[str, str] = os.environ) -> Glyphs:
    """Return the signs that the terminal can be trusted to have; LIMPET_ASCII=1: the plain ones."""
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C.UTF-8"
    if env.get("LIMPET_ASCII") == "1":
        return PLAIN
    if env.get("TERM") in ("linux", "vt100", "dumb") or "UTF" not in locale.upper():
        return PLAIN
    return Glyphs()


def sparkline(values: Sequence[float], top: float, bars: str = BARS) -> str:
    """Return one bar a value, `top` being the highest."""
    last = len(bars) - 1
    return "".join(bars[min(last, max(0, round(value / top * last)))] for value in values)


def chart(values: Sequence[float], top: float, rows: int, bars: str = BARS) -> list[str]:
    """Return bars of `rows` lines, the highest first; a single line as a sparkline."""
    if rows <= 1:
        return [sparkline(values, top, bars)]
    steps = len(bars)
    heights = [min(rows * steps, max(0, round(value / top * rows * steps))) for value in values]
    lines = []
    for row in reversed(range(rows)):
        inside = (min(steps, height - row * steps) for height in heights)
        lines.append("".join(bars[part - 1] if part > 0 else " " for part in inside))
    return lines


SIXTEEN = {
    "foreground": "#ffffff", "background": "#000000", "success": "#00aa00", "warning": "#aa5500",
    "error": "#ff5555", "accent": "#ffff55", "primary": "#00aaaa",
}  # fmt: skip
"""For terminals of sixteen colours, exactly theirs: soft colours would all become grey."""

TONES = ("", "dim", "faint", "good", "warn", "bad", "accent", "primary", "bold")


class Tones:
    """Rich styles by tone name for the app's current theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._theme = ""
        self._styles: dict[str, Style] = {}

    def __getitem__(self, tone: str) -> Style:
        app = self._widget.app
        if self._theme != app.theme:
            self._theme = app.theme
            few = app.console.color_system == "standard"
            self._styles = _styles(SIXTEEN if few else app.theme_variables)
        return self._styles[tone]


def _styles(variables: Mapping[str, str]) -> dict[str, Style]:
    def colour(name: str, toward_background: float = 0.0) -> Style:
        try:
            shade = Color.parse(variables[name]).blend(
                Color.parse(variables["background"]), toward_background
            )
        except ValueError:  # a theme made of the terminal's own colours
            return Style(dim=toward_background > 0)
        return Style(color=shade.rich_color)

    return {
        "": Style(),
        "dim": colour("foreground", 0.42),
        "faint": colour("foreground", 0.6),
        "good": colour("success"),
        "warn": colour("warning"),
        "bad": colour("error"),
        "accent": colour("accent"),
        "primary": colour("primary"),
        "bold": Style(bold=True),
    }


Part = tuple[str, str]
"""Text and its tone."""


def plain(parts: Iterable[Part]) -> str:
    """Return the text of the parts."""
    return "".join(text for text, _ in parts)
