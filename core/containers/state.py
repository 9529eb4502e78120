"""What a container is doing, as its monitor last wrote it, and whether that still holds.

`state.json` is written whole to a temporary file and renamed, so a reader sees the old
facts or the new ones.  It is not synced to disk: after a power cut the boot ID differs
and the state is void anyway.
"""

from __future__ import annotations

import os

from core.lean_json import dumps, loads
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.supervision.restarts import Run

CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
RESTARTING, CRASH_LOOPING = "restarting", "crash-looping"
DEAD = "dead"
"""Its files are damaged or gone."""
HALF_REMOVED = "its removal was cut short"
"""How the error of one begins that is dead for that."""
WAITING = (RESTARTING, CRASH_LOOPING)
"""Between two runs: the monitor waits before it starts the container again."""
ALIVE = (RUNNING, PAUSED, *WAITING)
"""States that need a living monitor to be true."""


class State(Record):
    """The contents of state.json."""

    state: str = CREATED
    pid: int = 0
    """Of the container's first process, as the host counts."""
    ticks: int = 0
    """Its start time: field 22 of /proc/PID/stat (proc_pid_stat(5))."""
    monitor: int = 0
    monitor_ticks: int = 0
    boot: str = ""
    """The kernel's boot ID at the start."""
    started: float = 0
    finished: float = 0
    """When the last run ended: before `started` while it runs again."""
    exit_code: int = 0
    oom: bool = False
    error: str = ""
    ports: tuple[tuple[str, int, int, str], ...] = ()
    """Published: host address, host port, container port, protocol."""
    address: str = ""
    gateway: str = ""
    address6: str = ""
    table: str = ""
    """The nftables table that the ports are in."""
    cgroup: tuple[str, ...] = ()
    """Directories to remove if the monitor cannot."""
    wanted: bool = False
    """Its restart policy has it run: who finds its monitor gone starts it again."""
    stopped: bool = False
    """A person stopped it."""
    restarts: int = 0
    next_start: float = 0
    """While it waits: when it is started again."""
    runs: tuple[Run, ...] = ()
    """The last ones, the oldest first; only with a restart policy."""
    health: str = ""
    """starting, healthy or unhealthy; empty without a check and while it does not run."""


def write_state(directory: str, state: State) -> None:
    """Replace `directory`/state.json; OSError (ENOSPC, the directory is gone) passes."""
    text = dumps(state.as_dict())
    replace_file(f"{directory}/state.json", text.encode("utf-8", "surrogateescape"))


def replace_file(path: str, data: bytes) -> None:
    """Replace a small file as a whole, not synced.  Raises OSError, and leaves nothing then."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            while data:  # a disk that gets full takes some of it first, and refuses the rest
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def read_state(directory: str) -> State:
    """Return what state.json says; a container that never started has the defaults.

    A damaged file counts as `dead`, with the reason in `error`.
    """
    try:
        text = read_file(f"{directory}/state.json")
    except FileNotFoundError:
        if os.path.isdir(directory):
            return State()
        return State(state=DEAD, error=f"{HALF_REMOVED}; limpet rm removes the rest")
    try:
        return _parse(loads(text.decode("utf-8", "surrogateescape")))
    except (ValueError, TypeError) as error:
        return State(state=DEAD, error=f"{directory}/state.json is damaged: {error}")


def _parse(document: Any) -> State:
    if not isinstance(document, dict) or "state" not in document:
        raise ValueError("it tells no state")
    known: dict[str, Any] = {}
    for name in State.fields:
        if name not in document:
            continue
        value, default = document[name], getattr(State, name)
        if isinstance(default, float | int) and not isinstance(default, bool):
            if isinstance(value, bool) or not isinstance(value, float | int):
                raise ValueError(f"{name} is not a number")
        elif type(value) is not (list if isinstance(default, tuple) else type(default)):
            raise ValueError(f"{name} is of the wrong type")
        known[name] = value
    known["ports"] = tuple(
        (ip, host, inner, kind) for ip, host, inner, kind in known.get("ports", ())
    )
    known["cgroup"] = tuple(known.get("cgroup", ()))
    known["runs"] = tuple(
        (float(started), float(finished), int(code), bool(oom))
        for started, finished, code, oom in known.get("runs", ())
    )
    return State(**known)


def monitored(state: State) -> bool:
    """Return whether the monitor that wrote `state` is still there."""
    return state.boot == boot_id() and is_process(state.monitor, state.monitor_ticks)


def is_process(pid: int, ticks: int) -> bool:
    """Return whether `pid` is the process that started at `ticks`, and not a zombie."""
    found = process_stat(pid)
    return found is not None and found[1] == ticks and found[0] not in "ZX"


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if there is none."""
    found = process_stat(pid)
    return found[1] if found else 0


def process_stat(pid: int) -> tuple[str, int] | None:
    """Return a process's state letter and start time, None if there is no such process."""
    if pid <= 0:
        return None
    try:
        text = read_file(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may hold spaces and parentheses; the last ")" ends it.
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[19])


def boot_id() -> str:
    """Return the ID the kernel made for this boot."""
    if not _boot:
        _boot.append(read_file("/proc/sys/kernel/random/boot_id").decode().strip())
    return _boot[0]


_boot: list[str] = []


def read_file(path: str) -> bytes:
    """Return a file's contents.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 16 << 10):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
