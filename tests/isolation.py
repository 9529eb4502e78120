"""Network and mount namespaces of the test run's own.

Tests then neither see nor disturb the host's bridge, tables, ports and running containers,
and whatever a crashed run leaves ends with its process.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
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


def _show_own_devices() -> None:
    """Make /sys list this namespace's devices: a sysfs shows those of where it was mounted."""
    with tempfile.TemporaryDirectory() as fresh:
        _run("mount", "-t", "sysfs", "sysfs", fresh)
        for part in ("class/net", "devices/virtual/net"):
            _run("mount", "--bind", f"{fresh}/{part}", f"/sys/{part}")
        _run("umount", fresh)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def on_host_network(command: list[str]) -> list[str]:
    """Return the command line that runs `command` where the internet is."""
    if host_network < 0:
        return command
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{host_network}", *command]
