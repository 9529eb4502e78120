"""`python3 -m tests.walk [--keys N] [--seed N] [--size COLUMNSxROWS] [--term TERM]`: as root."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests import isolation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.walk.walker import Walker

EVERY = 1000
"""Keys between two checks."""
MOST_KB = 200_000
"""An app with more memory than that grows without bound."""


def main() -> int:
    """Walk, and tell what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--term", default="xterm-256color")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return _first_process(args)
    isolation.enter()
    work = tempfile.mkdtemp(prefix="limpet-walk-", dir="/var/tmp")
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable,
              "-m", "tests.walk", "--inside", work, *sys.argv[1:]]  # fmt: skip
    code = subprocess.run(inside, check=False).returncode
    for cgroup, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if "/limpet/" in cgroup:
            with contextlib.suppress(OSError):
                os.rmdir(cgroup)
    if code == 0:
        shutil.rmtree(work)
    return code


def _first_process(args: argparse.Namespace) -> int:
    """Be the init of the PID namespace: collect the orphans while a child walks."""
    walking = os.fork()
    if walking == 0:
        code = 3
        try:
            code = _walk(args)
        except BaseException:  # noqa: BLE001 - this child has nobody above it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        pid, status = os.wait()
        if pid == walking:
            _thaw()
            return os.waitstatus_to_exitcode(status)


def _thaw() -> None:
    """Let what a finding has left frozen be killed with the others."""
    for path in Path("/sys/fs/cgroup").rglob("freezer.state"):
        with contextlib.suppress(OSError):
            path.write_text("THAWED")
    for path in Path("/sys/fs/cgroup").rglob("cgroup.freeze"):
        with contextlib.suppress(OSError):
            path.write_text("0")


def _walk(args: argparse.Namespace) -> int:
    from tests.walk.place import Place
    from tests.walk.seat import Finding
    from tests.walk.walker import Walker

    begun = time.monotonic()
    place = Place(Path(args.inside))
    place.refill()
    columns, _, rows = args.size.partition("x")
    walker = Walker(place, args.seed, args.term, (int(columns), int(rows)))
    memory: list[int] = []
    try:
        while walker.pressed < args.keys:
            walker.walk(min(EVERY, args.keys - walker.pressed))
            answered_s = walker.question()
            memory.append(walker.seat.memory_kb())
            place.check()
            walker.compare()
            if memory[-1] > MOST_KB:
                raise Finding(f"the app has {memory[-1]} KB")
            _say(
                f"{walker.pressed} keys, {time.monotonic() - begun:.0f} s: answer after "
                f"{answered_s * 1000:.0f} ms, slowest {walker.slowest_s:.1f} s, {memory[-1]} KB, "
                f"{len(walker.screens)} screens, {walker.starts} starts"
            )
            place.refill()
        walker.leave()
        place.tear_down()
    except Finding as finding:
        _say(f"finding after {walker.pressed} keys of seed {args.seed}: {finding}")
        _say(f"where: {walker.seat.screen} {walker.seat.focus} {walker.seat.address}")
        _say(f"before: {' '.join(walker.last)}")
        _say(f"what there was stays in {place.work}")
        walker.seat.kill()
        return 1
    _report(walker, args, memory)
    return 0


def _report(walker: Walker, args: argparse.Namespace, memory: list[int]) -> None:
    pressed = {pair for pair in walker.used if pair in walker.offered}
    screens = [f"{name} {count}" for name, count in sorted(walker.screens.items())]
    kinds = {name.partition("(")[0] for name in walker.screens}
    _say(f"screens: {', '.join(screens)}")
    _say(f"never pressed where they do something: {sorted(walker.offered - pressed)}")
    _say(f"slowest: {walker.slowest_s:.1f} s, {walker.slowest}")
    _say(f"done: {dict(walker.doings)}; memory in KB: {memory}")
    _say(
        f"seed {args.seed}, {args.size}, {args.term}: {walker.pressed} keys "
        f"({len(walker.keys)} different, {walker.sent_bytes} bytes), {len(kinds)} kinds of screen, "
        f"{len(pressed)} of {len(walker.offered)} keys of screens, {walker.starts} starts, "
        f"slowest {walker.slowest_s:.1f} s, "
        f"{walker.looks[True]} looks ({walker.looks[False]} in vain), no finding"
    )


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
