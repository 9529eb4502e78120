"""The step that fills a bundle's /dev."""

from __future__ import annotations

import errno
import os
import stat

from core.containers.runtime.device_steps import DEVICE_LINKS, DEVICES
from core.containers.runtime.steps import Context, Step
from core.linux import mount, path
from core.oci.steps import is_there


class DefaultDevices(Step):
    """Gives /dev the nodes and links that every container has, where they are missing."""

    nodes: tuple[tuple[str, str, int, int, int, int, int], ...] = ()
    """Those the bundle lists: path, c, b or p, major, minor, mode, owner, group."""

    def describe(self) -> str:
        more = " ".join(node[0] for node in self.nodes)
        return f"make /dev nodes and links {more}".rstrip()

    def apply(self, context: Context) -> None:
        mask = os.umask(0)
        try:
            listed = {node[0] for node in self.nodes}
            for name, major, minor in DEVICES:
                if f"/dev/{name}" not in listed:
                    self._node(context, (f"/dev/{name}", "c", major, minor, 0o666, 0, 0))
            for node in self.nodes:
                self._node(context, node)
            folder = path.make_dirs(context.root_fd, "/dev")
            for name, aim in DEVICE_LINKS:
                if name == "ptmx" and not is_there(context, "/dev/pts"):
                    continue
                try:
                    os.symlink(aim, name, dir_fd=folder)
                except FileExistsError:
                    continue
            os.close(folder)
        finally:
            os.umask(mask)

    def _node(self, context: Context, node: tuple[str, str, int, int, int, int, int]) -> None:
        place, kind, major, minor, mode, uid, gid = node
        folder_name, _, name = place.rpartition("/")
        folder = context.target(folder_name or "/", directory=True)
        number = os.makedev(major, minor)
        kind_bits = {"b": stat.S_IFBLK, "p": stat.S_IFIFO}.get(kind, stat.S_IFCHR)
        try:
            try:
                os.mknod(name, kind_bits | mode, number, dir_fd=folder)
            except FileExistsError:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if found.st_rdev == number and stat.S_IFMT(found.st_mode) == kind_bits:
                    return
                os.unlink(name, dir_fd=folder)
                os.mknod(name, kind_bits | mode, number, dir_fd=folder)
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        except PermissionError:
            # mknod(2) is refused in a user namespace: the host's node is shown instead.
            self._bind(context, place, kind_bits, number)
        finally:
            os.close(folder)

    def _bind(self, context: Context, place: str, kind_bits: int, number: int) -> None:
        source = os.open(place, os.O_PATH | os.O_CLOEXEC)
        facts = os.fstat(source)
        if facts.st_rdev != number or stat.S_IFMT(facts.st_mode) != kind_bits:
            raise OSError(
                errno.EPERM, "a user namespace can make no other node than the host's", place
            )
        inner = context.target(place, directory=False)
        mount.bind(source, inner, read_only=False, recursive=False)
        os.close(source)
        os.close(inner)
