"""Where this user's history, last look and crash reports are kept."""

from __future__ import annotations

import os
import time


def state_directory() -> str:
    """Return the directory; XDG Base Directory Specification, `$XDG_STATE_HOME`."""
    home = os.environ.get("HOME", "/")
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.join(state, "limpet")


def record_bug(error: Exception) -> str:
    """Append the traceback to a file and return its name, empty where it cannot be written."""
    import traceback

    path = os.path.join(state_directory(), "crash.log")
    try:
        os.makedirs(state_directory(), 0o700, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(time.strftime("%F %T ") + "".join(traceback.format_exception(error)) + "\n")
    except OSError:
        return ""
    return path
