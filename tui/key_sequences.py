"""What terminals send for keys that Textual takes for others.

alt-enter is ESC CR nearly everywhere; terminals with kitty's protocol are understood already.
"""

from __future__ import annotations

from enum import Enum
from typing import cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class Named(Enum):
    """Keys by Textual's names, as its own table has them."""

    ALT_ENTER = "alt+enter"


SEQUENCES = {"\x1b\r": (Named.ALT_ENTER,)}


def teach() -> None:
    """Let Textual's parser know them; its table is for the whole process."""
    cast("dict[str, object]", ANSI_SEQUENCES_KEYS).update(SEQUENCES)
