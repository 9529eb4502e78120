"""The steps that fill a container's /dev."""

from __future__ import annotations

import os
import stat

from core.containers.steps import Context, Step

DEVICES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))
"""Character devices of major 1; `tty` is 5:0."""
DEVICE_LINKS = (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"))  # fmt: skip


class Devices(Step):
    """Fills /dev, which is a tmpfs by now, with docker's nodes and links."""

    def describe(self) -> str:
        return "make /dev nodes: null zero full random urandom tty, and links"

    def apply(self, context: Context) -> None:
        fd = context.target("/dev", directory=True)
        mask = os.umask(0)
        try:
            for name, minor in DEVICES:
                os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, minor), dir_fd=fd)
            os.mknod("tty", stat.S_IFCHR | 0o666, os.makedev(5, 0), dir_fd=fd)
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
                            os.mknod(entry.name, facts.st_mode, facts.st_rdev, dir_fd=fd)
                        except FileExistsError:
                            continue
        finally:
            os.umask(mask)
            os.close(fd)


class DeviceNodes(Step):
    """Makes nodes for devices that were asked for."""

    nodes: tuple[tuple[str, str, int, int, int, int, int], ...]
    """Path, c or b, major, minor, mode, owner, group."""

    def describe(self) -> str:
        return f"make nodes {' '.join(node[0] for node in self.nodes)}"

    def apply(self, context: Context) -> None:
        for place, kind, major, minor, mode, uid, gid in self.nodes:
            folder, _, name = place.rpartition("/")
            fd = context.target(folder or "/", directory=True)
            try:
                file_type = stat.S_IFCHR if kind == "c" else stat.S_IFBLK
                try:
                    os.mknod(name, file_type | mode, os.makedev(major, minor), dir_fd=fd)
                except FileExistsError:
                    os.unlink(name, dir_fd=fd)
                    os.mknod(name, file_type | mode, os.makedev(major, minor), dir_fd=fd)
                os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(fd)
