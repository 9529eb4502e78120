"""Makes the pictures of the README and of the tour from the real app on a real engine.

sudo .venv/bin/python docs/make_pictures.py
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from core.config import Config  # noqa: E402
from core.containers.configuration.options import ContainerOptions  # noqa: E402
from core.engine import Engine  # noqa: E402
from core.paths import Paths  # noqa: E402
from tui.app import LimpetApp  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.pilot import Pilot

PICTURES = ROOT / "docs/pictures"
SCRIPT = (
    "chmod 600 /etc/group; rm -f /bin/vi; while true; do echo served >> /var/served;"
    ' echo "{\\"level\\":\\"info\\",\\"msg\\":\\"request served\\",'
    '\\"ms\\":$((RANDOM % 90))}"; sleep 1; done'
)
DOCKERFILE = """FROM starter AS base
WORKDIR /srv
COPY page.html /srv/
RUN echo building assets; mkdir /srv/assets

FROM base
RUN echo checking the page; grep -q title /srv/page.html || { echo no title found; exit 3; }
CMD ["httpd", "-f", "-h", "/srv"]
"""
NAMES = ("web", "worker", "cache", "queue")
PROJECT = "com.docker.compose.project"
WIDE, SMALL = (130, 36), (90, 26)


async def dashboard(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Tables, and a command with its answer in the session."""
    await pilot.pause(4)
    app.submit("logs --tail 4 web | cut -c1-60")
    await pilot.pause(1)
    app.submit("system df")
    await pilot.pause(2)


async def actions(app: LimpetApp, pilot: Pilot[int]) -> None:
    """All that can be done with a container."""
    await pilot.press("m")
    await pilot.pause(1)


async def groups(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Containers by project, two marked."""
    app.dashboard.table.set_group(f"label {PROJECT}")
    await pilot.press("g", "j", "space", "space")
    await pilot.pause(1)


async def bar(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Completion in several lines."""
    await app.dashboard.bar.grow("# a recipe\nstop queue && rm queue\nrun -d --name queue --net")
    await pilot.press("w")
    await pilot.pause(2)


async def logs(app: LimpetApp, pilot: Pilot[int]) -> None:
    """The logs of two containers as one."""
    app.open_logs(["web", "worker"])
    await pilot.pause(3)
    await pilot.press("J")
    await pilot.pause(1)


async def details(app: LimpetApp, pilot: Pilot[int]) -> None:
    """What a container uses."""
    app.open_container("web")
    await pilot.pause(1)
    await pilot.press("2")
    await pilot.pause(5)


async def layers(app: LimpetApp, pilot: Pilot[int]) -> None:
    """The files of an image."""
    app.open_layers("starter")
    await pilot.pause(2)
    await pilot.press("j", "enter")
    await pilot.pause(1)


async def written(app: LimpetApp, pilot: Pilot[int]) -> None:
    """What a container wrote, as one more layer."""
    app.open_container_layers("web")
    await pilot.pause(3)
    await pilot.press("slash", *"/bin/vi", "enter", "slash", *"served", "enter")
    await pilot.press("slash", *"/etc/group", "enter")
    await pilot.pause(1)


async def compared(app: LimpetApp, pilot: Pilot[int]) -> None:
    """How a container differs from its image."""
    app.open_comparison("starter", "web")
    await pilot.pause(3)
    await pilot.press("slash", *"served", "enter", "slash", *"/etc/group", "enter")
    await pilot.pause(1)


async def build(app: LimpetApp, pilot: Pilot[int]) -> None:
    """A build whose RUN fails."""
    app.submit("build --network none -t shop shop")
    await pilot.pause(5)


async def plan(app: LimpetApp, pilot: Pilot[int]) -> None:
    """What a removal would do."""
    app.submit("rm -f web worker")
    await pilot.pause(2)


SHOWN = (dashboard, actions, groups, bar, logs, details, layers, written, compared, build, plan)


async def take(engine: Engine) -> None:
    """Take every picture, each of an app that has just been opened."""
    for show in SHOWN:
        app = LimpetApp(engine)
        os.environ["XDG_STATE_HOME"] += "-"  # each app opens as if it were the first
        async with app.run_test(size=WIDE if show is dashboard else SMALL) as pilot:
            await pilot.pause(2)
            await show(app, pilot)
            app.save_screenshot(f"{show.__name__}.svg", str(PICTURES))


def main() -> None:
    """Start containers, take the pictures, remove everything."""
    with tempfile.TemporaryDirectory() as place:
        os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
        os.environ["XDG_STATE_HOME"] = f"{place}/state"
        os.chdir(place)
        shop = Path(place, "shop")
        shop.mkdir()
        (shop / "Dockerfile").write_text(DOCKERFILE)
        (shop / "page.html").write_text("<h1>shop</h1>\n")
        engine = Engine(Paths(f"{place}/data", f"{place}/run"), Config())
        engine.images.make_starter().result()
        for name in NAMES:
            options = ContainerOptions(
                "starter",
                ("sh", "-c", SCRIPT),
                name=name,
                network="none",
                tty=False,
                labels=((PROJECT, "shop" if name in ("web", "cache") else "jobs"),),
            )
            engine.containers.start(engine.containers.create(options))
        try:
            asyncio.run(take(engine))
        finally:
            for info in engine.containers.list():
                engine.containers.rm(info.name, force=True)
            engine.close()


if __name__ == "__main__":
    main()
