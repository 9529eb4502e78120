"""Brings layers to the disk that were written a while ago, and notes that they are there.

Run by file path, `settler.py MODULES DATA-ROOT RUN-ROOT`.  A process of its own, as syncfs(2)
waits for what anybody has written to the file system and can't be interrupted: whoever called it
could not end before.
"""

from __future__ import annotations

import os
import sys


def main(modules: str, data: str, run: str) -> None:
    """Settle what is old by now."""
    sys.path[:0] = modules.split(os.pathsep)
    from core.database import Database
    from core.images.settling import settle
    from core.paths import Paths

    paths = Paths(data, run)
    settle(paths, Database(paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
