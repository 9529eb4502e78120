"""The words of `limpet oci`: its verbs, their flags, and how they are read."""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HINT = "limpet oci --help lists verbs and flags"
HELP = """\
usage: limpet oci [--root DIR] [--log FILE] [--log-format text|json] [--debug]
                  [--systemd-cgroup] VERB ...

  spec      write a config.json to begin with   [-b BUNDLE] [--rootless]
  create    make a container, not yet started   [-b BUNDLE] [-f CONFIG] [--pid-file FILE]
                                                [--console-socket SOCKET] [--preserve-fds N] ID
  start     let its program begin               ID
  run       create, start, wait and delete      [-d] [--keep], those of create, ID
  exec      one more process in it              [-d] [-p PROCESS.json] [-t] [-u UID[:GID]]
                                                [-e NAME=VALUE] [--cwd DIR] ID [COMMAND...]
  state     what it is doing, as JSON           ID
  kill      send it a signal                    [-a] ID [SIGNAL]
  delete    remove a stopped one                [-f] ID
  pause, resume                                 ID
  update    other limits                        [-r FILE|-] [--memory N] [--pids-limit N] ... ID
  ps        its processes                       [-f table|json] ID
  list      all containers                      [-f table|json] [-q]
  features  what this runtime can do, as JSON
"""
GLOBAL = {"--root": 1, "--log": 1, "--log-format": 1, "--log-level": 1, "--cgroup-manager": 1,
          "--rootless": 1, "--criu": 1, "--systemd-cgroup": 0, "--debug": 0, "-s": 0}  # fmt: skip
CREATE = {"--bundle": 1, "-b": 1, "--config": 1, "-f": 1, "--pid-file": 1, "--console-socket": 1,
          "--preserve-fds": 1, "--no-pivot": 0, "--no-new-keyring": 0,
          "--no-subreaper": 0}  # fmt: skip
UPDATES = {
    "--memory": ("memory", "limit"), "--memory-reservation": ("memory", "reservation"),
    "--memory-swap": ("memory", "swap"), "--cpu-quota": ("cpu", "quota"),
    "--cpu-period": ("cpu", "period"), "--cpu-share": ("cpu", "shares"),
    "--cpu-shares": ("cpu", "shares"), "--cpu-burst": ("cpu", "burst"),
    "--cpu-idle": ("cpu", "idle"), "--cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "--cpu-rt-period": ("cpu", "realtimePeriod"), "--cpuset-cpus": ("cpu", "cpus"),
    "--cpuset-mems": ("cpu", "mems"), "--pids-limit": ("pids", "limit"),
    "--blkio-weight": ("blockIO", "weight"),
}  # fmt: skip
TEXTS = ("cpus", "mems")
EXEC = {"--process": 1, "-p": 1, "--pid-file": 1, "--console-socket": 1, "--preserve-fds": 1,
        "--detach": 0, "-d": 0, "--tty": 0, "-t": 0, "--user": 1, "-u": 1, "--env": 1, "-e": 1,
        "--cwd": 1, "--cap": 1, "-c": 1, "--no-new-privs": 0, "--additional-gids": 1, "-g": 1,
        "--ignore-paused": 0, "--cgroup": 1, "--process-label": 1, "--apparmor": 1}  # fmt: skip
FLAGS = {
    "spec": {"--bundle": 1, "-b": 1, "--rootless": 0},
    "create": CREATE,
    "start": {},
    "run": {**CREATE, "--detach": 0, "-d": 0, "--keep": 0},
    "exec": EXEC,
    "state": {},
    "kill": {"--all": 0, "-a": 0},
    "delete": {"--force": 0, "-f": 0},
    "pause": {},
    "resume": {},
    "update": {"--resources": 1, "-r": 1, **dict.fromkeys(UPDATES, 1)},
    "ps": {"--format": 1, "-f": 1},
    "list": {"--format": 1, "-f": 1, "--quiet": 0, "-q": 0},
    "features": {},
}  # fmt: skip
"""The flags of each verb, and whether a value follows."""
ABSENT = ("checkpoint", "restore", "events")


class Words:
    """A verb's words: its flags and what remains, in order."""

    def __init__(self, verb: str, words: Sequence[str], known: dict[str, int]) -> None:
        self.verb = verb
        self._flags: dict[str, list[str]] = {}
        rest = list(words)
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = rest.pop(0)
            if word == "--":
                break
            name, equals, value = word.partition("=")
            # Go's flag package takes one dash for two.
            name = name if name in known else "-" + name
            if name not in known:
                raise UsageError(f"{word!r} is no flag of {verb or 'limpet oci'}", hint=HINT)
            if known[name] and not equals:
                if not rest:
                    raise UsageError(f"{name} needs a value", hint=HINT)
                value = rest.pop(0)
            self._flags.setdefault(name, []).append(value)
        self.rest = rest

    def get(self, *names: str) -> str:
        """Return the last value of a flag, empty when it is not there."""
        return next((self._flags[name][-1] for name in names if name in self._flags), "")

    def all(self, *names: str) -> list[str]:
        """Return all values of a flag."""
        return [value for name in names for value in self._flags.get(name, ())]

    def has(self, *names: str) -> bool:
        """Tell whether a flag is there, and not set to false."""
        return any(self._flags[name][-1] != "false" for name in names if name in self._flags)

    def number(self, name: str) -> int:
        """Return a flag's number; 0 when it is not there."""
        value = self.get(name) or "0"
        if not value.removeprefix("-").isdecimal():
            raise UsageError(f"{name} takes a number, not {value!r}")
        return int(value)

    def only_id(self) -> str:
        """Return the container's ID, the one word that has to remain."""
        if len(self.rest) != 1:
            raise UsageError(f"{self.verb} takes one container ID", hint=HINT)
        return self.rest[0]
