"""`./bench [name…]`: measure limpet beside its peers, print and write the figures.

With all of them measured, docs/benchmarks.md is written anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.bench_host import BenchHost
from benchmarks.cases import CASES
from tests.leftovers import Leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.report import Measured

PAGE = Path("docs/benchmarks.md")
PEERS = ("network device", "nft table ip ")


def main() -> int:
    """Run the chosen benchmarks; 1 when one of them failed or something was left behind."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure limpet beside its peers.")
    parser.add_argument("names", nargs="*", metavar="name", help="benchmark; none: all of them")
    parser.add_argument("--rounds", type=int, default=20, help="counted rounds of each")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    if unknown := set(options.names) - set(CASES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if os.geteuid():
        parser.error("containers need root: start as root")
    page = None if options.names else PAGE
    return measure(options.names or list(CASES), options.rounds, options.output, page)


def measure(names: list[str], rounds: int, output: Path, page: Path | None) -> int:
    """Measure, report, and look whether all is gone again."""
    measured: list[Measured] = []
    failed: list[str] = []
    with BenchHost() as host:
        before = Leftovers(host.work)
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                measured.append(CASES[name](host, rounds))
            except Exception as error:  # noqa: BLE001 - one broken benchmark must not end the others
                failed.append(f"{name}: {type(error).__name__}: {error}")
                print(f"failed: {failed[-1]}", file=sys.stderr)
    # The peers' devices and tables stay, and go with the namespace they are in.
    left = [thing for thing in before.wait() if not thing.startswith(PEERS)]
    if left:
        print("left behind:", *left, sep="\n  ", file=sys.stderr)
    facts = report.machine()
    text = report.markdown(facts, measured, failed)
    report.write(output, facts, measured, text)
    if page is not None:
        page.write_text(text)
    print(text)
    return int(bool(failed or left))


if __name__ == "__main__":
    sys.exit(main())
