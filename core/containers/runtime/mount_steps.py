"""The steps that make a container's file systems.

Targets are reached by descriptors that openat2 resolved under the container's root, and
given to mount(2) as /proc/self/fd/N of the host's own /proc: a link in the image cannot
lead outside.
"""

from __future__ import annotations

import errno
import fcntl
import os

from core.containers.runtime.steps import Context, Step, make_procfs
from core.containers.runtime.tree_copy import copy_tree
from core.linux import mount, path, process


class PrivateMounts(Step):
    """Keeps every mount to come from the host."""

    def describe(self) -> str:
        return "make all mounts private"

    def apply(self, context: Context) -> None:
        mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)


class OverlayRoot(Step):
    """Stacks the image's layers under the container's writable one, or (no `upper`) alone.

    Layers are named relative to their directory: mount(2) takes one page of options.
    """

    layers: str
    lower: tuple[str, ...]
    upper: str
    work: str
    target: str
    rootless: bool = False
    """overlayfs keeps its notes in user attributes then; its documentation, "userxattr"."""
    volatile: bool = False
    """Nothing that is written here will be wanted after a power cut: overlayfs need not write all
    of the host's file system to the disk when the container ends."""

    def describe(self) -> str:
        layers = f"{len(self.lower)} layer{'s' * (len(self.lower) != 1)}"
        return f"overlay of {layers} under {self.upper} on {self.target}"

    def apply(self, context: Context) -> None:
        os.chdir(self.layers)
        try:
            self._mount()
        except FileNotFoundError:
            for layer in self.lower:
                if not os.path.isdir(layer):  # mount(2) names the target alone
                    what = "a layer of the image is missing"
                    raise FileNotFoundError(errno.ENOENT, what, f"{self.layers}/{layer}") from None
            raise
        context.root_fd = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _mount(self) -> None:
        options = f",upperdir={self.upper},workdir={self.work}" if self.upper else ""
        options += ",userxattr" * self.rootless
        if self.volatile:
            options += ",volatile"
            self._forget_last()
        short = f"lowerdir={':'.join(self.lower)}{options}"
        if len(short) < 4000:
            mount.mount("overlay", self.target, "overlay", 0, short)
        else:
            self._mount_by_parts()

    def _forget_last(self) -> None:
        """Remove what makes overlayfs refuse an upper directory that was volatile before."""
        place = f"{self.work}/work/incompat"
        try:
            os.unlink(f"{place}/volatile/dirty")
            os.rmdir(f"{place}/volatile")
            os.rmdir(place)
        except FileNotFoundError:
            pass

    def _mount_by_parts(self) -> None:
        """Name the layers one by one (`lowerdir+`, Linux 6.8)."""
        fs = mount.fsopen("overlay")
        for layer in self.lower:
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "lowerdir+", layer)
        if self.upper:
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "upperdir", self.upper)
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "workdir", self.work)
        if self.rootless:
            mount.fsconfig(fs, mount.FSCONFIG_SET_FLAG, "userxattr")
        if self.volatile:
            mount.fsconfig(fs, mount.FSCONFIG_SET_FLAG, "volatile")
        mount.fsconfig(fs, mount.FSCONFIG_CMD_CREATE)
        made = mount.fsmount(fs)
        target = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount.attach(made, target)
        for fd in (fs, made, target):
            os.close(fd)


class Mount(Step):
    """Mounts a file system of the kernel's."""

    kind: str
    source: str
    target: str
    flags: int
    data: str

    def describe(self) -> str:
        return f"mount {self.kind} on {self.target}"

    def apply(self, context: Context) -> None:
        fd = context.target(self.target, directory=True)
        try:
            mount.mount(self.source, f"/proc/self/fd/{fd}", self.kind, self.flags, self.data)
        except PermissionError:
            if self.kind != "sysfs":
                raise
            # Root of a user namespace that shares the host's network: only a copy of the host's.
            host = os.open("/sys", os.O_PATH | os.O_CLOEXEC)
            mount.bind(host, fd, read_only=True, recursive=True)
            os.close(host)
        finally:
            os.close(fd)


