"""How a file of a layer or an image looks: as a line of a tree, and all that is known of it."""

from __future__ import annotations

from core.commands.show import size
from core.images.files.file_tree import ADDED, CHANGED, REMOVED, SAME
from tui.answers import visible
from tui.widgets.line_list import FOLD_SIGNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.files.file_tree import Row
    from tui.theme import Part

LETTERS = {ADDED: "A", CHANGED: "M", REMOVED: "D", SAME: " "}
BELOW = "·"
"""Marks a directory that is as it was itself, with something in it that is not."""
TONES = {ADDED: "good", CHANGED: "warn", REMOVED: "bad", SAME: ""}


def file_line(row: Row, *, owners: bool) -> list[Part]:
    """Return a file or directory; `owners` adds its mode and owner."""
    node, entry, tone = row.node, row.node.entry, TONES[row.node.status]
    if node.status == SAME and node.differs_below:
        parts: list[Part] = [(f"{BELOW} ", TONES[CHANGED])]
    else:
        parts = [(f"{LETTERS[node.status]} ", tone)]
    if owners:
        known = entry is not None and node.status != REMOVED
        mode = f"{entry.mode:04o}" if entry and known else ""
        owner = f"{entry.uid}:{entry.gid}" if entry and known else ""
        parts.append((f"{mode:>4} {owner:>9} ", "dim"))
    sign = f"{FOLD_SIGNS[row.is_open]} " if node.is_directory else "  "
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
