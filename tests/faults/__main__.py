"""`python3 -m tests.faults [--runs N] [--seed S] [--kinds …] [OPERATION…]`: as root.

Each run does one thing while one thing goes wrong: the command, or the process that is just
doing the work, is killed, at any moment or at a certain call; the disk is full; the network
is gone; fsync fails; the clock turns.  Then everything has to be true: `ps` agrees with
/proc, `image fsck` finds nothing, nothing is left over, no message is a traceback, and the
same command, said again, works.  At the end all is removed, and nothing may be left of it.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import isolation
from tests.faults.host import PATIENCE_S, Host, Wrong
from tests.faults.kinds import KINDS, Learned
from tests.faults.operations import OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.faults.kinds import Fault
    from tests.faults.operations import Operation


class Faults:
    """Runs, each with one fault."""

    def __init__(self, host: Host, seed: int, kinds: list[str]) -> None:
        self.host = host
        self.chance = random.Random(seed)
        self.kinds = kinds
        self.number = 0
        self.learned: dict[str, Learned] = {}
        self.struck: collections.Counter[str] = collections.Counter()
        self.points: set[str] = set()

    def one(self, name: str) -> None:
        """Do one thing while something goes wrong; Wrong with what was not right then."""
        self.number += 1
        operation = OPERATIONS[name]
        if name not in self.learned:
            self._before(operation)
            self.learned[name] = self._learn(operation)
            self.host.check()
            self._again(operation)
        learned = self.learned[name]
        kind = self.chance.choice(
            [kind for kind in self.kinds if KINDS[kind].applies(operation, learned)] or ["kill"]
        )
        self._before(operation)
        fault = KINDS[kind](self.host, learned, self.chance)
        try:
            self._struck(operation, fault)
            self.host.check()
            self._again(operation)
            self.host.check(quick=True)
        except Wrong as wrong:
            raise Wrong(f"{fault.what}: {wrong}") from None
        self.struck[kind] += 1
        if kind == "point":
            self.points.add(f"{name}: {fault.what.split('#')[0]}")

    def _words(self, line: str) -> list[str]:
        return [word.format(**self.host.places(self.number)) for word in line.split()]

    def _before(self, operation: Operation) -> None:
        for line in operation.before:
            if line.startswith("!"):
                subprocess.run(self._words(line[1:]), check=True)
            else:
                self.host.limpet(*self._words(line), fails=True)

    def _again(self, operation: Operation) -> None:
        """Say it again, as a person does who has seen it fail."""
        if operation.again:
            self.host.limpet(*self._words(operation.again), fails=True)
        if not operation.again.startswith(operation.words.partition(" --env ")[0]):
            self.host.limpet(*self._words(operation.words))
        if operation.after:
            self.host.limpet(*self._words(operation.after))

    def _learn(self, operation: Operation) -> Learned:
        """Do it undisturbed, and see what it does."""
        points: list[str] = []

        def note(call: object) -> int:
            points.append(call.name)  # type: ignore[attr-defined]
            return 0

        host, began = self.host, time.monotonic()
        free = least = host.free_bytes()
        passed = host.link.passed
        host.trap.decide, host.trap.watching = note, True
        process = host.start(self._words(operation.words))
        while process.poll() is None:
            least = min(least, host.free_bytes())
            time.sleep(0.002)
        seconds = time.monotonic() - began
        time.sleep(0.1)  # a monitor is not done yet
        host.trap.watching = False
        if process.returncode:
            raise Wrong(f"undisturbed it ended with {process.returncode}: {host.said()}")
        return Learned(seconds, tuple(points), free - least, host.link.passed - passed)

    def _struck(self, operation: Operation, fault: Fault) -> None:
        host = self.host
        host.trap.watching = True
        try:
            process = host.start(self._words(operation.words), fault.environment())
            fault.strike(process)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Wrong(f"it hangs\n{host.said()}") from None
        finally:
            host.trap.watching = False
            host.trap.decide = lambda call: 0
            fault.end()
        said = host.said()
        if "Traceback" in said:
            raise Wrong(f"it said\n{said}")
        killed = fault.kills and process.returncode == 137  # the container's first process
        if process.returncode > 0 and "limpet:" not in said and not killed:
            raise Wrong(f"it ended with {process.returncode} and said only\n{said}")


def main() -> int:
    """Run, and tell each thing that was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=" ".join(OPERATIONS))
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1 << 30)
    names = args.operations or list(OPERATIONS)
    isolation.enter()
    work = Path(tempfile.mkdtemp(prefix="limpet-faults-", dir="/var/tmp"))
    host = Host(work)
    faults = Faults(host, seed, args.kinds)
    wrong = 0
    with host.registry:
        host.set_up()
        for number in range(args.runs):
            name = names[number % len(names)]
            try:
                faults.one(name)
            except Wrong as error:
                wrong += 1
                sys.stdout.write(f"run {number}: {name}: {error}\n")
                sys.stdout.flush()
        kept = host.tear_down()
    left = host.close()
    counted = ", ".join(f"{kind} {count}" for kind, count in faults.struck.most_common())
    sys.stdout.write(
        f"seed {seed}: {args.runs} runs, {wrong} with something wrong ({counted}; "
        f"{len(faults.points)} points); left on the disk: {kept or 0}; left behind: {left or 0}\n"
    )
    if not left and not wrong and not kept:
        shutil.rmtree(work)
    return 1 if wrong or left or kept else 0


if __name__ == "__main__":
    sys.exit(main())
