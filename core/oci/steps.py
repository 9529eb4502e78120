"""The steps that only a bundle asks for, beside those of `core.containers`.

Those of the outer stage run while the host's file system can still be seen with the
runtime's privileges, those of the inner one in the container's first process.
"""

from __future__ import annotations

import errno
import os
import stat

from core.containers.runtime.steps import Context, Step
from core.containers.runtime.tree_copy import copy_tree
from core.linux import mount, path, process
from core.oci.mounts import Attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOUNT_ATTR_IDMAP = 0x100000
IN_PROC = frozenset((
    "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/net/dev",
    "/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
    "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
))  # fmt: skip
"""Files of /proc that tell of the host; a mount may put others in their place, as in runc."""
ROOT = "root"
"""The key of the root's tree in `Context.trees`."""

IdMaps = tuple[str, str]
"""The contents of uid_map and gid_map."""


class TakeTree(Step):
    """Takes a mount of the host, or the tree below it, for the container."""

    key: str
    source: str
    recursive: bool = False
    own: Attributes = Attributes()
    tree: Attributes = Attributes()
    id_map: IdMaps | None = None
    map_all: bool = False

    def describe(self) -> str:
        return f"take {self.source}"

    def apply(self, context: Context) -> None:
        flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC
        flags |= mount.AT_RECURSIVE if self.recursive else 0
        taken = mount.open_tree(mount.AT_FDCWD, self.source, flags)
        for attributes, recursive in ((self.tree, True), (self.own, False)):
            if attributes != Attributes():
                mount.mount_setattr(
                    taken, attributes.set_bits, clear=attributes.clear, recursive=recursive
                )
        if self.id_map:
            space = _user_namespace(self.id_map)
            mount.mount_setattr(
                taken, MOUNT_ATTR_IDMAP, user_namespace=space, recursive=self.map_all
            )
            os.close(space)
        context.trees[self.key] = taken


def write_maps(pid: int | str, maps: IdMaps) -> None:
    """Give a new user namespace its maps, from outside.  Raises OSError.

    An ordinary user may map himself alone, and then nobody changes groups there.
    """
    if os.geteuid():
        with open(f"/proc/{pid}/setgroups", "w", encoding="ascii") as file:
            file.write("deny")
    for name, text in zip(("uid_map", "gid_map"), maps, strict=True):
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _user_namespace(maps: IdMaps) -> int:
    """Return a descriptor of a user namespace with these maps; nothing runs in it."""
    ready_read, ready = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(release)
            process.unshare(process.CLONE_NEWUSER)
            os.write(ready, b"1")
            os.read(hold, 1)
        finally:
            os._exit(0)
    os.close(ready)
    os.close(hold)
    try:
        if not os.read(ready_read, 1):
            raise OSError(errno.ENOSPC, "the kernel gives no user namespace for an idmapped mount")
        write_maps(pid, maps)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready_read)
        os.close(release)
        os.waitpid(pid, 0)


class JoinPaths(Step):
    """Joins namespaces that files stand for."""

    spaces: tuple[tuple[int, str], ...]
    """CLONE_NEW*, path."""

    def describe(self) -> str:
        return f"join namespaces {' '.join(where for _, where in self.spaces)}"

    def apply(self, context: Context) -> None:
        opened = [(kind, os.open(where, os.O_RDONLY | os.O_CLOEXEC)) for kind, where in self.spaces]
        for kind, fd in opened:
            process.setns(fd, kind)
            os.close(fd)


class TimeOffsets(Step):
    """Moves the clocks of the new time namespace, before its first process is there."""

    offsets: tuple[tuple[str, int, int], ...]
    """Clock, seconds, nanoseconds."""

    def describe(self) -> str:
        return f"set clocks: {' '.join(f'{name}{secs:+d}s' for name, secs, _ in self.offsets)}"

    def apply(self, context: Context) -> None:
        with open("/proc/self/timens_offsets", "wb", buffering=0) as file:
            lines = "".join(f"{name} {secs} {nanosecs}\n" for name, secs, nanosecs in self.offsets)
            file.write(lines.encode())


class Propagation(Step):
    """Sets what mounts to come share with the host."""

    flags: int

    def describe(self) -> str:
        return "keep mounts from the host"

    def apply(self, context: Context) -> None:
        mount.mount("", "/", "", self.flags | mount.MS_REC)
        # The new root's parent: pivot_root(2) takes none that is shared.
        mount.mount("", "/", "", mount.MS_PRIVATE)


class AttachRoot(Step):
    """Lays the root over the host's, by descriptor: no directory on the way to it matters."""

    def describe(self) -> str:
        return "attach the root"

    def apply(self, context: Context) -> None:
        tree = context.trees.pop(ROOT)
        mount.mount_setattr(tree, 0, propagation=mount.MS_PRIVATE, recursive=True)
        top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount.attach(tree, top)
        os.close(top)
        context.root_fd = tree


