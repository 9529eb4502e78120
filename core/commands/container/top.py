"""The verb `top`: the processes of a container, with the options that ps(1) has for columns."""

from __future__ import annotations

from core.commands.grammar import Args, positional, rest, verb
from core.commands.result import Column, Result, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.processes import Process
    from core.engine import Engine

    Show = Callable[[Process, "Names"], object]

OWN = ("user", "pid", "cpid", "ppid", "%cpu", "rss", "tty", "time", "args")
"""Without options: also the PIDs that the container itself sees, users as it calls them."""
FULL = ("uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
USER = ("user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "command")
LONG = ("s", "uid", "pid", "ppid", "c", "pri", "ni", "tty", "time", "comm")
SHORT = ("pid", "tty", "time", "comm")


class Top(Args):
    """Arguments of `top`."""

    container: str = positional("name or ID", complete="running")
    options: tuple[str, ...] = rest(
        "of ps: -ef, aux, -o pid,user,args; none: limpet's own columns", metavar="PS-OPTIONS"
    )


@verb(
    "container top",
    Top,
    "Show the processes of a container",
    "top",
    changes=False,
    examples=("top web", "top web -ef", "top web -o pid,cpid,user,args"),
)
def top(engine: Engine, args: Top) -> Result:
    """One row a process."""
    columns = columns_of(args.options)
    processes, passwd = engine.containers.processes(args.container)
    names = Names(passwd if columns == list(OWN) else b"")
    rows = tuple(
        {title_of(column): str(COLUMNS[column][1](process, names)) for column in columns}
        for process in processes
    )
    return Table(tuple(Column(title_of(column), title_of(column)) for column in columns), rows)


class Names:
    """Users' names by number: the container's own where its passwd file is given."""

    def __init__(self, passwd: bytes = b"") -> None:
        self._names: dict[int, str] = {}
        self._passwd = passwd

    def user(self, uid: int) -> str:
        """Return a user's name, the number when it has none."""
        if uid not in self._names:
            self._names[uid] = self._inner(uid) if self._passwd else _host_user(uid)
        return self._names[uid]

    def _inner(self, uid: int) -> str:
        for line in self._passwd.decode("utf-8", "replace").split("\n"):
            fields = line.split(":")
            if len(fields) >= 3 and fields[2] == str(uid):
                return fields[0]
        return str(uid)


def _host_user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def columns_of(options: tuple[str, ...]) -> list[str]:
    """Return the columns that ps's options ask for.

    Raises UsageError for an option or a column that is not known.
    """
    columns: list[str] = []
    chosen: tuple[str, ...] = OWN
    words = list(options)
    while words:
        word = words.pop(0)
        letters = word.lstrip("-")
        for place, letter in enumerate(letters):
            if letter in "oO":
                # The columns follow in the same word or in the next.
                wanted = letters[place + 1 :].removeprefix("=") or (words.pop(0) if words else "")
                columns += _named(wanted)
                break
            chosen = _layout(word, letter, chosen)
    return columns or list(chosen)


def _layout(word: str, letter: str, chosen: tuple[str, ...]) -> tuple[str, ...]:
    dashed = word.startswith("-")
    if letter == "f" and dashed:
        return FULL
    if letter == "u" and not dashed:
        return USER
    if letter in "lv":
        return LONG
    if letter in "eAadwxHT":
        return SHORT if chosen == OWN else chosen  # which processes: all of the container's
    from core.errors import UsageError

    raise UsageError(
        f"top does not know {word!r} of ps",
        hint="-ef, aux, -l and -o COLUMN,COLUMN it does; columns are " + ", ".join(COLUMNS),
    )


def _named(words: str) -> list[str]:
    from core.errors import UsageError

    names = [word.partition("=")[0].strip().lower() for word in words.split(",") if word.strip()]
    if not names:
        raise UsageError("-o needs columns", hint=f"columns are {', '.join(COLUMNS)}")
    for name in names:
        if name not in COLUMNS:
            from difflib import get_close_matches

            near = get_close_matches(name, list(COLUMNS), 1)
            raise UsageError(
                f"there is no column {name!r}" + (f", did you mean {near[0]}?" if near else ""),
                hint=f"columns are {', '.join(COLUMNS)}",
            )
    return names


def title_of(column: str) -> str:
    """Return a column's title, ps's where ps has the column."""
    return COLUMNS[column][0]


def clock(seconds: float) -> str:
    """Return processor time as ps writes it: [DD-]HH:MM:SS."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hour:02}:{minute:02}:{second:02}"


def begun(started: float) -> str:
    """Return when a process began: the time of day, or the day if that was another."""
    import time

    then, now = time.localtime(started), time.localtime()
    today = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M" if today else "%b%d", then)


def elapsed(started: float) -> str:
    """Return how long ago a process began, [[DD-]HH:]MM:SS."""
    import time

    text = clock(max(0.0, time.time() - started))
    return text.removeprefix("00:")


def _percent(process: Process) -> float:
    import time

    return process.cpu_s / max(0.01, time.time() - process.started) * 100


def _memory_percent(process: Process) -> float:
    import os

    return process.resident_bytes / (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) * 100


COLUMNS: dict[str, tuple[str, Show]] = {
    "user": ("USER", lambda p, names: names.user(p.uid)),
    "euser": ("EUSER", lambda p, names: names.user(p.uid)),
    "ruser": ("RUSER", lambda p, names: names.user(p.ruid)),
    "uid": ("UID", lambda p, names: names.user(p.uid)),
    "gid": ("GID", lambda p, _: p.gid),
    "pid": ("PID", lambda p, _: p.pid),
    "cpid": ("CPID", lambda p, _: p.inner_pid),
    "ppid": ("PPID", lambda p, _: p.ppid),
    "pgid": ("PGID", lambda p, _: p.pgid),
    "sid": ("SID", lambda p, _: p.sid),
    "c": ("C", lambda p, _: int(_percent(p))),
    "%cpu": ("%CPU", lambda p, _: f"{_percent(p):.1f}"),
    "pcpu": ("%CPU", lambda p, _: f"{_percent(p):.1f}"),
    "%mem": ("%MEM", lambda p, _: f"{_memory_percent(p):.1f}"),
    "pmem": ("%MEM", lambda p, _: f"{_memory_percent(p):.1f}"),
    "vsz": ("VSZ", lambda p, _: p.virtual_bytes >> 10),
    "rss": ("RSS", lambda p, _: p.resident_bytes >> 10),
    "tty": ("TTY", lambda p, _: p.tty),
    "stat": ("STAT", lambda p, _: p.state),
    "s": ("S", lambda p, _: p.state[0]),
    "state": ("S", lambda p, _: p.state[0]),
    "start": ("START", lambda p, _: begun(p.started)),
    "stime": ("STIME", lambda p, _: begun(p.started)),
    "etime": ("ELAPSED", lambda p, _: elapsed(p.started)),
    "time": ("TIME", lambda p, _: clock(p.cpu_s)),
    "nlwp": ("NLWP", lambda p, _: p.threads),
    "pri": ("PRI", lambda p, _: 39 - p.priority),
    "ni": ("NI", lambda p, _: p.nice),
    "comm": ("CMD", lambda p, _: p.name),
    "cmd": ("CMD", lambda p, _: p.command),
    "args": ("COMMAND", lambda p, _: p.command),
    "command": ("COMMAND", lambda p, _: p.command),
}
"""ps's names of columns: title, and how the value is shown; `cpid` is limpet's."""