class Procfs(Step):
    """Mounts the container's /proc."""

    target: str
    flags: int

    def describe(self) -> str:
        return f"mount proc on {self.target}"

    def apply(self, context: Context) -> None:
        # These flags have the same numbers as attributes of a mount.
        attributes = self.flags & 0xF
        try:
            context.proc_fd = make_procfs(attributes)
        except PermissionError:
            # An ordinary user mounts none of a pid namespace that is not his, as of the host's.
            taken = mount.open_tree(mount.AT_FDCWD, "/proc", mount.OPEN_TREE_CLONE
                                    | mount.OPEN_TREE_CLOEXEC | mount.AT_RECURSIVE)  # fmt: skip
            mount.mount_setattr(taken, attributes, recursive=True)
            context.proc_fd = taken
        context.proc_device = os.fstat(context.proc_fd).st_dev
        fd = context.target(self.target, directory=True)
        mount.attach(context.proc_fd, fd)
        os.close(fd)


class CgroupMount(Step):
    """Shows the container its own cgroup: one tree, or a tree a controller."""

    version: int
    controllers: tuple[str, ...]
    flags: int
    target: str = "/sys/fs/cgroup"

    def describe(self) -> str:
        return f"mount cgroup v{self.version} on {self.target}"

    def apply(self, context: Context) -> None:
        if self.version == 0:
            return  # it has none
        fd = context.target(self.target, directory=True)
        try:
            here = f"/proc/self/fd/{fd}"
            if self.version == 2:
                self._mount_v2(context, here)
                return
            mount.mount("tmpfs", here, "tmpfs", self.flags & ~mount.MS_RDONLY, "mode=755")
        finally:
            os.close(fd)
        top = context.target(self.target, directory=True)
        try:
            # A file system of our own, with nothing in it yet that could lead elsewhere.
            os.fchdir(top)
            for name in self.controllers:
                os.mkdir(name)
                mount.mount("cgroup", name, "cgroup", self.flags, name)
                for part in name.split(",") if "," in name else ():
                    os.symlink(name, part, dir_fd=top)
            if self.flags & mount.MS_RDONLY:
                mount.mount_setattr(top, mount.MOUNT_ATTR_RDONLY)
        finally:
            os.close(top)

    def _mount_v2(self, context: Context, here: str) -> None:
        try:
            mount.mount("cgroup", here, "cgroup2", self.flags)
        except PermissionError:
            # The host's namespace, and an ordinary user: what the host has mounted is shown.
            mount.mount(self.target, here, "", mount.MS_BIND | mount.MS_REC)
            shown = context.target(self.target, directory=True)
            mount.mount_setattr(shown, self.flags & mount.MOUNT_ATTR_RDONLY)
            os.close(shown)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            # A bound /sys shows the host's, and the kernel mounts no second one on top of it.
            mount.mount("tmpfs", here, "tmpfs", 0, "mode=755")
            between = context.target(self.target, directory=True)
            mount.mount("cgroup", f"/proc/self/fd/{between}", "cgroup2", self.flags)
            os.close(between)


class CloneTree(Step):
    """Takes a tree of mounts of the host as it is, still tied to the host's, for a Bind."""

    source: str
    recursive: bool = True

    def describe(self) -> str:
        return f"clone the mount{'s' * self.recursive} of {self.source}"

    def apply(self, context: Context) -> None:
        flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC
        flags |= mount.AT_RECURSIVE if self.recursive else 0
        context.trees[self.source] = mount.open_tree(mount.AT_FDCWD, self.source, flags)


class Bind(Step):
    """Shows a file or directory of the host in the container."""

    source: str
    target: str
    read_only: bool
    propagation: int = 0
    """MS_SHARED or MS_SLAVE, MS_REC with it; 0: private."""
    recursive: bool = True

    def describe(self) -> str:
        return f"bind {self.source} on {self.target}{' (read-only)' * self.read_only}"

    def apply(self, context: Context) -> None:
        if self.source in context.trees:
            self._attach(context, context.trees.pop(self.source))
            return
        source = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
        target = context.target(self.target, directory=path.is_directory(source))
        try:
            mount.bind(source, target, read_only=self.read_only, recursive=self.recursive)
        finally:
            os.close(source)
            os.close(target)

    def _attach(self, context: Context, tree: int) -> None:
        recursive = bool(self.propagation & mount.MS_REC)
        target = context.target(self.target, directory=path.is_directory(tree))
        try:
            if self.read_only:
                mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
            mount.mount_setattr(
                tree, 0, propagation=self.propagation & ~mount.MS_REC, recursive=recursive
            )
            mount.attach(tree, target)
        finally:
            os.close(tree)
            os.close(target)


