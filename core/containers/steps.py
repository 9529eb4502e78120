"""The steps that make a container, each a value that can be shown and applied.

They are made by `core.containers.plan` and run in the container's first process, in order.
Targets of mounts are reached by descriptors that openat2 resolved under the container's
root, and given to mount(2) as /proc/self/fd/N of the host's own /proc: a link in the image
cannot lead outside.
"""

from __future__ import annotations

import os
import stat

from core.containers import cgroups
from core.containers.tree_copy import copy_tree
from core.linux import capabilities, mount, path, process, seccomp, terminal
from core.record import Record

TYPE_CHECKING = False

DEVICES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))
"""Character devices of major 1; `tty` is 5:0."""
DEVICE_LINKS = (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"))  # fmt: skip


class Context:
    """What steps hand to each other inside the first process."""

    def __init__(self) -> None:
        self.root_fd = -1
        """The container's root, before it is pivoted into."""
        self.slave_fd = -1
        """The container's end of its terminal."""
        self.master_fd = -1

    def target(self, name: str, *, directory: bool) -> int:
        """Return an O_PATH descriptor of a mount target, made when it is missing."""
        return path.make_target(self.root_fd, name, directory=directory)


class Step(Record):
    """One thing that is done; `apply` raises OSError."""

    def describe(self) -> str:
        """Return one line that tells what is done."""
        raise NotImplementedError

    def apply(self, context: Context) -> None:
        """Do it."""
        raise NotImplementedError


class JoinCgroup(Step):
    """Moves the first process into the container's cgroup, which is then the root it sees."""

    joins: tuple[str, ...]
    own_namespace: bool

    def describe(self) -> str:
        return f"join cgroup {os.path.dirname(self.joins[0]) if self.joins else '(none)'}"

    def apply(self, context: Context) -> None:
        cgroups.join({"joins": self.joins})
        if self.own_namespace:
            process.unshare(process.CLONE_NEWCGROUP)


class Unshare(Step):
    """Makes the namespaces, but for pid, which the monitor makes, and cgroup (JoinCgroup)."""

    names: tuple[str, ...]
    flags: int

    def describe(self) -> str:
        return f"new namespaces: {', '.join(self.names)}"

    def apply(self, context: Context) -> None:
        process.unshare(self.flags)


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
    read_only: bool = False

    def describe(self) -> str:
        return f"overlay of {len(self.lower)} layers under {self.upper} on {self.target}"

    def apply(self, context: Context) -> None:
        os.chdir(self.layers)
        options = f",upperdir={self.upper},workdir={self.work}" if self.upper else ""
        short = f"lowerdir={':'.join(self.lower)}{options}"
        if len(short) < 4000:
            mount.mount("overlay", self.target, "overlay", 0, short)
        else:
            self._mount_by_parts()
        context.root_fd = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _mount_by_parts(self) -> None:
        """Name the layers one by one (`lowerdir+`, Linux 6.8)."""
        fs = mount.fsopen("overlay")
        for layer in self.lower:
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "lowerdir+", layer)
        if self.upper:
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "upperdir", self.upper)
            mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "workdir", self.work)
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
        finally:
            os.close(fd)


class CgroupMount(Step):
    """Shows the container its own cgroup: one tree, or a tree a controller."""

    version: int
    controllers: tuple[str, ...]
    flags: int

    def describe(self) -> str:
        return f"mount cgroup v{self.version} on /sys/fs/cgroup"

    def apply(self, context: Context) -> None:
        fd = context.target("/sys/fs/cgroup", directory=True)
        try:
            here = f"/proc/self/fd/{fd}"
            if self.version == 2:
                mount.mount("cgroup", here, "cgroup2", self.flags)
                return
            mount.mount("tmpfs", here, "tmpfs", self.flags & ~mount.MS_RDONLY, "mode=755")
        finally:
            os.close(fd)
        top = context.target("/sys/fs/cgroup", directory=True)
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


class Bind(Step):
    """Shows a file or directory of the host in the container."""

    source: str
    target: str
    read_only: bool

    def describe(self) -> str:
        return f"bind {self.source} on {self.target}{' (read-only)' * self.read_only}"

    def apply(self, context: Context) -> None:
        source = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
        target = context.target(self.target, directory=path.is_directory(source))
        try:
            mount.bind(source, target, read_only=self.read_only, recursive=True)
        finally:
            os.close(source)
            os.close(target)


