"""Tells the terminal that something has ended, so that it can tell a person who looks elsewhere.

OSC 9 (iTerm2, kitty, WezTerm, ConEmu, Ghostty) and OSC 777 (rxvt, foot, VTE); terminals ignore
what they do not know.  tmux passes neither on unless `allow-passthrough` is on.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 200
RXVT_LIKE = ("rxvt", "foot", "vte")


def notification(title: str, words: str, env: Mapping[str, str] = os.environ) -> str:
    """Return the escape sequence for a notification; names in it may be hostile."""
    title, words = _plain(title), _plain(words)
    if env.get("TERM", "").startswith(RXVT_LIKE) or "VTE_VERSION" in env:
        told = f"\x1b]777;notify;{title.replace(';', ',')};{words}\x07"
    else:
        told = f"\x1b]9;{title}: {words}\x07"
    if "TMUX" in env:
        return "\x1bPtmux;" + told.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return told


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:MOST]
