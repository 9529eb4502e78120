"""Colours and glyphs: what tones mean, so that tables and answers look alike everywhere."""

from __future__ import annotations

import os
from functools import lru_cache

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
TERMINAL = Theme(
    name="limpet-terminal",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    accent="ansi_yellow",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border-blurred": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_cyan",
    },
)
"""The terminal's own colours, or none: for sixteen of them any other would be a guess."""
THEMES = (LIMPET, LIGHT, CONTRAST, TERMINAL)
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


LEGIBLE = 4.5
"""The least contrast of text, by WCAG 2.1's success criterion 1.4.3."""
MIDDLE = 0.179
"""The luminance of a ground on which black and white are read equally well."""
SEEN = ("background", "panel", "foreground", "success", "warning", "error", "accent", "primary")
"""The variables of a theme that tones are made of."""
MOST_GROUNDS = 8
"""So many a widget's tones are kept on; it has two or three, and others in another theme."""
TONES = ("", "dim", "faint", "good", "warn", "bad", "accent", "primary", "bold")


def contrast(one: Color, other: Color) -> float:
    """Return the ratio of two colours' luminances, 1 to 21, as WCAG 2.1 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


STEPS = 20
DARKEST, LIGHTEST = 0.12, 0.88
"""The lightness beyond which a hue can hardly be told."""


def legible(colour: Color, *grounds: Color) -> Color:
    """Return the colour, as much lighter or darker as it takes to be read on all grounds.

    Its hue stays, and is seen: toward the colour of words, a theme's red and green would meet.
    """
    hue, saturation, lightness = colour.hsl
    dark = sum(map(_luminance, grounds)) / len(grounds) < MIDDLE
    way = (max(lightness, LIGHTEST) if dark else min(lightness, DARKEST)) - lightness
    shade = colour
    for step in range(1, STEPS + 1):
        if all(contrast(shade, ground) >= LEGIBLE for ground in grounds):
            break
        shade = Color.from_hsl(hue, saturation, lightness + way * step / STEPS)
    return shade


def lit(variables: Mapping[str, str]) -> str:
    """Return the ground of the cursor's line: the theme's background, some way to its words."""
    background = Color.parse(variables["background"])
    if background.ansi is not None:
        return variables["background"]  # it is turned round instead
    return background.blend(Color.parse(variables["foreground"]), 0.16).hex


def edges(widget: Widget) -> int:
    """Return the columns, or lines, of a box's two edges: it needs some where it has no ground."""
    return 2 if widget.app.native_ansi_color else 0


class Tones:
    """Rich styles by tone name for the app's current theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._theme = ""
        self._styles: dict[str, Style] = {}
        self._looks: dict[tuple[Style, bool], dict[str, Style]] = {}

    @property
    def styles(self) -> Mapping[str, Style]:
        """All of them."""
        app = self._widget.app
        if self._theme != app.theme:
            self._theme = app.theme
            own, variables = app.native_ansi_color, app.theme_variables
            self._styles = _own_styles() if own else _styles(*map(variables.__getitem__, SEEN))
            self._looks.clear()
        return self._styles

    def __getitem__(self, tone: str) -> Style:
        return self.styles[tone]

    def on(self, ground: Style, *, lit: bool = False) -> Mapping[str, Style]:
        """Return how each tone looks on a ground, or there on the cursor's line."""
        styles = self.styles
        looks = self._looks.get((ground, lit))
        if looks is None:
            if len(self._looks) >= MOST_GROUNDS:
                self._looks.clear()
            found = map(self.lit, styles) if lit else styles.values()
            looks = {tone: ground + style for tone, style in zip(styles, found, strict=True)}
            self._looks[ground, lit] = looks
        return looks

    def lit(self, tone: str) -> Style:
        """Return how a tone looks on the cursor's line, where what is dim is read as well."""
        plain = tone in ("dim", "faint") or (self._widget.app.native_ansi_color and tone != "bold")
        return self["" if plain else tone]


@lru_cache(1)
def _styles(*colours: str) -> dict[str, Style]:
    """Return the styles of the colours that `SEEN` names: a millisecond's work."""
    variables = dict(zip(SEEN, colours, strict=True))
    background, panel = (Color.parse(variables[name]) for name in ("background", "panel"))
    beside = (background, panel, Color.parse(lit(variables)))

    def colour(name: str, toward_background: float = 0.0) -> Style:
        shade = Color.parse(variables[name]).blend(background, toward_background)
        grounds = beside[:2] if toward_background else beside
        return Style(color=legible(shade, *grounds).rich_color)

    return {
        "": Style(),
        "dim": colour("foreground", 0.32),
        "faint": colour("foreground", 0.46),
        "good": colour("success"),
        "warn": colour("warning"),
        "bad": colour("error"),
        "accent": colour("accent"),
        "primary": colour("primary"),
        "bold": Style(bold=True),
    }


def _own_styles() -> dict[str, Style]:
    """Return styles of a terminal's own colours, which also differ where there are none."""
    return {
        "": Style(),
        "dim": Style(),
        "faint": Style(),
        "good": Style(color="green"),
        "warn": Style(color="yellow"),
        "bad": Style(color="bright_red", bold=True),
        "accent": Style(color="yellow", bold=True),
        "primary": Style(color="cyan"),
        "bold": Style(bold=True),
    }


Part = tuple[str, str]
"""Text and its tone."""


def plain(parts: Iterable[Part]) -> str:
    """Return the text of the parts."""
    return "".join(text for text, _ in parts)
