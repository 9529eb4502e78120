"""Many containers come and go for a long time; nothing may grow.

`python3 -m tests.soak [--minutes N] [--containers N]`: as root; containers are started,
entered, stopped and removed through one engine, while three front ends are used beside it: the
app, a prompt, and one command after the other.  Memory, descriptors and threads of the
engine and the front ends, mounts, firewall elements, cgroups, processes and disk are
sampled; a line that still rises in the second half of the time is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path

from core.config import Config
from core.containers.configuration.options import ContainerOptions
from core.containers.supervision.launcher import Launcher
from core.engine import Engine
from core.model import Port
from core.paths import Paths
from tests import isolation
from tests.containers import reap
from tests.e2e.command_line import LIMPET, environment
from tests.leftovers import Leftovers
from tests.soak_front_ends import App, Prompt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BRIDGE, SUBNET = "lpsoak0", "10.215.0.0/24"
SAMPLE_S = 2.0
ALLOWED_KB = {"memory": 8_000, "disk": 4_000}
ALLOWED = 5
"""What a line may rise by between the two quarters that are compared."""
CHURNED = ("cgroups", "processes", "engine descriptors", "spawner descriptors")
"""What containers bring along and take with them: these swing by as many as are on their way.

A container on its way has five of the engine's descriptors, so that the least of a quarter of
three minutes swings by as many as two of them have.
"""
REPORT_S = 60.0


class Soak:
    """The churn, and what it does to this process and the host."""

    def __init__(self, work: Path, containers: int) -> None:
        self.work = work
        paths = Paths(str(work / "data"), str(work / "run"))
        config = work / "config.toml"
        settings = {("network", "bridge"): BRIDGE, ("network", "subnet"): SUBNET,
                    ("storage", "trash_s"): 5}  # fmt: skip
        config.write_text(
            f'[network]\nbridge = "{BRIDGE}"\nsubnet = "{SUBNET}"\n[storage]\ntrash_s = 5\n'
        )
        self.env = {**environment(paths, work), "LIMPET_CONFIG": str(config)}
        self.engine = Engine(paths, Config(settings), Launcher(paths.spawners))
        self.engine.images.make_starter().result()
        self.containers = containers
        self.rounds = 0
        self.problems: list[str] = []
        self.samples: dict[str, array[int]] = {}
        """Each line's values, packed: the engine that is watched lives in this process."""
        self.app = App(self.env)
        self.prompt = Prompt(self.env, work / "prompt.errors")
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Churn, and sample, for a time."""
        workers = [
            threading.Thread(target=self._worker, args=(self._live, number))
            for number in range(self.containers)
        ]
        workers += [threading.Thread(target=self._worker, args=(self._command, number))
                    for number in range(2)]  # fmt: skip
        workers += [threading.Thread(target=self._worker, args=(use, 0))
                    for use in (self._app, self._prompt)]  # fmt: skip
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + seconds
        reported = 0.0
        while time.monotonic() < deadline:
            time.sleep(SAMPLE_S)
            for name, value in self._sample().items():
                self.samples.setdefault(name, array("q")).append(value)
            if time.monotonic() > reported + REPORT_S:
                reported = time.monotonic()
                self._report()
        self._stop.set()
        for worker in workers:
            worker.join()

    def _worker(self, work: Callable[[int], None], number: int) -> None:
        while not self._stop.is_set():
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 - told at the end, whatever it is
                self.problems.append(f"{type(error).__name__}: {error}")
                time.sleep(0.5)
        self.engine.database.close()

    def _live(self, number: int) -> None:
        """The life of one container."""
        life = self.engine.containers
        ports = (Port("127.0.0.1", 0, 80),) if number % 4 == 0 else ()
        options = ContainerOptions(
            image="starter", command=("sh", "-c", "echo begun; exec sleep 100"),
            network="bridge" if number % 2 == 0 else "none", publish=ports,
        )  # fmt: skip
        container = life.create(options)
        life.start(container)
        with life.exec(container, ("true",)) as session, open(os.devnull, "r+b") as null:
            session.relay(null.fileno(), null.fileno(), null.fileno(), "ctrl-p,ctrl-q")
        time.sleep(random.uniform(0, 0.5))
        if random.random() < 0.5:
            life.stop(container, 0)
        life.rm(container, force=True)
        self.rounds += 1

    def _command(self, number: int) -> None:
        """Another front end that looks, or starts something itself."""
        run = ("run", "--rm", "--network", "none", "starter", "true")
        words = run if number else ("ps", "-a")
        done = subprocess.run(
            [LIMPET, *words], env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        time.sleep(0.3)

    def _app(self, _: int) -> None:
        self.app.use()

    def _prompt(self, _: int) -> None:
        self.prompt.use()
        time.sleep(0.3)

    def _report(self) -> None:
        values = " ".join(f"{name}={line[-1]}" for name, line in self.samples.items())
        sys.stderr.write(
            f"{time.strftime('%H:%M')} rounds={self.rounds} visits={self.app.visits} "
            f"lines={self.prompt.lines} problems={len(self.problems)} {values}\n"
        )
        sys.stderr.flush()

    def _sample(self) -> dict[str, int]:
        seen = {"engine": os.getpid(), "app": self.app.pid, "prompt": self.prompt.pid,
                "spawner": _spawner(f"{self.work}/run")}  # fmt: skip
        values = {
            f"{name} {what}": value
            for name, pid in seen.items()
            for what, value in _process(pid).items()
        }
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=False).stdout
        return {
            **values,
            "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
            "rules": rules.count(b"\n"),
            **_in_cgroups(),
            "disk": _used_kb(self.work),
        }

    def grown(self) -> list[str]:
        """Return the lines that were higher in the fourth quarter than in both before it.

        The least of each quarter counts: what is in use for a moment is no growth.
        """
        found = []
        for name, values in self.samples.items():
            quarter = len(values) // 4
            if not quarter:
                continue
            before = max(min(values[quarter : 2 * quarter]), min(values[2 * quarter : 3 * quarter]))
            after = min(values[3 * quarter :])
            allowed = ALLOWED_KB.get(name.split()[-1], ALLOWED)
            if after - before > (self.containers if name in CHURNED else allowed):
                found.append(f"{name}: {before} to {after}")
        return found

    def close(self) -> None:
        """Leave the front ends, remove what is left, and the network."""
        for front_end in (self.app, self.prompt):
            try:
                front_end.close()
            except Exception as error:  # noqa: BLE001 - told with the others
                self.problems.append(f"{type(error).__name__}: {error}")
        for info in self.engine.containers.list():
            self.engine.containers.rm(info.id, force=True)
        self.engine.network.teardown()
        self.engine.close()
        reap()


def _process(pid: int) -> dict[str, int]:
    """Return memory, descriptors and threads of a process; of none when it is not there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return {
            "memory": int(status.partition("VmRSS:")[2].split()[0]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
        }
    except (OSError, IndexError):
        return {"memory": 0, "descriptors": 0, "threads": 0}


def _used_kb(directory: Path) -> int:
    """Return what a directory takes of the disk, in KB."""
    while True:
        # Of files that come and go meanwhile du complains; at a directory it may give up.
        du = subprocess.run(["du", "-skx", directory], capture_output=True, check=False)
        if du.stdout:
            return int(du.stdout.split()[0])


def _in_cgroups() -> dict[str, int]:
    """Return how many cgroups there are, and the processes in them: all that the run started."""
    folders = [Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup/pids")]
    processes = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            processes += (folder / "cgroup.procs").read_text().count("\n")
    return {"cgroups": len(folders), "processes": processes}


def _spawner(run: str) -> int:
    """Return the process that forks monitors for all of them, 0 when there is none (yet).

    The oldest of that title: a fork bears it until it has become a monitor.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (folder / "cmdline").read_bytes()
            if title.startswith(b"limpet: spawner at ") and run.encode() in title:
                ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
                found.append((ticks, int(folder.name)))
    return min(found)[1] if found else 0


def main() -> int:
    """Soak, and tell what has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--containers", type=int, default=20)
    args = parser.parse_args()
    isolation.enter()
    work = Path(tempfile.mkdtemp(prefix="limpet-soak-", dir="/var/tmp"))
    before = Leftovers(work)
    soak = Soak(work, args.containers)
    soak.run(args.minutes * 60)
    soak.close()
    left = before.wait()
    lines = [
        f"{name}: {line[len(line) // 4]} after a quarter, {line[-1]} at the end"
        for name, line in soak.samples.items()
    ]
    lines += [f"problem: {text}" for text in sorted(set(soak.problems))]
    lines += [f"grown: {text}" for text in soak.grown()]
    lines.append(f"{soak.rounds} containers lived; left behind: {left or 0}")
    sys.stdout.write("\n".join(lines) + "\n")
    if soak.problems or soak.grown() or left:
        sys.stdout.write(f"what there was stays in {work}\n")
        return 1
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
