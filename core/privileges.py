"""What takes root, said before anything is begun."""

from __future__ import annotations

import os

from core.errors import NotPermitted


def is_root() -> bool:
    """Return whether this process is root (of its user namespace)."""
    return os.geteuid() == 0


def require_root(what: str) -> None:
    """Raise NotPermitted unless this process is root (of its user namespace)."""
    if not is_root():
        raise NotPermitted(
            f"{what} takes root: namespaces, mounts and owners of files are the kernel's to give",
            hint="start it with sudo, or as root; limpet doctor tells what this host has",
        )
