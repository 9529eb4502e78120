"""What this host lacks, each with the command that mends it; nothing is changed."""

from __future__ import annotations

import os

from core.containers.runtime.cgroups import ROOT, V1_CONTROLLERS
from core.model import Fact
from core.privileges import is_root, is_rootless, obstacle, outer_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.network.network import Network
    from core.paths import Paths

WANTED_CONTROLLERS = ("cpu", "memory", "pids")
UNFIT_FILE_SYSTEMS = ("overlay", "nfs", "nfs4", "9p", "vfat", "fuse", "fuse.sshfs", "ecryptfs")
"""overlayfs takes none of them for a writable layer (kernel: filesystems/overlayfs.rst)."""
APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
OPENAT2_SINCE = (5, 6)
LITTLE_SPACE = 1 << 30


def examine(paths: Paths, network: Network) -> Iterator[Fact]:
    """Yield one fact a finding, good ones too."""
    yield _privileges()
    yield _kernel()
    yield _overlay()
    yield from _storage(paths.data)
    yield _user_cgroups() if is_rootless() else _cgroups()
    yield _seccomp()
    yield _prctl()
    if is_rootless():
        yield from _user_network()
    else:
        yield from network.facts()


def _privileges() -> Fact:
    if is_rootless():
        return Fact("privileges", True, f"root of user {outer_uid()}'s own namespace")
    if is_root():
        return Fact("privileges", True, "root")
    problem, remedy = obstacle()
    if not problem:  # user_namespaces(7): none within a chroot, and security modules may refuse
        problem = "the kernel gives this process no user namespace"
        remedy = "leave the chroot or container that this is"
        if os.path.exists(APPARMOR):
            with open(APPARMOR, encoding="ascii") as file:
                if file.read().strip() == "1":
                    remedy = f"as root: sysctl -w kernel.{os.path.basename(APPARMOR)}=0"
    return Fact("privileges", False, f"an ordinary user: {problem}", f"sudo limpet; or {remedy}")


def _kernel() -> Fact:
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())
    if version >= OPENAT2_SINCE:
        return Fact("kernel", True, f"Linux {release}")
    return Fact("kernel", False, f"Linux {release} has no openat2(2)", "boot Linux 5.6 or later")


def _overlay() -> Fact:
    with open("/proc/filesystems", encoding="ascii") as file:
        known = {line.split()[-1] for line in file}
    if "overlay" in known:
        return Fact("overlay", True, "the kernel has overlayfs")
    return Fact("overlay", False, "the kernel has no overlayfs", "modprobe overlay")


def _storage(path: str) -> Iterator[Fact]:
    """Look at the file system that holds the data root, or will."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    kind = _file_system(path)
    elsewhere = "set storage.data_root in config.toml to a directory on ext4 or xfs"
    if kind in UNFIT_FILE_SYSTEMS:
        yield Fact(
            "storage", False, f"{path} is on {kind}: overlayfs cannot write there", elsewhere
        )
    else:
        yield Fact("storage", True, f"{path} is on {kind}")
    facts = os.statvfs(path)
    free = facts.f_bavail * facts.f_frsize
    text = f"{free >> 20} MiB are free in {path}"
    yield Fact(
        "space", free >= LITTLE_SPACE, text, "" if free >= LITTLE_SPACE else "limpet rmi, rm"
    )


def _file_system(path: str) -> str:
    """Return the type of the file system that `path` is on; proc_pid_mountinfo(5)."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            if fields[2] == wanted:
                return fields[fields.index("-") + 1]
    return "an unknown file system"


def _cgroups() -> Fact:
    if os.path.exists(f"{ROOT}/cgroup.controllers"):
        version = 2
        with open(f"{ROOT}/cgroup.controllers", encoding="ascii") as file:
            found = set(file.read().split())
    else:
        version = 1
        found = {name for name in V1_CONTROLLERS if os.path.isdir(f"{ROOT}/{name}")}
    missing = [name for name in WANTED_CONTROLLERS if name not in found]
    if not missing:
        return Fact("cgroups", True, f"version {version} with {', '.join(sorted(found))}")
    return Fact(
        "cgroups",
        False,
        f"version {version} without {', '.join(missing)}: no such limits",
        f"boot with systemd.unified_cgroup_hierarchy=1 cgroup_enable={missing[0]}",
    )


def _user_cgroups() -> Fact:
    """What there is for the limits of an ordinary user's containers."""
    from core.containers.runtime import cgroups, delegation

    without = "no limits, pause and stats for containers"
    if cgroups.layout():
        text = f"version 1 gives an ordinary user none: {without}"
        return Fact("cgroups", False, text, "boot with systemd.unified_cgroup_hierarchy=1")
    folder = delegation.offer()
    if not folder:
        text = f"no part of the tree is this user's own: {without}"
        remedy = (
            f"as root: loginctl enable-linger {outer_uid()}, which gives a systemd of one's own"
        )
        return Fact("cgroups", False, text, remedy)
    with open(f"{folder}/cgroup.controllers", encoding="ascii") as file:
        found = file.read().split()
    missing = [name for name in WANTED_CONTROLLERS if name not in found]
    text = f"{folder} with {', '.join(sorted(found)) or 'no controller'}"
    if not missing:
        return Fact("cgroups", True, text)
    remedy = (
        f"as root: echo +{' +'.join(missing)} > {os.path.dirname(folder)}/cgroup.subtree_control"
    )
    if folder == delegation.manager_directory():
        remedy = (
            "as root: systemctl edit user@.service, with [Service] Delegate=cpu cpuset io memory "
            "pids; then log in again"
        )
    return Fact("cgroups", False, f"{text}: no such limits as {', '.join(missing)}", remedy)


def _user_network() -> Iterator[Fact]:
    """What containers of an ordinary user need for a network."""
    from core.network.rootless import pasta

    path = pasta.program()
    remedy = "" if path else "as root: apt-get install passt"
    yield Fact("pasta", bool(path), path or "not installed: only --network none and host", remedy)
    usable = os.access("/dev/net/tun", os.R_OK | os.W_OK)
    text = "can be opened" if usable else "cannot be opened: pasta cannot make a device"
    yield Fact("/dev/net/tun", usable, text, "" if usable else "as root: chmod 666 /dev/net/tun")
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        yield Fact("ports", True, f"can be published from {file.read().strip()} on")


def _seccomp() -> Fact:
    if os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        return Fact("seccomp", True, "system calls can be filtered")
    return Fact(
        "seccomp",
        False,
        "the kernel cannot filter system calls",
        "boot a kernel with CONFIG_SECCOMP_FILTER",
    )


def _prctl() -> Fact:
    try:
        import _prctl  # noqa: F401
    except ImportError:
        remedy = "apt install gcc python3-dev libcap-dev, then install limpet again"
        return Fact("python-prctl", False, "not installed; the same calls go through libc", remedy)
    return Fact("python-prctl", True, "installed")
