"""Removes the container of a RUN whose build is gone; what its monitor becomes.

Run by file path: `cleanup.py DATA-ROOT RUN-ROOT CONTAINER DIRECTORY`.
"""

from __future__ import annotations

import os
import sys


def main(data: str, run: str, container_id: str, directory: str) -> None:
    """Remove the directory, the build's own if that was the last in it, and the address."""
    from core.build.homes import remove_home
    from core.config import Config
    from core.database import Database
    from core.network.network import Network
    from core.paths import Paths
    from core.trees import remove_tree

    paths = Paths(data, run)
    home = os.path.dirname(directory)
    for place in (directory, f"{run}/build/{os.path.basename(home)}",
                  paths.container_run(container_id)):  # fmt: skip
        try:
            remove_tree(place)
        except OSError:
            continue  # the build's janitor is at it as well
    Network(paths, Database(paths), Config()).release(container_id)
    remove_home(home)


if __name__ == "__main__":
    sys.path.append(os.path.abspath(__file__).rsplit("/core/", 1)[0])
    main(*sys.argv[1:])
