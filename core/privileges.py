"""What takes root, said before anything is begun; and what an ordinary user needs instead.

Lean: the monitor asks, too.
"""

from __future__ import annotations

import os

MAPPERS = {"newuidmap": "/etc/subuid", "newgidmap": "/etc/subgid"}
"""The programs that map IDs, and the files that say which a user has: subuid(5)."""
FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin")


def is_root() -> bool:
    """Return whether this process is root (of its user namespace)."""
    return os.geteuid() == 0


def outer_uid() -> int:
    """Return who this process's root, or user, is outside its user namespace.

    0 for real root.  Asked once in a process; user_namespaces(7).
    """
    if not _outer:
        uid = os.geteuid()
        if uid == 0:
            fd = os.open("/proc/self/uid_map", os.O_RDONLY | os.O_CLOEXEC)
            uid = int((os.read(fd, 64).split() or [b"", b"0"])[1])
            os.close(fd)
        _outer.append(uid)
    return _outer[0]


_outer: list[int] = []


def is_rootless() -> bool:
    """Return whether this process is root only of a namespace of an ordinary user."""
    return is_root() and outer_uid() != 0


def require_root(what: str) -> None:
    """Raise NotPermitted unless this process is root (of its user namespace)."""
    if is_root():
        return
    from core.errors import NotPermitted

    problem, remedy = obstacle()
    raise NotPermitted(
        f"{what} takes root, or IDs for a user namespace of your own: "
        + (problem or "limpet was not started by its own command"),
        hint=f"start it with sudo, or {remedy}" if remedy else "start it with sudo",
    )


def obstacle() -> tuple[str, str]:
    """Return what keeps this user from having containers, and its remedy; ("", "") if nothing."""
    user = user_name()
    for name, file in MAPPERS.items():
        if not program(name):
            return f"there is no {name}", "as root: apt-get install uidmap"
        if not sub_ids(file, user):
            return (
                f"{file} gives {user} no IDs for the users of containers",
                f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )
    for path, text in (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ):
        if _read(path).strip() == text:
            name = path.removeprefix("/proc/sys/").replace("/", ".")
            value = "1" if text == "0" and name.endswith("clone") else "10000"
            return (
                f"{name} forbids user namespaces of ordinary users",
                f"as root: sysctl -w {name}={value}",
            )
    return "", ""


def sub_ids(path: str, user: str) -> list[tuple[int, int]]:
    """Return the ranges (first, count) that a subuid(5) file gives a user, by name or number."""
    found = []
    for line in _read(path).splitlines():
        owner, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if owner in (user, str(os.getuid())) and start.isdecimal() and count.isdecimal():
            found.append((int(start), int(count)))
    return found


def user_name() -> str:
    """Return the name of this process's user, or the number of one without a name."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def program(name: str) -> str:
    """Return the path of a program of the host, "" without it; no variable chooses it."""
    for folder in FOLDERS:
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
