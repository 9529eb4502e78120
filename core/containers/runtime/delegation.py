"""The part of the cgroup tree that an ordinary user may use for his containers, on cgroup v2.

systemd's manager of the user has one, and gives all his limpets one scope in it, in which
monitors and containers live until the last has ended.  Without such a manager it is whatever
tree around this process belongs to the user, because root gave it to him.
https://systemd.io/CGROUP_DELEGATION
"""

from __future__ import annotations

import errno
import os
import time

from core.privileges import outer_uid

ROOT = "/sys/fs/cgroup"
SCOPE, SLICE = "limpet.scope", "app.slice"
OWN = "limpet"
"""Below the scope: limpet's own processes, for a cgroup with others below it takes none."""
TRIES = 100


def home() -> str:
    """Return the directory in which containers have their cgroups, "" where the user has none."""
    scope = scope_directory()
    if os.path.isdir(f"{scope}/{OWN}"):
        return scope
    top = delegated()
    return f"{top}/limpet" if top else ""


def offer() -> str:
    """Return the directory whose controllers containers can have, "" where the user has none."""
    manager = manager_directory()
    return manager if os.path.exists(manager_socket()) else delegated()


def scope_directory() -> str:
    """Return where systemd has the scope of this user's limpets while there is one."""
    return f"{manager_directory()}/{SLICE}/{SCOPE}"


def manager_directory() -> str:
    """Return the cgroup of systemd's manager of this user."""
    uid = outer_uid()
    return f"{ROOT}/user.slice/user-{uid}.slice/user@{uid}.service"


def manager_socket() -> str:
    """Return the socket of systemd's manager of this user."""
    return systemd_socket(outer_uid())


def systemd_socket(uid: int) -> str:
    """Return the socket of a user's systemd; root's is that of the host."""
    return f"/run/user/{uid}/systemd/private" if uid else "/run/systemd/private"


def delegated() -> str:
    """Return the uppermost directory around this process that the user may change, or ""."""
    found, place = "", own_cgroup()
    while place not in ("", "/"):
        files = (f"{ROOT}{place}/{name}" for name in ("", "cgroup.procs", "cgroup.subtree_control"))
        if all(os.access(file, os.W_OK) for file in files):
            found = ROOT + place
        place = place.rpartition("/")[0]
    return found


def own_cgroup() -> str:
    """Return this process's place in the tree of v2, "" on a host without one."""
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")


def enter_scope() -> None:
    """Have systemd move the calling process's parent into the scope; nothing without systemd.

    For a child that ends then: what it loads for this shall stay in no monitor's memory.
    """
    from core.linux import systemd

    pid, socket, uid = os.getppid(), manager_socket(), outer_uid()
    inner = f"{scope_directory()}/{OWN}"
    for _ in range(TRIES):
        try:
            if os.path.isdir(inner):
                systemd.attach(socket, uid, SCOPE, f"/{OWN}", pid)
                return
            systemd.start_scope(socket, uid, SCOPE, (pid,), SLICE, "limpet containers")
            os.mkdir(inner)
            with open(f"{inner}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(pid))
        except OSError as error:
            # Another limpet is making it, or its last process has just ended.
            if error.errno not in (errno.EEXIST, errno.ENOENT) or not os.path.exists(socket):
                return
            time.sleep(0.01)
        else:
            return
