"""Makes the README's picture from the real app on a real engine, in roots of its own.

sudo .venv/bin/python docs/make_pictures.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from core.config import Config  # noqa: E402
from core.containers.options import ContainerOptions  # noqa: E402
from core.engine import Engine  # noqa: E402
from core.paths import Paths  # noqa: E402
from tui.app import LimpetApp  # noqa: E402

SCRIPT = "while true; do echo request served in $((RANDOM % 90)) ms; sleep 1; done"


async def dashboard(engine: Engine) -> None:
    """Take the dashboard with a log in the session."""
    app = LimpetApp(engine)
    async with app.run_test(size=(130, 36)) as pilot:
        await pilot.pause(4)
        app.submit("logs -f cache")
        await pilot.pause(3)
        app.save_screenshot("dashboard.svg", str(ROOT / "docs/pictures"))


def main() -> None:
    """Start containers, take the picture, remove everything."""
    with tempfile.TemporaryDirectory() as place:
        engine = Engine(Paths(f"{place}/data", f"{place}/run"), Config())
        engine.make_starter().result()
        for name in ("web", "worker", "cache"):
            options = ContainerOptions(
                "starter", ("sh", "-c", SCRIPT), name=name, network="none", tty=False
            )
            engine.lifecycle.start(engine.lifecycle.create(options))
        try:
            asyncio.run(dashboard(engine))
        finally:
            for info in engine.containers():
                engine.lifecycle.rm(info.name, force=True)
            engine.close()


if __name__ == "__main__":
    main()
