"""Who may be served by a spawner that is there: whoever stands exactly where it stands.

A process that it forks is as if the front end had forked it only if both have the same
code, namespaces, cgroup, limits and rights.  All that goes into the name of its socket.
"""

from __future__ import annotations

import _sha1
import os
import sys

from core.containers.state import read_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = (
    "", "containers", "containers/runtime", "containers/supervision", "containers/log", "linux",
    "network",
)  # fmt: skip
"""Of `core`: where the code of spawners, monitors and init stages is."""
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
FACTS = ("cgroup", "limits", "oom_score_adj")
RIGHTS = (b"Uid", b"Gid", b"Groups", b"NoNewPrivs", b"Seccomp", b"Cap", b"Cpus_allowed", b"Mems_")
"""How lines of /proc/self/status begin that tell what a process may: proc_pid_status(5)."""


def name() -> str:
    """Return the name of the socket of this process's spawner: 40 hexadecimal digits."""
    facts = _sha1.sha1(usedforsecurity=False)
    for folder in FOLDERS:
        facts.update(_versions(f"{ROOT}/{folder}"))
    facts.update(_version(sys.executable, os.stat(sys.executable)))
    for space in NAMESPACES:
        try:
            facts.update(os.readlink(f"/proc/self/ns/{space}").encode())
        except FileNotFoundError:
            pass  # an older kernel without this kind
    for fact in FACTS:
        facts.update(read_file(f"/proc/self/{fact}"))
    for line in read_file("/proc/self/status").splitlines():
        if line.startswith(RIGHTS):
            facts.update(line)
    root = os.stat("/")
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    facts.update(b"%d %d %d %d" % (root.st_dev, root.st_ino, nice, os.sched_getscheduler(0)))
    return str(facts.hexdigest())


def _versions(folder: str) -> bytes:
    with os.scandir(folder) as entries:
        return b"".join(
            sorted(
                _version(entry.path, entry.stat())
                for entry in entries
                if entry.name.endswith(".py")
            )
        )


def _version(path: str, facts: os.stat_result) -> bytes:
    return b"%b %d %d %d\n" % (os.fsencode(path), facts.st_ino, facts.st_mtime_ns, facts.st_size)
