"""The steps that fill a container's /dev."""

from __future__ import annotations

import os
import stat

from core.containers.runtime.steps import Context, Step
from core.linux import mount

DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
           ("tty", 5, 0))  # fmt: skip
"""Character devices: name, major and minor number."""
DEVICE_LINKS = (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"))  # fmt: skip


def _make_node(name: str, mode: int, device: int, folder: int, host_path: str = "") -> bool:
    """Make a device's node in a directory; False where the host's was bound there.

    That is in a user namespace, in which the kernel lets nobody make one.
    """
    try:
        os.mknod(name, mode, device, dir_fd=folder)
    except PermissionError:
        host = os.open(host_path or f"/dev/{name}", os.O_PATH | os.O_CLOEXEC)
        if os.fstat(host).st_rdev != device:
            os.close(host)
            raise
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666,
                         dir_fd=folder))  # fmt: skip
        target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        mount.bind(host, target, read_only=False, recursive=False)
        os.close(target)
        os.close(host)
        return False
    return True


class Devices(Step):
    """Fills /dev, which is a tmpfs by now, with docker's nodes and links."""

    def describe(self) -> str:
        return "make /dev nodes: null zero full random urandom tty, and links"

    def apply(self, context: Context) -> None:
        fd = context.target("/dev", directory=True)
        mask = os.umask(0)
        try:
            for name, major, minor in DEVICES:
                _make_node(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), fd)
            for name, target in DEVICE_LINKS:
                os.symlink(target, name, dir_fd=fd)
        finally:
            os.umask(mask)
            os.close(fd)


class HostDevices(Step):
    """Shows a privileged container all devices of the host."""

    def describe(self) -> str:
        return "make nodes for all devices of the host"

    def apply(self, context: Context) -> None:
        fd = context.target("/dev", directory=True)
        mask = os.umask(0)
        try:
            with os.scandir("/dev") as entries:
                for entry in entries:
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode):
                        try:
                            _make_node(entry.name, facts.st_mode, facts.st_rdev, fd)
                        except FileExistsError:
                            continue
        finally:
            os.umask(mask)
            os.close(fd)


class DeviceNodes(Step):
    """Makes nodes for devices that were asked for."""

    nodes: tuple[tuple[str, str, int, int, int, int, int, str], ...]
    """Path, c or b, major, minor, mode, owner, group, path on the host."""

    def describe(self) -> str:
        return f"make nodes {' '.join(node[0] for node in self.nodes)}"

    def apply(self, context: Context) -> None:
        for place, kind, major, minor, mode, uid, gid, host in self.nodes:
            folder, _, name = place.rpartition("/")
            fd = context.target(folder or "/", directory=True)
            try:
                mode |= stat.S_IFCHR if kind == "c" else stat.S_IFBLK
                device = os.makedev(major, minor)
                try:
                    made = _make_node(name, mode, device, fd, host)
                except FileExistsError:
                    os.unlink(name, dir_fd=fd)
                    made = _make_node(name, mode, device, fd, host)
                if made:
                    os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(fd)
