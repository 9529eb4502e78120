"""The steps that make a container, each a value that can be shown and applied.

They are made by `core.containers.runtime.plan` and run in the container's first process, in order.
Those about mounts are in `core.containers.runtime.mount_steps`, those about devices in
`core.containers.runtime.device_steps`.
"""

from __future__ import annotations

import errno
import os

from core.containers.runtime import cgroups
from core.linux import capabilities, mount, path, process, seccomp, terminal
from core.record import Record

TYPE_CHECKING = False


class Context:
    """What steps hand to each other inside the first process."""

    def __init__(self) -> None:
        self.root_fd = -1
        """The container's root, before it is pivoted into."""
        self.slave_fd = -1
        """The container's end of its terminal."""
        self.master_fd = -1
        self.trees: dict[str, int] = {}
        """Detached mounts that were cloned while the host's could still be seen, by source."""
        self.proc_fd = -1
        """The container's procfs, which nothing else was reached through."""
        self.proc_device = -1
        """Its device number."""

    def target(self, name: str, *, directory: bool) -> int:
        """Return an O_PATH descriptor of a mount target, made when it is missing.

        Raises OSError for one that a link in the image leads into /proc (CVE-2019-16884):
        what lies there is what the later steps rely on.
        """
        fd = path.make_target(self.root_fd, name, directory=directory)
        if os.fstat(fd).st_dev == self.proc_device:
            os.close(fd)
            raise OSError(errno.EPERM, "the target lies in /proc", name)
        return fd


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
        # By the descriptor of a procfs that limpet made: whatever lies on the container's
        # /proc cannot lead the write elsewhere (CVE-2025-52881).
        proc = context.proc_fd if context.proc_fd >= 0 else make_procfs(0)
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
        if proc != context.proc_fd:
            os.close(proc)


def make_procfs(attributes: int) -> int:
    """Return the descriptor of a procfs that is not mounted yet; MOUNT_ATTR_NOSUID and the like."""
    fs = mount.fsopen("proc")
    mount.fsconfig(fs, mount.FSCONFIG_SET_STRING, "source", "proc")
    mount.fsconfig(fs, mount.FSCONFIG_CMD_CREATE)
    proc = mount.fsmount(fs, attributes)
    os.close(fs)
    return proc


class WorkingDirectory(Step):
    """Makes the working directory when the image lacks it, as docker does."""

    path: str

    def describe(self) -> str:
        return f"make working directory {self.path}"

    def apply(self, context: Context) -> None:
        os.close(path.make_dirs(context.root_fd, self.path))


class JoinNamespaces(Step):
    """Joins namespaces of a process instead of making new ones."""

    names: tuple[str, ...]
    pid: int
    ticks: int
    """When the process started, as in /proc/PID/stat: a reused number is another's."""

    def describe(self) -> str:
        return f"join namespaces of process {self.pid}: {', '.join(self.names)}"

    def apply(self, context: Context) -> None:
        folder = process.open_process(self.pid, self.ticks)
        for name in self.names:
            fd = os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            process.setns(fd, 0)
            os.close(fd)
        os.close(folder)


class OomScore(Step):
    """Makes the container more or less likely to be killed when the host's memory runs out."""

    adjustment: int

    def describe(self) -> str:
        return f"set oom_score_adj {self.adjustment}"

    def apply(self, context: Context) -> None:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            try:
                file.write(b"%d" % self.adjustment)
            except PermissionError:
                # Without CAP_SYS_RESOURCE it can only be raised (proc_pid_oom_score_adj(5)).
                pass


class DomainName(Step):
    """Sets the NIS domain name."""

    name: str

    def describe(self) -> str:
        return f"set domain name {self.name}"

    def apply(self, context: Context) -> None:
        process.setdomainname(self.name)


class PivotRoot(Step):
    """Makes the container's root the root and lets go of the host's."""

    hostname: str
    """Empty in the host's uts namespace."""
    read_only: bool
    propagation: int = 0
    """What the root shares with the host from then on: MS_SHARED and the like; 0 for nothing."""
    pivot: bool = True
    """False where the host's root is the kernel's ramdisk, which cannot be pivoted."""

    def describe(self) -> str:
        name = f", host name {self.hostname}" if self.hostname else ""
        return f"pivot into the root{' (read-only)' * self.read_only}{name}"

    def apply(self, context: Context) -> None:
        if self.hostname:
            process.sethostname(self.hostname)
        os.fchdir(context.root_fd)
        os.close(context.root_fd)
        context.root_fd = -1
        if self.pivot:
            mount.pivot_root(".", ".")
            mount.umount2(".", mount.MNT_DETACH)
        else:
            mount.mount(".", "/", "", mount.MS_MOVE)
            os.chroot(".")
        os.chdir("/")
        if self.propagation:
            mount.mount("", "/", "", self.propagation)
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
