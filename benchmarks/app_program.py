"""The app on facts that are made up, for the figures that need thousands of containers.

python -m benchmarks.app_program ROWS CHANGING

ROWS containers run, in CHANGING per cent of whose rows figures change each second.
"""

from __future__ import annotations

import random
import sys

from core.engine import open_engine
from core.model import ContainerInfo, ImageInfo, Port, RegistryInfo
from tui import app as tui_app
from tui.bridge import Bridge, Changed, Sample, Snapshot


def container(number: int) -> ContainerInfo:
    return ContainerInfo(
        f"{number:064x}",
        f"service-{number:05d}",
        "registry.example/team/app:1.27",
        "sha256:" + "0" * 64,
        ("/usr/bin/app", "--serve"),
        1.0,
        "running",
        started=1.0,
        ports=(Port("0.0.0.0", 8000 + number, 80),),
        address=f"10.89.{number // 250}.{number % 250 + 2}",
        labels=(("tier", "front"),),
    )


def image(number: int) -> ImageInfo:
    return ImageInfo(
        f"sha256:{number:064x}", f"sha256:{number + 9:064x}", (f"registry.example/app:{number}",),
        "linux/amd64", 1.0, 10_000_000, 1, 5,
    )  # fmt: skip


class MovingBridge(Bridge):
    """Tells of made-up facts that change."""

    rows = 0
    changing = 0.0

    def _watch(self) -> None:
        containers = tuple(container(number) for number in range(self.rows))
        images = tuple(image(number) for number in range(min(500, self.rows)))
        samples = {info.id: Sample(1.0, 50_000_000, 0, (1.0,) * 6) for info in containers}
        dice = random.Random(7)
        while not self._stop.is_set():
            for info in dice.sample(containers, round(self.rows * self.changing)):
                cpu = dice.randrange(0, 1000) / 10
                history = (*samples[info.id].history[1:], cpu)
                samples[info.id] = Sample(cpu, dice.randrange(1 << 20, 1 << 30), 0, history)
            self.latest = Snapshot(
                containers,
                images,
                (RegistryInfo("registry.example", "reachable"),),
                tuple(samples.items()),
                read=True,
            )
            if not self._told:
                self._told = True
                self._post(Changed())
            self._stop.wait(1)


def main() -> int:
    """Run the app until it is left."""
    MovingBridge.rows = int(sys.argv[1])
    MovingBridge.changing = float(sys.argv[2]) / 100
    return tui_app.show(tui_app.LimpetApp(open_engine(), bridge=MovingBridge)) or 0


if __name__ == "__main__":
    sys.exit(main())
