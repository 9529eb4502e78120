"""Whether what is written is painted over: on a terminal, for a person who sees it."""

from __future__ import annotations

import os


def is_screen(fd: int) -> bool:
    """Tell whether the descriptor's cursor may be moved: LIMPET_PLAIN=1 and TERM=dumb say no."""
    plain = os.environ.get("TERM") == "dumb" or bool(os.environ.get("LIMPET_PLAIN"))
    return os.isatty(fd) and not plain
