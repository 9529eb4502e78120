"""Writes a container's files as a tar: what it would see of its image and what it wrote.

The reading is done by a process in a mount namespace of its own, so that the host never sees
the mount; a running container goes on meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys

from core.containers import stored
from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.database import Database
    from core.images.store import ImageStore
    from core.paths import Paths

CHILD = os.path.join(os.path.dirname(__file__), "export_child.py")
POLL_S = 0.2


def export(
    paths: Paths,
    database: Database,
    store: ImageStore,
    reference: str,
    fd: int,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write the tar to a descriptor; what is mounted in the container is not in it.

    Raises NotFound for the container, HostError naming what could not be read or written,
    and what `check` raises.
    """
    row = stored.find(database, reference)
    lower = ":".join(map(str, store.lowerdirs(row.image_digest)))
    modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
    # Under its lock nobody removes it meanwhile.
    with stored.Lock(paths, row.id):
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", CHILD, modules, paths.layers,
             paths.container(row.id), lower],
            stdin=subprocess.DEVNULL, stdout=fd, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            while child.poll() is None:
                check()
                try:
                    child.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            child.kill()
            raise
        finally:
            _, said = child.communicate()
    if child.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines() or ["it was killed"]
        raise HostError(f"exporting {row.name}: {lines[-1]}", subject=row.name)
