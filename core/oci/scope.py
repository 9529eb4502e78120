"""The scope that systemd makes for a container, with `--systemd-cgroup`."""

from __future__ import annotations

import errno
import os

from core.containers.runtime.delegation import ROOT, manager_directory, systemd_socket
from core.errors import HostError
from core.privileges import outer_uid

HINT = "without systemd: leave --systemd-cgroup out; podman --cgroup-manager cgroupfs"


def top() -> str:
    """Return where the cgroups of the systemd in charge begin, from the top of the tree."""
    return manager_directory().removeprefix(ROOT) if outer_uid() else ""


def start(path: str, container_id: str, pid: int) -> None:
    """Have systemd make the scope at a cgroup path around a process; HostError when it cannot."""
    slice_, _, name = path.rpartition("/")
    if not name.endswith(".scope"):
        return  # a slice: a directory like any other
    from core.linux import systemd

    uid = outer_uid()
    description = f"limpet container {container_id}"
    slice_ = os.path.basename(slice_) or "-.slice"
    try:
        systemd.start_scope(systemd_socket(uid), uid, name, (pid,), slice_, description)
    except OSError as error:
        raise _refused(error) from error


def join(path: str) -> None:
    """Have systemd move this process into a scope, where it may not go itself.  Raises OSError."""
    from core.linux import systemd

    uid = outer_uid()
    systemd.attach(systemd_socket(uid), uid, os.path.basename(path), "", os.getpid())


def stop(path: str) -> None:
    """Let systemd forget the scope of a container that has ended; one that is gone is none."""
    name = os.path.basename(path)
    if name.endswith(".scope"):
        from core.linux import systemd

        uid = outer_uid()
        try:
            systemd.stop(systemd_socket(uid), uid, name)
        except OSError:
            pass  # it has seen the end itself


def _refused(error: OSError) -> HostError:
    uid = outer_uid()
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        whose = f"no systemd of user {uid}" if uid else "no systemd"
        text = f"--systemd-cgroup: {whose} runs here ({systemd_socket(uid)})"
        return HostError(text, errno=error.errno or 0, hint=HINT)
    return HostError(f"--systemd-cgroup: {error.strerror}", errno=error.errno or 0, hint=HINT)
