"""How layers and their files look as lines."""

from __future__ import annotations

from core.commands.show import size
from core.images.files.layer_tree import ADDED, CHANGED, REMOVED, SAME
from tui.answers import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.images.files.layer_tree import Row, Waste
    from core.model import LayerInfo
    from tui.theme import Part

LETTERS = {ADDED: "A", CHANGED: "M", REMOVED: "D", SAME: " "}
TONES = {ADDED: "good", CHANGED: "warn", REMOVED: "bad", SAME: ""}
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


def file_line(row: Row, *, owners: bool) -> list[Part]:
    """Return a file or directory; `owners` adds its mode and owner."""
    node, entry, tone = row.node, row.node.entry, TONES[row.node.status]
    parts: list[Part] = [(f"{LETTERS[node.status]} ", tone)]
    if owners:
        known = entry is not None and node.status != REMOVED
        mode = f"{entry.mode:04o}" if entry and known else ""
        owner = f"{entry.uid}:{entry.gid}" if entry and known else ""
        parts.append((f"{mode:>4} {owner:>9} ", "dim"))
    sign = ("▾ " if row.is_open else "▸ ") if node.is_directory else "  "
    parts += [
        (f"{size(node.size) if node.size else '-':>7}  ", "dim"),
        ("  " * row.depth + sign, "dim"),
        (visible(node.name) + ("/" if node.is_directory else ""), tone),
    ]
    if entry and entry.link:
        parts.append((f" → {visible(entry.link)}", "dim"))
    return parts


def file_facts(row: Row, changed: str = "") -> list[Part]:
    """Return a file's path and all that the index knows of it; `changed`: what differs."""
    node, entry = row.node, row.node.entry
    parts: list[Part] = [(f" /{visible(row.path)}", "")]
    if entry is not None and node.status != REMOVED:
        parts.append((f"  {entry.kind} {entry.mode:04o} {entry.uid}:{entry.gid}", "dim"))
    parts.append((f" {size(node.size)}", "dim"))
    if changed:
        parts.append((f"  changed: {visible(changed)}", "warn"))
    if entry is not None and entry.digest:
        parts.append((f"  sha256:{entry.digest[:12]}", "faint"))
    return parts


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
