"""What a test left on the host: mounts, network devices, nftables tables, cgroups, processes.

Only things that were not there before the test count, and of mounts and processes only
those that have to do with the test's own directory or are its children.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTLE_S = 10.0
"""The kernel tears namespaces down after the last process is gone; that takes a moment."""


class Leftovers:
    """Remembers the host at the start of a test; `wait` names what is there on top later."""

    def __init__(self, directory: Path) -> None:
        self.directory = str(directory)
        self.pids = set(_pids())
        self.seen = set(self._things())

    def wait(self, expected: Callable[[str], bool] = lambda thing: False) -> list[str]:
        """Return what is left once things have settled; empty after a clean test.

        What is `expected` does not count.
        """
        deadline = time.monotonic() + SETTLE_S
        while True:
            left = [thing for thing in self._things() if thing not in self.seen]
            left += self._processes()
            left = [thing for thing in left if not expected(thing)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.02)

    def _things(self) -> Iterator[str]:
        for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            if self.directory in line:
                yield f"mount {line.split()[4]}"
        for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]:
            yield f"network device {line.partition(':')[0].strip()}"
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True)
        yield from (f"nft {line}" for line in tables.stdout.splitlines())
        for directory, names, _ in os.walk("/sys/fs/cgroup"):
            yield from (f"cgroup {directory}/{name}" for name in names)

    def _processes(self) -> list[str]:
        return [
            f"process {pid}: {_words(pid)}"
            for pid in _pids()
            if pid not in self.pids and (_is_child(pid) or self._holds(pid))
        ]

    def _holds(self, pid: int) -> bool:
        """Tell whether a process has anything to do with the test's directory."""
        wanted = self.directory.encode()
        try:
            for name in ("cmdline", "environ", "mountinfo"):
                if wanted in Path(f"/proc/{pid}/{name}").read_bytes():
                    return True
            links = [f"/proc/{pid}/cwd", *(str(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())]
            return any(os.readlink(link).startswith(self.directory) for link in links)
        except OSError:  # it ended meanwhile
            return False


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _words(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    except OSError:
        return "(ended)"


def _is_child(pid: int) -> bool:
    own = os.getpid()
    while pid > 1 and pid != own:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid == own
