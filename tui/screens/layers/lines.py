"""How layers look as lines."""

from __future__ import annotations

from core.commands.show import size
from tui.answers import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.images.files.layer_stack import Waste
    from core.model import LayerInfo
    from tui.theme import Part

GOOD, FAIR = 0.95, 0.8
"""Efficiency from which on nothing, or not much, need be done."""


def layer_line(number: int, layer: LayerInfo, count: int | None, *, here: bool) -> list[Part]:
    """Return a layer; `count` is how many entries it has, 0 when unknown, None to leave out."""
    tone = "accent" if here else "dim"
    parts: list[Part] = [
        (">" if here else " ", tone),
        (f"{number + 1:>3} ", tone),
        (f"{size(layer.size_bytes):>7} ", ""),
    ]
    if count is not None:
        parts.append((f"{count or '…':>7} ", "dim"))
    return [*parts, (f" {step_words(layer)}", "" if here else "dim")]


def totals(layers: Sequence[LayerInfo], reading: str) -> list[Part]:
    """Return how much there is; `reading`: how far one is."""
    if not layers:
        return [(f"  {reading or 'reading'}…", "dim")]
    total = size(sum(layer.size_bytes for layer in layers))
    many = f" in {len(layers)} layer{'s' * (len(layers) != 1)}"
    return [(f"  {total}", ""), (many, "dim")]


def waste_words(waste: Waste | None) -> list[Part]:
    """Return how well the layers use their bytes."""
    if waste is None:
        return []
    score = waste.efficiency
    tone = "good" if score >= GOOD else "warn" if score >= FAIR else "bad"
    return [
        ("efficiency ", "dim"),
        (f"{score:.1%}", tone),
        (", wasted ", "dim"),
        (f"{size(waste.wasted_bytes)} ", ""),
    ]


def step_words(step: LayerInfo) -> str:
    """Return what made a layer, without the words that every step has."""
    words = " ".join(step.created_by.split()).removeprefix("/bin/sh -c ")
    words = words.removeprefix("#(nop) ").removesuffix("# buildkit").strip()
    words = words.replace("RUN /bin/sh -c ", "RUN ", 1)
    return visible(words or step.comment or "(no history)")
