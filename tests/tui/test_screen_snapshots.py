"""What each screen beside the tables looks like, kept as SVG at two sizes.

They are shown one after the other in one app, which takes a fraction of the time that an app
each would.  LIMPET_SNAPSHOTS=write writes them anew, see `test_snapshots`.
"""

from __future__ import annotations

import os
import time

import pytest
from textual.color import Color

from core.build import board as states
from core.commands import network, volume
from core.commands.image import updates
from core.commands.keys import CONTAINERS
from core.commands.registry import sync
from core.commands.result import Column, Table
from core.commands.system import df, system, trash
from core.containers.supervision.samples import Sample
from core.errors import BuildError, NotFound
from core.events import Event
from core.images.file_table import FileEntry, FileTable
from core.model import LayerInfo, Usage
from core.registry import browse, client
from core.registry.browse import RemoteTag
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, until
from tests.tui.test_build_view import Build
from tests.tui.test_compare import images
from tests.tui.test_detail import CONTAINER, IMAGE
from tests.tui.test_layers import LAYERS, Given, Live
from tests.tui.test_snapshots import NOW, SIZES, compare
from tui.bridge import Snapshot
from tui.keymap import Keymap
from tui.screens.compare import CompareScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.dashboard import edges
from tui.screens.detail.screen import DetailScreen
from tui.screens.detail.tab import Tab
from tui.screens.file_view import FileScreen
from tui.screens.help import HelpScreen, Section, key_sections
from tui.screens.layers.screen import LayersScreen
from tui.screens.listing import ListingScreen
from tui.screens.logs import LogsScreen
from tui.screens.pick import Choice, PickScreen
from tui.theme import LEGIBLE, contrast, glyphs
from tui.views import listings
from tui.views.details import container_tabs, image_tabs
from tui.views.events import event_line
from tui.views.registries import registry as registry_screen
from tui.views.usage_day import day_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from typing import Any

    from textual.pilot import Pilot
    from textual.screen import Screen

    from tui.app import LimpetApp
    from tui.screens.detail.tab import Line

    Make = Callable[..., LimpetApp]
    Show = Callable[[LimpetApp, Pilot[int]], Awaitable[None]]

NEVER_S = 1e6
DIGEST = "sha256:" + "4b" * 32
SCRIPT = (
    b'#!/usr/bin/env python3\nimport sys\n\n\ndef main() -> None:\n    print("hello")  # a word\n'
)
COMMANDS = Section("commands", (("ps", "List containers", ""), ("stop", "Stop them", "s")))


async def shown(app: LimpetApp, pilot: Pilot[int], screen: Screen[Any], words: str) -> None:
    app.push_screen(screen)
    await until(pilot, lambda: app.screen is screen and words in screen_text(app))


async def settled(app: LimpetApp, pilot: Pilot[int]) -> None:
    """Wait until the screen has read what it shows."""
    await until(pilot, lambda: not any(w.is_running for w in app.workers if w.node is app.screen))


def lines(*words: str) -> tuple[Line, ...]:
    return tuple([(line, "")] for line in words)


# The tables


async def welcome(app: LimpetApp, pilot: Pilot[int]) -> None:
    app.dashboard.take(Snapshot(read=True))


async def registries(app: LimpetApp, pilot: Pilot[int]) -> None:
    app.dashboard.take(facts())
    await pilot.press("3")


# Help and choices


async def help_keys(app: LimpetApp, pilot: Pilot[int]) -> None:
    await shown(app, pilot, HelpScreen(key_sections(Keymap()), [COMMANDS]), "keys on a container")


async def help_here(app: LimpetApp, pilot: Pilot[int]) -> None:
    await volumes(app, pilot)
    await pilot.press("question_mark")
    await until(pilot, lambda: "keys here" in screen_text(app))


async def pick(app: LimpetApp, pilot: Pilot[int]) -> None:
    choices = [Choice("stop", "s", "Stop containers"), Choice("cp", "", "Copy files")]
    await shown(app, pilot, PickScreen("web-1", choices, edits=True), "Copy files")


# A container


