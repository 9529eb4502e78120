"""Waits for the end of a build and removes its directory if the build did not live to do it.

Run by file path, `janitor.py MODULES DIRECTORY MEMORY`, with a pipe as stdin whose other end is the
build's: it ends when the build does, however that was.
"""

from __future__ import annotations

import os
import sys
import time

GRACE_S = 1.0
"""Workers and monitors that the build had started see its end, too, and tidy up themselves."""
TRIES, PAUSE_S = 50, 0.2


def main(modules: str, path: str, memory: str) -> None:
    """Wait, then remove what is left."""
    sys.path[:0] = modules.split(os.pathsep)
    from core.build.homes import GONE, sweep

    while os.read(0, 1):
        pass
    time.sleep(GRACE_S)
    top, _, name = path.rpartition("/")
    for _ in range(TRIES):
        sweep(top, memory)
        if not any(os.path.exists(place) for place in (path, f"{top}/{GONE}{name}")):
            return
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
