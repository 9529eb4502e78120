"""The scope that systemd makes for a container, with `--systemd-cgroup`.

A scope takes a process that is there; so one waits in it until the container has joined.
"""

from __future__ import annotations

import _signal
import errno
import os

from core.containers.runtime.delegation import ROOT, manager_directory, systemd_socket
from core.errors import HostError
from core.linux import process
from core.privileges import outer_uid

HINT = "without systemd: leave --systemd-cgroup out; podman --cgroup-manager cgroupfs"


def top() -> str:
    """Return where the cgroups of the systemd in charge begin, from the top of the tree."""
    return manager_directory().removeprefix(ROOT) if outer_uid() else ""


class Scope:
    """Makes the scope at a cgroup path, "" for none; a `with` block, in which it is joined."""

    def __init__(self, path: str, container_id: str) -> None:
        self._path = path
        self._id = container_id
        self._pid = 0

    def __enter__(self) -> None:
        slice_, _, name = self._path.rpartition("/")
        if not name.endswith(".scope"):
            return
        self._pid = os.fork()
        if self._pid == 0:
            process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
            while True:
                _signal.pause()
        from core.linux import systemd

        uid = outer_uid()
        try:
            systemd.start_scope(
                systemd_socket(uid), uid, name, (self._pid,),
                os.path.basename(slice_) or "-.slice", f"limpet container {self._id}",
            )  # fmt: skip
        except OSError as error:
            self._end()
            raise _refused(error) from error

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0


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