def read_container() -> list[Tab]:
    health = {"Status": "unhealthy", "FailingStreak": 1, "Log": [
        {"End": "2023-11-14T22:10:00Z", "ExitCode": 7, "Output": "connection refused\n"},
    ]}  # fmt: skip
    state = {"Status": "running", "Running": True, "Pid": 42, "Error": "", "OOMKilled": False,
             "StartedAt": "2023-11-14T20:13:20Z", "FinishedAt": "", "Health": health}  # fmt: skip
    document = {**CONTAINER, "State": state}
    first, *others = container_tabs(document)
    event = Event(NOW, "container", "start", "ab" * 32, (("name", "web-1"), ("image", "nginx")))
    history = [Sample(NOW - 60 * n, 10**9 * (90 - n), 2**20 * n, 2) for n in range(90, 0, -1)]
    return [
        first,
        Tab("Processes", lines("PID   USER  COMMAND", "42    root  nginx -g daemon off;")),
        Tab("Changes", lines("C /etc", "A /etc/nginx.conf", "D /tmp/old")),
        Tab("Day", tuple(day_lines(history, NOW, glyphs()))),
        Tab("Events", lines(event_line(event))),
        *others,
    ]


def container(tab: str) -> Show:
    async def show(app: LimpetApp, pilot: Pilot[int]) -> None:
        samples = [Sample(n, 2 * 10**7 * (n * n % 37 + 40 * n), 2**20 * (20 + n % 9), 3)
                   for n in range(120)]  # fmt: skip
        screen = DetailScreen(
            "web-1",
            read_container,
            lambda: Usage(10**12, 24 << 20, 256 << 20, 3, 100),
            history=lambda: samples,
            read_every_s=NEVER_S,
            usage_every_s=NEVER_S,
        )
        await shown(app, pilot, screen, "Overview")
        names = [found.name for found in screen._tabs]
        screen.action_go(names.index(tab))
        await settled(app, pilot)

    show.__name__ = f"container_{tab.split(',')[0].lower()}"
    return show


TABS = ("Overview", "Usage", "Processes", "Changes", "Day", "Events", "Env", "Mounts, ports",
        "Health", "Inspect")  # fmt: skip


async def container_layers(app: LimpetApp, pilot: Pilot[int]) -> None:
    class Still(Live):
        def files(self, diff_id: str) -> FileTable:
            return Given.files(self, diff_id)

    source = Still()
    source._given[-1][1].append(FileEntry("log", "file", 0o644, 0, 0, 90, 0, "00" * 32, ""))
    await shown(app, pilot, LayersScreen(source), "efficiency")


# An image


def image(tab: str) -> Show:
    async def show(app: LimpetApp, pilot: Pilot[int]) -> None:
        steps = [LayerInfo("sha256:1", "", 0, 5000, 1, "COPY . /", 0),
                 LayerInfo("", "", 0, 0, 0, 'CMD ["nginx"]', 0)]  # fmt: skip
        uses = [*lines("container  web-1  running")]
        screen = DetailScreen(
            "nginx:1.27", lambda: image_tabs(IMAGE, steps, lambda: uses), read_every_s=NEVER_S
        )
        await shown(app, pilot, screen, "Overview")
        screen.action_go([found.name for found in screen._tabs].index(tab))
        await settled(app, pilot)

    show.__name__ = f"image_{tab.lower()}"
    return show


async def layers(app: LimpetApp, pilot: Pilot[int]) -> None:
    await shown(app, pilot, LayersScreen(Given(LAYERS)), "efficiency")
    await pilot.press("right_square_bracket", "enter", "j")


async def layers_whole(app: LimpetApp, pilot: Pilot[int]) -> None:
    await layers(app, pilot)
    await pilot.press("t", "slash", *"passwd", "enter")


async def file_text(app: LimpetApp, pilot: Pilot[int]) -> None:
    await shown(app, pilot, FileScreen("srv/app.py", memory(SCRIPT), where="layer 2"), "a word")


async def file_hex(app: LimpetApp, pilot: Pilot[int]) -> None:
    screen = FileScreen("bin/tool", memory(b"\x7fELF" + bytes(range(200))), where="layer 2")
    await shown(app, pilot, screen, "7f 45 4c 46")


def memory(content: bytes) -> Callable[[], int]:
    def opened() -> int:
        fd = os.memfd_create("content")
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    return opened


async def compared(app: LimpetApp, pilot: Pilot[int]) -> None:
    await shown(app, pilot, CompareScreen(("thing:1", "thing:2"), images), "old")
    await pilot.press("enter")
    await until(pilot, lambda: "passwd" in screen_text(app))
    await pilot.press("j")


async def compared_settings(app: LimpetApp, pilot: Pilot[int]) -> None:
    await compared(app, pilot)
    await pilot.press("c")


# A build


async def build_runs(app: LimpetApp, pilot: Pilot[int]) -> None:
    build = Build(app)
    build.board.end(build.base, states.CACHED)
    build.board.start(build.run, "the command changed")
    build.board.say(build.run, "compiling main.c")
    app.open_job(build.job.id)
    await until(pilot, lambda: "compiling" in screen_text(app))