class Volume(Step):
    """A volume, filled with what the image has at its place when it is empty, as in docker."""

    source: str
    target: str
    read_only: bool = False
    copy: bool = True
    subpath: str = ""

    def describe(self) -> str:
        return f"volume {self.source} on {self.target}{' (read-only)' * self.read_only}"

    def apply(self, context: Context) -> None:
        if self.subpath:
            self._show_part(context)
            return
        target = context.target(self.target, directory=True)
        try:
            if not self._is_filled():
                self._fill(target)
            source = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
            mount.bind(source, target, read_only=self.read_only, recursive=True)
            os.close(source)
        finally:
            os.close(target)

    def _show_part(self, context: Context) -> None:
        """Bind a part of the volume; a link in it that a container made leads nowhere else."""
        os.makedirs(self.source, 0o755, exist_ok=True)
        volume = os.open(self.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        part = path.openat2(volume, self.subpath, os.O_PATH, 0, path.RESOLVE_BENEATH)
        target = context.target(self.target, directory=path.is_directory(part))
        mount.bind(part, target, read_only=self.read_only, recursive=True)
        for fd in (volume, part, target):
            os.close(fd)

    def _is_filled(self) -> bool:
        try:
            return bool(os.listdir(self.source))
        except FileNotFoundError:
            return False

    def _fill(self, target: int) -> None:
        """Copy under another name first, so that a half-filled volume never counts as one.

        The lock tells those who sweep that it is at work.
        """
        folder, _, name = self.source.rpartition("/")
        half = f"{folder}/.{name}.{os.urandom(4).hex()}"
        os.makedirs(half, 0o700)
        copy = os.open(half, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(copy, fcntl.LOCK_EX)
            if self.copy:
                copy_tree(target, copy)
            else:
                os.fchmod(copy, 0o755)
            os.rename(half, self.source)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            # Another container has filled it meanwhile; ours goes with the next sweep.
        finally:
            os.close(copy)


class SharedMemory(Step):
    """Shows the /dev/shm of another container, whose ipc namespace is joined."""

    pid: int
    ticks: int
    target: str

    def describe(self) -> str:
        return f"bind {self.target} of process {self.pid}"

    def apply(self, context: Context) -> None:
        folder = process.open_process(self.pid, self.ticks)
        other = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        # Cloned from within: a mount of another namespace cannot be taken from outside.
        process.setns(other, process.CLONE_NEWNS)
        try:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            place = path.openat2(
                root, self.target, os.O_PATH | os.O_DIRECTORY, 0, path.RESOLVE_NO_SYMLINKS
            )
            flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC | mount.AT_EMPTY_PATH
            tree = mount.open_tree(place, "", flags)
        finally:
            process.setns(own, process.CLONE_NEWNS)
        target = context.target(self.target, directory=True)
        mount.attach(tree, target)
        for fd in (folder, other, own, root, place, tree, target):
            os.close(fd)


class Mask(Step):
    """Hides files under the host's /dev/null and directories under an empty tmpfs."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        return f"mask {' '.join(self.paths)}"

    def apply(self, context: Context) -> None:
        # The node is the host's and checked: the container could have replaced its own.
        null = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        if os.fstat(null).st_rdev != os.makedev(1, 3):
            raise OSError(22, "/dev/null of the host is not the null device")
        for name in self.paths:
            try:
                target = path.open_in_root(context.root_fd, name)
            except FileNotFoundError:
                continue
            if path.is_directory(target):
                mount.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", mount.MS_RDONLY, "size=0k")
            else:
                mount.mount(f"/proc/self/fd/{null}", f"/proc/self/fd/{target}", "", mount.MS_BIND)
            os.close(target)
        os.close(null)


class ReadOnlyPaths(Step):
    """Makes parts of /proc read-only."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        return f"read-only {' '.join(self.paths)}"

    def apply(self, context: Context) -> None:
        for name in self.paths:
            try:
                target = path.open_in_root(context.root_fd, name)
            except FileNotFoundError:
                continue
            mount.bind(target, target, read_only=True, recursive=True)
            os.close(target)
