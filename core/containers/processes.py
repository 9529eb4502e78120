"""The processes of a container as the host's /proc tells of them (`top`).

No program of the image takes part.  A process may end at any moment: it is then left out.
https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.containers.state import State

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(Record):
    """One process; times in seconds, memory in bytes, IDs as the host has them."""

    pid: int
    inner_pid: int
    """As the container itself numbers it."""
    ppid: int
    pgid: int
    sid: int
    uid: int
    """Effective."""
    ruid: int
    gid: int
    state: str
    """R, S, D, T, Z, …, and what ps adds to it: s session leader, l threads, + foreground, …"""
    tty: str
    cpu_s: float
    started: float
    """Seconds since the epoch."""
    threads: int
    priority: int
    nice: int
    virtual_bytes: int
    resident_bytes: int
    name: str
    command: str
    """With its arguments; the name in brackets when it has none."""


def list_processes(container: State) -> list[Process]:
    """Return the processes in a running container's cgroup and in those inside it.

    limpet's own that have joined to start another are left out.  Sorted by PID.
    """
    own, space = _space("self"), _space(str(container.pid))
    boot = _boot_time()
    found = []
    for pid in sorted(_pids(container.cgroup) or {container.pid}):
        # Only those for `exec` are in the cgroup but not in the namespace.
        if space != own and _space(str(pid)) in (own, ""):
            continue
        process = _read_process(pid, boot)
        if process is not None:
            found.append(process)
    return found


def read_users(container: State) -> bytes:
    """Return a running container's /etc/passwd, empty when it has none; never the host's."""
    from core.containers.files.root import open_running
    from core.errors import Conflict
    from core.linux.path import read_in_root

    try:
        root = open_running(container.pid, container.ticks)
    except Conflict:
        return b""
    try:
        return read_in_root(root, "/etc/passwd")
    finally:
        os.close(root)


def _pids(cgroup: Sequence[str]) -> set[int]:
    """Return the processes of the first of the directories that is there, and below it."""
    for top in cgroup:
        found: set[int] = set()
        for folder, _, files in os.walk(top):
            if "cgroup.procs" in files:
                try:
                    found.update(map(int, _text(f"{folder}/cgroup.procs").split()))
                except OSError:
                    continue  # removed meanwhile, or a threaded one (v2)
        if found:
            return found
    return set()


def _read_process(pid: int, boot: float) -> Process | None:
    folder = f"/proc/{pid}"
    try:
        stat = _text(f"{folder}/stat")
        status = dict(_fields(_text(f"{folder}/status")))
        command = _text(f"{folder}/cmdline").replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    values = stat[stat.rindex(")") + 2 :].split()
    letter, ppid, pgid, sid = values[0], *map(int, values[1:4])
    tty, foreground = int(values[4]), int(values[5])
    threads = int(values[17])
    uids = status["Uid"].split()
    return Process(
        pid=pid,
        inner_pid=int(status.get("NSpid", str(pid)).split()[-1]),
        ppid=ppid,
        pgid=pgid,
        sid=sid,
        uid=int(uids[1]),
        ruid=int(uids[0]),
        gid=int(status["Gid"].split()[1]),
        state=letter
        + "<" * (int(values[16]) < 0)
        + "N" * (int(values[16]) > 0)
        + "s" * (sid == pid)
        + "l" * (threads > 1)
        + "+" * (foreground == pgid),
        tty=_terminal(tty),
        cpu_s=(int(values[11]) + int(values[12])) / TICKS,
        started=boot + int(values[19]) / TICKS,
        threads=threads,
        priority=int(values[15]),
        nice=int(values[16]),
        virtual_bytes=int(values[20]),
        resident_bytes=int(values[21]) * PAGE,
        name=name,
        command=command or (f"[{name}] <defunct>" if letter == "Z" else f"[{name}]"),
    )


def _fields(status: str) -> Iterator[tuple[str, str]]:
    for line in status.splitlines():
        name, _, value = line.partition(":")
        yield name, value.strip()


def _terminal(device: int) -> str:
    """Return a terminal's name as ps writes it; the number is makedev(3)'s."""
    major, minor = os.major(device), os.minor(device)
    if 136 <= major <= 143:
        return f"pts/{minor + (major - 136) * 256}"
    return f"tty{minor}" if major == 4 else "?"


def _space(pid: str) -> str:
    """Return the ID of a process's pid namespace, empty when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _boot_time() -> float:
    """Return when the host was booted, seconds since the epoch."""
    for name, value in (line.split(" ", 1) for line in _text("/proc/stat").splitlines()):
        if name == "btime":
            return float(value)
    return 0.0


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 64 << 10):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)
