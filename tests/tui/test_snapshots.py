"""What each screen looks like, kept as SVG at two sizes.

LIMPET_SNAPSHOTS=write writes them anew; what changed is then seen by opening the files.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.commands.keys import CONTAINERS
from core.errors import NotFound
from core.jobs import Job
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, until
from tui.answers import failure
from tui.app import LimpetApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.dashboard import edges
from tui.screens.detail.screen import DetailScreen
from tui.screens.detail.tab import Tab
from tui.screens.logs import LogsScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from textual.pilot import Pilot

    Make = Callable[..., LimpetApp]
    Show = Callable[[LimpetApp, Pilot[int]], Awaitable[None]]

FOLDER = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (160, 50)]
NOW = 1_700_000_000.0
DOCUMENT = {"Id": "0123", "State": {"Status": "running", "Pid": 42}, "Args": ["-g", "daemon off;"]}


async def containers(app: LimpetApp, pilot: Pilot[int]) -> None:
    """The first screen, an error with its hint in the session."""
    output = app.dashboard.output
    error = NotFound("there is no container 'wbe'", hint="limpet ps -a lists them all")
    output.finish(output.begin("stop wbe"), failure(error), note="failed", tone="bad")


async def images(app: LimpetApp, pilot: Pilot[int]) -> None:
    await pilot.press("2")


async def grouped(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Rows in groups, two of them marked, one column sorted by."""
    table = app.dashboard.tables[CONTAINERS]
    table.set_group("label tier")
    table.sort_by(3)
    await pilot.press("g", "j", "space", "space")


async def filtered(app: LimpetApp, pilot: Pilot[int]) -> None:
    await pilot.press("slash", *"!web -s run", "enter")


async def columns(app: LimpetApp, pilot: Pilot[int]) -> None:
    await pilot.press("comma", "down", "space")


async def several_lines(app: LimpetApp, pilot: Pilot[int]) -> None:
    await app.dashboard.bar.grow("version\nrun --rm nginx:1.27 true\n# a remark\nnosuch")


async def confirm(app: LimpetApp, pilot: Pilot[int]) -> None:
    lines = ["volume data (3 files, used by nothing)", "container web-1 (nginx:1.27, running)"]
    app.push_screen(ConfirmScreen("remove 2 things, 1.2GB come back", lines, "go on", word="data"))


async def tour(app: LimpetApp, pilot: Pilot[int]) -> None:
    await pilot.press("f1")


async def detail(app: LimpetApp, pilot: Pilot[int]) -> None:
    tabs = [
        Tab("Overview", ([("state  ", "dim"), ("running", "good")], [("image  nginx:1.27", "")])),
        Tab("Inspect", data=DOCUMENT),
    ]
    app.push_screen(DetailScreen("web-1", lambda: tabs))
    await until(pilot, lambda: "nginx:1.27" in screen_text(app))
    await pilot.press("2")


async def logs(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Levels in colours, JSON in words, a search."""

    def source(_: object) -> Iterator[list[tuple[int, bytes]]]:
        stamp = b"2026-01-01T10:00:00.000000000Z "
        yield [
            (1, stamp + b"INFO  listening on :80\n"),
            (2, stamp + b"ERROR cannot reach db: connection refused\n"),
            (1, stamp + b'{"level":"warn","msg":"slow","ms":812}\n'),
        ]

    app.push_screen(LogsScreen("web-1", source))
    await until(pilot, lambda: "slow" in screen_text(app) and "ended" in screen_text(app))
    await pilot.press("J", "slash", *"refused", "enter")


async def jobs(app: LimpetApp, pilot: Pilot[int]) -> None:
    def work(job: Job) -> None:
        job.progress("layer 1", 40, 100, "downloading")

    app.engine.jobs.start("pull nginx:1.27", work).wait()
    await pilot.press("J")
    await until(pilot, lambda: "pull nginx:1.27" in screen_text(app))


SCREENS: tuple[Show, ...] = (
    containers, images, grouped, filtered, columns, several_lines, confirm, tour, detail, logs,
    jobs,
)  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("show", SCREENS, ids=lambda show: show.__name__)
async def test_a_screen_looks_as_it_did(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, show: Show, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(edges, "host_name", lambda: "root@host")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.dashboard.take(facts())
        await until(pilot, lambda: app.dashboard.bar.past.history is not None)
        await show(app, pilot)
        await pilot.pause(0.2)
        picture = app.export_screenshot(title=show.__name__)
    compare(f"{show.__name__}-{size[0]}x{size[1]}", picture)


def compare(name: str, picture: str) -> None:
    path = FOLDER / f"{name}.svg"
    if os.environ.get("LIMPET_SNAPSHOTS") == "write":
        path.write_text(picture)
    same = path.exists() and path.read_text() == picture
    if not same:
        other = Path(os.environ.get("TMPDIR", "/tmp"), f"{name}.svg")
        other.write_text(picture)
        raise AssertionError(f"{path} is not what {other} shows; look at both")
