"""The host's small init for `--init`: it reaps zombies and passes signals on.

Bound read-only, so that nothing in the container can write to the host's file through
/proc/1/exe.
"""

from __future__ import annotations

import os

from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLACE = "/dev/init"
"""On the container's own tmpfs: no image's file is hidden."""
PROGRAMS = ("docker-init", "catatonit", "tini-static", "tini")
FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/libexec/docker", "/usr/libexec/podman",
           "/usr/lib/podman", "/usr/sbin")  # fmt: skip


def mount() -> dict[str, Any]:
    """Return the mount that brings the program in; HostError when the host has none."""
    for folder in FOLDERS:
        for name in PROGRAMS:
            path = f"{folder}/{name}"
            if os.access(path, os.X_OK):
                return {
                    "destination": PLACE,
                    "type": "bind",
                    "source": path,
                    "options": ["bind", "ro"],
                }
    raise HostError(
        "--init needs a small init program, and this host has none",
        hint="apt-get install catatonit (or tini)",
    )
