"""Copies text to the clipboard of the terminal a person sits at, over SSH too (OSC 52)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from textual.app import App

MOST_BYTES = 74_994 // 4 * 3
"""What terminals take in one sequence, before base64 makes it a third longer."""
TMUX_ANSWERS_S = 0.5
"""A tmux that takes longer does not read what is painted, either."""


def copy(app: App[Any], text: str, env: Mapping[str, str] = os.environ) -> str:
    """Send the text to the terminal's clipboard; return what to tell the person.

    A terminal does not say whether it took it.  Longer text than it may take is refused
    whole: half a log in the clipboard is worse than none.
    """
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        return f"{size // 1000} kB is more than a terminal's clipboard takes ({MOST_BYTES // 1000})"
    if not text:
        return "nothing to copy"
    app.copy_to_clipboard(text)
    lines = text.count("\n") + 1
    told = f"copied {lines} line{'s' * (lines != 1)}"
    starts_nothing = getattr(app, "read_only", False)
    if "TMUX" in env and not (app.is_web or (not starts_nothing and _tmux_passes_on(env))):
        told += " (tmux passes it on with: set -g set-clipboard on)"
    return told


def _tmux_passes_on(env: Mapping[str, str]) -> bool:
    """Ask the tmux that one sits in whether it takes what programs copy."""
    from subprocess import DEVNULL, PIPE, SubprocessError, run

    argv = ["tmux", "show-options", "-sv", "set-clipboard"]
    try:
        asked = run(
            argv, env=env, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, timeout=TMUX_ANSWERS_S
        )
    except (OSError, SubprocessError):
        return False
    return asked.stdout.strip() == b"on"
