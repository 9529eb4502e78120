"""Network, mount and cgroup namespaces of the test run's own.

Tests then neither see nor disturb the host's bridge, tables, ports, running containers and
other test runs, and whatever a crashed run leaves ends with its process.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWNET = 0x40000000

host_network = -1
"""The namespace that reaches the internet, once `enter` has left it."""


def enter() -> None:
    """Move this process, and all it starts from now on, out of the host's namespaces."""
    global host_network
    if host_network >= 0:
        return
    host_network = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    _run("mount", "--make-rprivate", "/")
    _show_own_devices()
    _run("ip", "link", "set", "lo", "up")
    _leave_cgroups(libc)


def _show_own_devices() -> None:
    """Make /sys list this namespace's devices: a sysfs shows those of where it was mounted."""
    with tempfile.TemporaryDirectory() as fresh:
        _run("mount", "-t", "sysfs", "sysfs", fresh)
        for part in ("class/net", "devices/virtual/net"):
            _run("mount", "--bind", f"{fresh}/{part}", f"/sys/{part}")
        _run("umount", fresh)


def _leave_cgroups(libc: ctypes.CDLL) -> None:
    """Make a cgroup of the run's own the root of each v1 hierarchy.

    Not on a host with v2 alone: there, a cgroup with processes in it can't have children
    with limits.
    """
    hierarchies = _v1_hierarchies()
    if not hierarchies:
        return
    name = f"limpet-tests-{os.getpid()}"
    for mount, *_ in hierarchies:
        home = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
        os.mkdir(name, dir_fd=home)
        if "cpuset" in os.path.basename(mount):
            for file in ("cpuset.cpus", "cpuset.mems"):
                _write(home, f"{name}/{file}", _read(home, file))
        _write(home, f"{name}/cgroup.procs", str(os.getpid()))
        atexit.register(_return_cgroup, home, name)
    if libc.unshare(CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "unshare")
    for mount, kind, options in hierarchies:
        _run("umount", "--lazy", mount)
        _run("mount", "-t", kind, "-o", options, kind, mount)


def _v1_hierarchies() -> list[tuple[str, str, str]]:
    """Return (mount point, type, mount options) of each hierarchy of a host with v1."""
    found = []
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            fields = line.split()
            kind, _, options = fields[fields.index("-") + 1 :][:3]
            if kind in ("cgroup", "cgroup2"):
                found.append((fields[4], kind, options))
    return found if any(kind == "cgroup" for _, kind, _ in found) else []


def _return_cgroup(home: int, name: str) -> None:
    _write(home, "cgroup.procs", str(os.getpid()))
    # What is in it was left behind, as the test that did it has said.
    for _, inner, _, place in os.fwalk(name, topdown=False, dir_fd=home):
        for folder in inner:
            with contextlib.suppress(OSError):
                os.rmdir(folder, dir_fd=place)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=home)


def _read(home: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY, dir_fd=home)) as file:
        return file.read()


def _write(home: int, path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY, dir_fd=home), "w") as file:
        file.write(text)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def on_host_network(command: list[str]) -> list[str]:
    """Return the command line that runs `command` where the internet is."""
    if host_network < 0:
        return command
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{host_network}", *command]
