"""What takes root, said before anything is begun."""

from __future__ import annotations

import os

from core.errors import NotPermitted


def require_root(what: str) -> None:
    """Raise NotPermitted unless this process is root (of its user namespace)."""
    if os.geteuid() != 0:
        raise NotPermitted(
            f"{what} takes root: namespaces, mounts and owners of files are the kernel's to give",
            hint="start it with sudo, or as root; limpet doctor tells what this host has",
        )