async def build_failed(app: LimpetApp, pilot: Pilot[int]) -> None:
    build = Build(app)
    build.board.end(build.base, states.CACHED)
    build.board.start(build.run)
    build.board.say(build.run, "main.c:1: error")
    build.board.end(build.run, states.FAILED, "exit code 2")
    build.error = BuildError("Dockerfile:2:1: RUN make: exit code 2", hint="limpet debug")
    build.go_on.set()
    build.job.wait()
    app.open_job(build.job.id)
    await until(pilot, lambda: "Dockerfile:2:1" in screen_text(app))


async def job(app: LimpetApp, pilot: Pilot[int]) -> None:
    def work(job: Any) -> None:
        job.progress("4b4b4b4b4b4b", 40 << 20, 100 << 20, "downloading")
        job.progress("3f3f3f3f3f3f", 1, 1, "done")
        raise NotFound("manifest 4b4b is gone", hint="pull nginx:1.28")

    running = app.engine.jobs.start("pull nginx:1.27", work)
    running.wait()
    app.open_job(running.id)
    await until(pilot, lambda: "is gone" in screen_text(app))


# A registry


class FakeClient:
    def __init__(self, host: str, *_: object, **__: object) -> None:
        self.host = host

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def catalog(self) -> list[str]:
        return ["team/app", "team/web"]

    def tags(self, _: str) -> list[str]:
        return ["1", "latest"]


TAGS = [
    RemoteTag("1", DIGEST, NOW - 86400, 50 << 20, ("linux/amd64", "linux/arm64"), "index"),
    RemoteTag("latest", DIGEST, NOW - 86400, 50 << 20, ("linux/amd64", "linux/arm64"), "index"),
]
REMOTE = {
    "Digest": DIGEST, "MediaType": "application/vnd.oci.image.manifest.v1+json", "Size": 50 << 20,
    "Manifest": {"layers": [{}, {}]},
    "Config": {"os": "linux", "architecture": "amd64", "created": "2023-11-14T00:00:00Z",
               "config": {"Cmd": ["nginx"]}},
}  # fmt: skip


def registry(name: str, place: str, words: str) -> Show:
    async def show(app: LimpetApp, pilot: Pilot[int]) -> None:
        screen = registry_screen(app.engine, place, lambda _: None, Keymap())
        await shown(app, pilot, screen, words)
        await settled(app, pilot)

    show.__name__ = name
    return show


async def registry_unreachable(app: LimpetApp, pilot: Pilot[int]) -> None:
    def read() -> Table:
        raise NotFound("registry.lan:5000 cannot be reached", hint="check the name, the network")

    screen = ListingScreen("registry.lan:5000", read, empty="", rows="repositories")
    await shown(app, pilot, screen, "cannot be reached")


# Listings: the columns and keys are the real ones


