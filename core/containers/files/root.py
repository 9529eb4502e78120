"""The file system of a container, running or not, as one descriptor of its root.

Whoever holds it opens files by openat2 under it, in whatever thread, and sees the
container's volumes and binds where the container sees them.  Threads of limpet's take part
in no mount of it: what it takes is done in a thread that has its root, its directory and its
mounts for itself, and ends at once.
"""

from __future__ import annotations

import errno
import os
from threading import Thread

from core.containers.runtime import plan
from core.containers.runtime.mount_steps import OverlayRoot
from core.containers.runtime.steps import Context
from core.errors import MEND_LAYERS, Conflict, HostError
from core.linux import mount, process
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def open_running(pid: int, ticks: int) -> int:
    """Return the root of a running container's mounts, as O_PATH; the caller closes it.

    `pid` is its first process, started at `ticks`.  It is the root of the mount namespace: what
    the process itself has made its root (chroot) changes nothing.  Raises Conflict when the
    process has ended.
    """

    def enter() -> int:
        folder = process.open_process(pid, ticks)
        try:
            space = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            try:
                process.unshare(process.CLONE_FS)
                process.setns(space, process.CLONE_NEWNS)
            finally:
                os.close(space)
        finally:
            os.close(folder)
        return os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    try:
        return _apart(enter)
    except (ProcessLookupError, FileNotFoundError) as error:
        raise Conflict("the container has just ended", hint="limpet ps -a") from error


def open_stopped(
    spec: dict[str, Any], directory: str, layers_dir: str, lowerdirs: tuple[int, ...]
) -> int:
    """Return the root of a container that does not run, its volumes and binds on it.

    The mounts belong to the descriptor alone and go when it is closed.  The caller holds the
    container's lock until then.  Raises HostError when they cannot be made, UsageError for a
    bind source that does not exist.
    """
    from core.containers.starting import check_sources

    check_sources(spec, directory)
    overlay = OverlayRoot(
        layers_dir,
        tuple(map(str, lowerdirs)),
        f"{directory}/upper",
        f"{directory}/work",
        f"{directory}/rootfs",
        is_rootless(),
    )
    mounts = [
        entry
        for entry in spec["mounts"]
        # A container that was never started has no /etc/hosts of its own yet.
        if entry["type"] in ("bind", "volume")
        and (os.path.dirname(entry["source"]) != directory or os.path.exists(entry["source"]))
    ]

    def make() -> int:
        process.unshare(process.CLONE_NEWNS)
        mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
        context = Context()
        overlay.apply(context)
        try:
            for entry in mounts:
                plan.mount_step(entry, {}, {}).apply(context)
            if spec["root"]["readonly"]:
                mount.mount_setattr(context.root_fd, mount.MOUNT_ATTR_RDONLY)
            # A copy of the tree is nobody's but the descriptor's: ours goes with this thread.
            flags = mount.OPEN_TREE_CLONE | mount.AT_EMPTY_PATH | mount.AT_RECURSIVE
            return mount.open_tree(context.root_fd, "", flags | mount.OPEN_TREE_CLOEXEC)
        finally:
            os.close(context.root_fd)

    return _mounted(make)


def open_image(directory: str, layers_dir: str, lowerdirs: tuple[int, ...]) -> int:
    """Return the root of what lies under a container's writable layer; read only.

    `directory` is the container's; `lowerdirs` are layer IDs, the uppermost first.
    """
    if len(lowerdirs) == 1:  # overlayfs wants two
        return os.open(f"{layers_dir}/{lowerdirs[0]}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    overlay = OverlayRoot(
        layers_dir, tuple(map(str, lowerdirs)), "", "", f"{directory}/rootfs", is_rootless()
    )

    def make() -> int:
        process.unshare(process.CLONE_NEWNS)
        mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
        context = Context()
        overlay.apply(context)
        return context.root_fd

    return _mounted(make)


def _mounted(make: Callable[[], int]) -> int:
    try:
        return _apart(make)
    except OSError as error:
        cause, hint = error.strerror, "limpet doctor checks this host"
        if error.errno == errno.ENOENT:
            cause, hint = f"{cause}: {error.filename}", MEND_LAYERS
        raise HostError(
            f"the container's file system cannot be mounted: {cause}",
            hint=hint,
            errno=error.errno or 0,
        ) from error


def _apart(work: Callable[[], int]) -> int:
    """Return what `work` does in a thread that may leave this process's root and mounts."""
    found: list[int] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