class Volume(Step):
    """A directory of the container's own, filled from the image when it is new, as in docker."""

    source: str
    target: str

    def describe(self) -> str:
        return f"volume {self.source} on {self.target}"

    def apply(self, context: Context) -> None:
        target = context.target(self.target, directory=True)
        try:
            if not os.path.isdir(self.source):
                self._fill(target)
            source = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
            mount.bind(source, target, read_only=False, recursive=True)
            os.close(source)
        finally:
            os.close(target)

    def _fill(self, target: int) -> None:
        """Copy under another name first, so that a half-filled volume never counts as one."""
        half = f"{self.source}.{os.urandom(4).hex()}"
        os.makedirs(half, 0o700)
        copy = os.open(half, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy_tree(target, copy)
        finally:
            os.close(copy)
        os.rename(half, self.source)


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


class Terminal(Step):
    """Makes the container's terminal out of its own devpts and puts it on /dev/console."""

    def describe(self) -> str:
        return "open a terminal, bind it on /dev/console"

    def apply(self, context: Context) -> None:
        context.master_fd = path.open_in_root(
            context.root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY
        )
        context.slave_fd = terminal.open_pty(context.master_fd)
        console = context.target("/dev/console", directory=False)
        mount.bind(context.slave_fd, console, read_only=False, recursive=False)
        os.close(console)


class Sysctl(Step):
    """Sets kernel parameters of the container's own namespaces."""

    settings: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return f"set {' '.join(f'{name}={value}' for name, value in self.settings)}"

    def apply(self, context: Context) -> None:
        # A procfs of our own, reached by nothing but this descriptor: whatever lies on the
        # container's /proc cannot lead the write elsewhere (CVE-2025-52881).
        fs = mount.fsopen("proc")
        mount.fsconfig(fs, mount.FSCONFIG_CMD_CREATE)
        proc = mount.fsmount(fs)
        os.close(fs)
        try:
            for name, value in self.settings:
                file = path.openat2(
                    proc,
                    "sys/" + name.replace(".", "/"),
                    os.O_WRONLY,
                    0,
                    path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_XDEV,
                )
                os.write(file, value.encode())
                os.close(file)
        finally:
            os.close(proc)


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


class WorkingDirectory(Step):
    """Makes the working directory when the image lacks it, as docker does."""

    path: str

    def describe(self) -> str:
        return f"make working directory {self.path}"

    def apply(self, context: Context) -> None:
        os.close(path.make_dirs(context.root_fd, self.path))


class PivotRoot(Step):
    """Makes the container's root the root and lets go of the host's."""

    hostname: str
    read_only: bool

    def describe(self) -> str:
        return f"pivot into the root{' (read-only)' * self.read_only}, host name {self.hostname}"

    def apply(self, context: Context) -> None:
        process.sethostname(self.hostname)
        os.fchdir(context.root_fd)
        os.close(context.root_fd)
        context.root_fd = -1
        mount.pivot_root(".", ".")
        mount.umount2(".", mount.MNT_DETACH)
        os.chdir("/")
        if self.read_only:
            mount.mount("", "/", "", mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY)


class Bounding(Step):
    """Takes capabilities away for good."""

    keep: int
    highest: int

    def describe(self) -> str:
        kept = [name for number, name in enumerate(capabilities.NAMES) if self.keep >> number & 1]
        return f"keep capabilities: {' '.join(kept) or 'none'}"

    def apply(self, context: Context) -> None:
        capabilities.drop_bounding(self.keep, self.highest)


class NoNewPrivileges(Step):
    """Makes setuid programs harmless."""

    def describe(self) -> str:
        return "set no_new_privs"

    def apply(self, context: Context) -> None:
        process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)


class Seccomp(Step):
    """Installs the system-call filter."""

    program: bytes

    def describe(self) -> str:
        return f"load system-call filter ({len(self.program) // 8} instructions)"

    def apply(self, context: Context) -> None:
        seccomp.load(self.program)
