"""Removes one container that asked to be removed at its end; what its monitor becomes.

Run by file path: `cleanup.py DATA-ROOT RUN-ROOT CONTAINER`.
"""

from __future__ import annotations

import os
import sys


def main(data: str, run: str, container_id: str) -> None:
    """Remove the container, unless somebody else already has, or has started it again."""
    from core.config import Config
    from core.containers.removal import remove_container
    from core.containers.state import ALIVE, read_state
    from core.containers.stored import Lock
    from core.database import Database
    from core.errors import NotFound
    from core.network.network import Network
    from core.paths import Paths

    paths, config = Paths(data, run), Config()
    database = Database(paths)
    try:
        with Lock(paths, container_id):
            if read_state(paths.container(container_id)).state not in ALIVE:
                network = Network(paths, database, config)
                remove_container(paths, database, network, container_id)
    except NotFound:
        pass


if __name__ == "__main__":
    sys.path.append(os.path.abspath(__file__).rsplit("/core/", 1)[0])
    main(*sys.argv[1:])