def target(context: Context, name: str, *, directory: bool, kind: str = "") -> int:
    """Return a mount's target; what the kernel's own file systems are mounted on is no link."""
    if name in IN_PROC:
        resolve = path.RESOLVE_IN_ROOT | path.RESOLVE_NO_SYMLINKS
        return path.openat2(context.root_fd, name, os.O_PATH, 0, resolve)
    found = context.target(name, directory=directory)
    if kind in ("proc", "sysfs"):
        # A link would move it away from where masks and read-only parts are put (CVE-2023-27561).
        resolve = path.RESOLVE_IN_ROOT | path.RESOLVE_NO_SYMLINKS
        os.close(path.openat2(context.root_fd, name, os.O_PATH | os.O_DIRECTORY, 0, resolve))
    return found


def _propagate(context: Context, name: str, flags: int) -> None:
    if flags:
        fd = path.open_in_root(context.root_fd, name)
        recursive = bool(flags & mount.MS_REC)
        mount.mount_setattr(fd, 0, propagation=flags & ~mount.MS_REC, recursive=recursive)
        os.close(fd)


class AttachTree(Step):
    """Puts what TakeTree took into the container."""

    key: str
    source: str
    target: str
    propagation: int

    def describe(self) -> str:
        return f"bind {self.source} on {self.target}"

    def apply(self, context: Context) -> None:
        tree = context.trees.pop(self.key)
        place = target(context, self.target, directory=path.is_directory(tree))
        flags = self.propagation or mount.MS_PRIVATE | mount.MS_REC
        try:
            mount.mount_setattr(
                tree, 0, propagation=flags & ~mount.MS_REC, recursive=bool(flags & mount.MS_REC)
            )
            mount.attach(tree, place)
        finally:
            os.close(tree)
            os.close(place)


class FileSystem(Step):
    """Mounts a file system of the kernel's, with all that a bundle may ask of it."""

    kind: str
    source: str
    target: str
    flags: int
    data: str
    propagation: int = 0
    copy_up: bool = False

    def describe(self) -> str:
        return f"mount {self.kind} on {self.target}"

    def apply(self, context: Context) -> None:
        found = is_there(context, self.target)
        place = target(context, self.target, directory=True, kind=self.kind)
        late = mount.MS_RDONLY if self.copy_up else 0
        data = self.data
        if self.kind == "tmpfs" and found and "mode=" not in data:
            # It stands for the directory it hides, as with runc and crun.
            mode = f"mode={stat.S_IMODE(os.fstat(place).st_mode):o}"
            data = f"{data},{mode}" if data else mode
        try:
            self._mount(f"/proc/self/fd/{place}", self.flags & ~late, data)
            if self.copy_up and found:
                self._fill(context, place)
        finally:
            os.close(place)
        if self.kind == "proc":
            proc = path.open_in_root(context.root_fd, self.target)
            context.proc_device = os.fstat(proc).st_dev
            os.close(proc)
        _propagate(context, self.target, self.propagation)

    def _mount(self, place: str, flags: int, data: str) -> None:
        try:
            mount.mount(self.source or self.kind, place, self.kind, flags, data)
        except PermissionError:
            # In a user namespace these need the pid or network namespace to be its own as well.
            host = {"proc": "/proc", "sysfs": "/sys"}.get(self.kind)
            if host is None:
                raise
            mount.mount(host, place, "", mount.MS_BIND | mount.MS_REC)

    def _fill(self, context: Context, below: int) -> None:
        """Copy what lay there before; `below` still refers to it."""
        top = path.open_in_root(context.root_fd, self.target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            copy_tree(below, top)
            if self.flags & mount.MS_RDONLY:
                fd = path.open_in_root(context.root_fd, self.target)
                mount.mount_setattr(fd, mount.MOUNT_ATTR_RDONLY)
                os.close(fd)
        finally:
            os.close(top)


class CgroupTrees(Step):
    """Binds the container's own cgroups, for one that sees the host's cgroup namespace (v1)."""

    target: str
    trees: tuple[tuple[str, str], ...]
    """Name of a tree and the container's directory in it."""
    links: tuple[tuple[str, str], ...]
    flags: int

    def describe(self) -> str:
        return f"bind cgroups on {self.target}"

    def apply(self, context: Context) -> None:
        place = target(context, self.target, directory=True)
        try:
            mount.mount(
                "tmpfs",
                f"/proc/self/fd/{place}",
                "tmpfs",
                self.flags & ~mount.MS_RDONLY,
                "mode=755",
            )
        finally:
            os.close(place)
        top = target(context, self.target, directory=True)
        read_only = bool(self.flags & mount.MS_RDONLY)
        try:
            # A file system of our own, with nothing in it yet that could lead elsewhere.
            for name, _ in self.trees:
                os.mkdir(name, dir_fd=top)
                inner = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=top)
                tree = context.trees.pop(f"cgroup {name}")
                if read_only:
                    mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY)
                mount.attach(tree, inner)
                os.close(tree)
                os.close(inner)
            for name, aim in self.links:
                os.symlink(aim, name, dir_fd=top)
            if read_only:
                mount.mount_setattr(top, mount.MOUNT_ATTR_RDONLY)
        finally:
            os.close(top)


def is_there(context: Context, name: str) -> bool:
    """Tell whether the container has something under a name."""
    try:
        os.close(path.open_in_root(context.root_fd, name))
    except OSError:
        return False
    return True


def numbers(mappings: Sequence[dict[str, int]]) -> str:
    """Return a list of id mappings as the kernel's map files take it."""
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings)