def listing(name: str, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> Show:
    async def show(app: LimpetApp, pilot: Pilot[int]) -> None:
        table = Table(
            tuple(columns),
            tuple({column.key: cell for column, cell in zip(columns, row, strict=True)}
                  for row in rows),
        )  # fmt: skip
        _, empty = listings.LISTINGS[name]
        keys = Keymap().of(name)
        screen = ListingScreen(name, lambda: table, empty=empty, keys=keys, every_s=NEVER_S)
        await shown(app, pilot, screen, str(rows[0][0]) if rows else empty)

    show.__name__ = name if rows else f"{name}_empty"
    return show


volumes = listing(
    "volumes", volume.COLUMNS, [("data", "web-1", NOW - 3600, "/var/lib/limpet/volumes/data")]
)
LISTINGS = (
    volumes,
    listing("volumes", volume.COLUMNS, []),
    listing("networks", network.NETWORK_COLUMNS,
            [("bridge", "bridge", "10.89.0.0/24", "limpet0", "built in", 2)]),
    listing("disk", df.COLUMNS,
            [("Images", 3, 2, 2 << 30, "1.1GB (51%)"), ("Trash", 1, 0, 5 << 20, "5.2MB (100%)")]),
    listing("trash", trash.COLUMNS,
            [("7", "rm web-1", NOW - 60, 5 << 20, "container web-1")]),
    listing("doctor", system.DOCTOR_COLUMNS,
            [("overlay", "ok", "overlayfs mounts", ""),
             ("cgroups", "warning", "version 1", "boot with systemd.unified_cgroup_hierarchy=1")]),
    listing("sync", sync.STATE_COLUMNS,
            [("mirror", NOW - 600, 3, 0, 12, "docker.io/library/nginx", "registry.lan", ""),
             ("nightly", 0, 0, 0, 0, "a", "b", "the source cannot be reached")]),
    listing("updates", updates.CONTAINER_COLUMNS,
            [("web-1", "newer upstream", "nginx:1.27", DIGEST, "sha256:" + "3f" * 32, ""),
             ("db", "unknown", "postgres:16", DIGEST, "", "the registry does not answer")]),
)  # fmt: skip


async def sync_plan(app: LimpetApp, pilot: Pilot[int]) -> None:
    row = {"Target": "registry.lan/nginx:1.27", "Action": "copy", "Size": 50 << 20,
           "Source": "docker.io/library/nginx:1.27", "Rule": "mirror", "Cause": "new"}  # fmt: skip
    table = Table(sync.PLAN_COLUMNS, (row,))
    await shown(app, pilot, ListingScreen("sync plan", lambda: table, empty=""), "registry.lan")


async def config(app: LimpetApp, pilot: Pilot[int]) -> None:
    data = {"tui": {"theme": "limpet", "mouse": True}, "network": {"subnet": "10.89.0.0/24"}}
    await shown(app, pilot, DetailScreen("config", lambda: [Tab("", data=data)]), "subnet")


async def events(app: LimpetApp, pilot: Pilot[int]) -> None:
    def source(_: object) -> Iterator[list[tuple[int, bytes]]]:
        for count, action in enumerate(("create", "start", "die")):
            event = Event(NOW + count, "container", action, "ab" * 32, (("name", "web-1"),))
            yield [(1, (event_line(event) + "\n").encode())]

    screen = LogsScreen("events", source)
    screen.view.rows.stamps = True
    await shown(app, pilot, screen, "die")
    await until(pilot, lambda: "ended" in screen_text(app))


SCREENS: tuple[Show, ...] = (
    welcome, registries, help_keys, help_here, pick, *map(container, TABS), container_layers,
    *map(image, ("Overview", "History", "Uses", "Env", "Labels", "Inspect")), layers,
    layers_whole, file_text, file_hex, compared, compared_settings, build_runs, build_failed, job,
    registry("registry_repositories", "registry.lan:5000", "team/web"),
    registry("registry_tags", "registry.lan:5000/team/app", "latest"),
    registry("registry_image", "registry.lan:5000/team/app:1", "Overview"),
    registry_unreachable, *LISTINGS, sync_plan, config, events,
)  # fmt: skip


COLOURED = ("limpet-contrast", "limpet-light", "limpet")
"""The themes whose colours are limpet's own; the one of the pictures last."""


def illegible(app: LimpetApp) -> set[str]:
    """Return words on the uppermost screen that stand out less than WCAG's level AA asks for."""
    screen = app.screen
    box = screen.children[0].region if isinstance(screen, PickScreen | ConfirmScreen) else None
    region = box or screen.region
    found = set()
    for strip in screen._compositor.render_strips()[region.y : region.bottom]:
        for text, style, _ in strip.crop(region.x, region.right):
            if style is None or not any(letter.isalnum() for letter in text):
                continue
            assert style.color is not None
            assert style.bgcolor is not None
            pair = [Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)]
            if contrast(*pair) < LEGIBLE or style.dim:
                found.add(f"{text.strip()!r} {pair[0].hex} on {pair[1].hex}")
    return found


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_looks_as_it_did_and_is_legible(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(edges, "host_name", lambda: "root@host")
    monkeypatch.setattr(client, "RegistryClient", FakeClient)
    monkeypatch.setattr(browse, "describe_tags", lambda *_: TAGS)
    monkeypatch.setattr(browse, "inspect", lambda *_: REMOTE)
    app = make_app()
    differ = []
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.dashboard.bar.past.history is not None)
        for show in SCREENS:
            await show(app, pilot)
            await pilot.pause()
            for theme in COLOURED if size == SIZES[0] else ():
                app.theme = theme
                await pilot.pause()
                differ += [f"{show.__name__} in {theme}: {words}" for words in illegible(app)]
            picture = app.export_screenshot(title=show.__name__)
            try:
                compare(f"{show.__name__}-{size[0]}x{size[1]}", picture)
            except AssertionError as error:
                differ.append(str(error))
            while len(app.screen_stack) > 1:
                app.pop_screen()
            app.dashboard.go(CONTAINERS)
            await pilot.pause()
            for running in app.engine.jobs.all():
                running.cancel()
    assert not differ, "\n".join(differ)
