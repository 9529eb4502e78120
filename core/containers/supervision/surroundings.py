"""Who may be served by a spawner that is there: whoever stands exactly where it stands.

A process that it forks is as if the front end had forked it only if both have the same
interpreter, namespaces, cgroup, limits and rights.  All that goes into the name of its
socket.  Whether its code is still what lies on the disk it sees for itself.
"""

from __future__ import annotations

import _sha1
import os
import sys

from core.containers.state import read_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
FACTS = ("cgroup", "limits", "oom_score_adj")
RIGHTS = (b"Uid", b"Gid", b"Groups", b"NoNewPrivs", b"Seccomp", b"Cap", b"Cpus_allowed", b"Mems_")
"""How lines of /proc/self/status begin that tell what a process may: proc_pid_status(5)."""


def name() -> str:
    """Return the name of the socket of this process's spawner: 40 hexadecimal digits."""
    facts = _sha1.sha1(usedforsecurity=False)
    facts.update(b"%b\n%b" % (os.fsencode(ROOT), _version(sys.executable)))
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


def note_code() -> None:
    """Remember which files this process has loaded its code from, as they are now."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None) or ""
        if path.startswith(ROOT):
            _code[path] = _version(path)


def has_new_code() -> bool:
    """Return whether one of those files is another now, or gone."""
    try:
        return any(_version(path) != version for path, version in _code.items())
    except FileNotFoundError:
        return True


_code: dict[str, bytes] = {}


def _version(path: str) -> bytes:
    facts = os.stat(path)
    return b"%b %d %d %d\n" % (os.fsencode(path), facts.st_ino, facts.st_mtime_ns, facts.st_size)
