"""Mounts layers upon each other, in a mount namespace of the caller's own."""

from __future__ import annotations

import os

from core.containers.runtime.mount_steps import OverlayRoot
from core.containers.runtime.steps import Context
from core.linux import mount
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def mount_stack(
    layers: str, lower: Sequence[str], target: str, *, upper: str = "", work: str = ""
) -> int:
    """Mount `lower`, uppermost first and named relative to `layers`, and return the root's O_PATH.

    Without `upper` the stack is only there to be read.  No layer at all needs an upper one:
    that then is the root itself.
    """
    if not lower:
        return os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if not upper and len(lower) == 1:
        source = os.open(f"{layers}/{lower[0]}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        place = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount.bind(source, place, read_only=True, recursive=False)
        os.close(source)
        os.close(place)
        return os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    context = Context()
    OverlayRoot(layers, tuple(lower), upper, work, target, is_rootless()).apply(context)
    os.chdir("/")
    return context.root_fd
