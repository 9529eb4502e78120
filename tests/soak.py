"""Many containers come and go for a long time; nothing may grow.

`python3 -m tests.soak [--minutes N] [--containers N]`: as root; containers are started,
entered, stopped and removed through one engine, as the app has it, and by one-shot commands
beside it.  Memory, descriptors, threads, mounts, firewall elements, cgroups and disk are
sampled; a line that still rises in the second half of the time is a failure.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BRIDGE, SUBNET = "lpsoak0", "10.215.0.0/24"
SAMPLE_S = 2.0
ALLOWED = {"memory_kb": 6_000, "disk_kb": 4_000}
"""What a line may rise by between the two quarters that are compared; others: 3."""


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
        self.engine = Engine(paths, Config(settings), Launcher())
        self.engine.make_starter().result()
        self.containers = containers
        self.rounds = 0
        self.problems: list[str] = []
        self.samples: list[dict[str, int]] = []
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Churn, and sample, for a time."""
        workers = [
            threading.Thread(target=self._worker, args=(self._live, number))
            for number in range(self.containers)
        ]
        workers += [threading.Thread(target=self._worker, args=(self._command, number))
                    for number in range(2)]  # fmt: skip
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(SAMPLE_S)
            self.samples.append(self._sample())
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
        life = self.engine.lifecycle
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

    def _sample(self) -> dict[str, int]:
        status = Path("/proc/self/status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0])
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=False).stdout
        disk = sum(
            os.lstat(os.path.join(folder, name)).st_blocks // 2
            for folder, _, names in os.walk(self.work)
            for name in names
            if os.path.lexists(os.path.join(folder, name))
        )
        return {
            "memory_kb": memory,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task")),
            "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
            "rules": rules.count(b"\n"),
            "cgroups": sum(len(names) for _, names, _ in os.walk("/sys/fs/cgroup/pids/limpet")),
            "disk_kb": disk,
        }

    def grown(self) -> list[str]:
        """Return the lines that rose from the third to the fourth quarter of the time."""
        quarter = len(self.samples) // 4
        if not quarter:
            return []
        found = []
        for name in self.samples[0]:
            values = [sample[name] for sample in self.samples]
            before = sorted(values[2 * quarter : 3 * quarter])[quarter // 2]
            after = sorted(values[3 * quarter :])[quarter // 2]
            spread = max(values[quarter:]) - min(values[quarter:])
            if after - before > ALLOWED.get(name, 3) and after - before > spread // 2:
                found.append(f"{name}: {before} to {after}")
        return found

    def close(self) -> None:
        """Remove what is left of it, and the network."""
        for info in self.engine.lifecycle.list():
            self.engine.lifecycle.rm(info.id, force=True)
        self.engine.network.teardown()
        self.engine.close()
        reap()


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
    first, last = soak.samples[len(soak.samples) // 4], soak.samples[-1]
    lines = [f"{name}: {first[name]} after a quarter, {last[name]} at the end" for name in last]
    lines += [f"problem: {text}" for text in sorted(set(soak.problems))]
    lines += [f"grown: {text}" for text in soak.grown()]
    lines.append(f"{soak.rounds} containers lived; left behind: {left or 0}")
    sys.stdout.write("\n".join(lines) + "\n")
    shutil.rmtree(work)
    return 1 if soak.problems or soak.grown() or left else 0


if __name__ == "__main__":
    sys.exit(main())
