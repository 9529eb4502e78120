"""The detail screen: facts in tabs, graphs, a tree that folds, and what goes wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.supervision.samples import Sample
from core.errors import NotFound
from core.model import LayerInfo, Usage
from tests.tui.screen_host import ScreenHost, until
from tui.screens.detail.meter import Meter
from tui.screens.detail.own_key import OwnKey
from tui.screens.detail.screen import DetailScreen
from tui.screens.detail.tab import Tab
from tui.screens.layers.lines import step_words
from tui.theme import BARS, Glyphs, chart, plain
from tui.views.details import container_tabs, image_tabs
from tui.views.usage_day import day_lines
from tui.widgets.foldable import rows
from tui.widgets.line_list import LineList
from tui.widgets.status import StatusLine

TYPE_CHECKING = False

CONTAINER = {
    "Id": "ab" * 32,
    "Created": "2026-11-20T10:00:00Z",
    "Path": "sh",
    "Args": ["-c", "echo \x1b[31m hi"],
    "State": {
        "Status": "exited", "Running": False, "OOMKilled": True, "Pid": 0, "ExitCode": 137,
        "Error": "", "StartedAt": "2026-11-24T10:00:00.123456789Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Image": "sha256:" + "3f" * 32,
    "Name": "/web-12",
    "HostConfig": {
        "NetworkMode": "bridge", "PortBindings": {}, "AutoRemove": True, "Privileged": True,
        "ReadonlyRootfs": True, "CapAdd": ["NET_ADMIN"], "CapDrop": None, "Memory": 268435456,
        "NanoCpus": 1500000000, "PidsLimit": None,
    },
    "Mounts": [
        {"Type": "bind", "Source": "/etc/web", "Destination": "/etc/nginx", "RW": False},
    ],
    "Config": {
        "Hostname": "web-12", "User": "1000", "Tty": True, "Env": ["B=2", "A=1=1", "C"],
        "Image": "nginx:1.27", "WorkingDir": "/", "Labels": {"tier": "front"},
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "IPAddress": "10.89.0.12",
    },
}  # fmt: skip
IMAGE = {
    "Id": "sha256:aa", "RepoTags": [], "Created": "2026-11-20T10:00:00Z", "Author": "",
    "Architecture": "arm64", "Variant": "v8", "Os": "linux", "Size": 1000, "Digest": "sha256:bb",
    "Config": {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}},
    "UsedBy": ["web-1", "web-2"],
}  # fmt: skip


def texts(tabs: list[Tab], name: str) -> list[str]:
    return [plain(line) for tab in tabs if tab.name == name for line in tab.lines]


def test_a_container_on_several_networks() -> None:
    networks = {
        "shop": {"IPAddress": "10.90.0.2", "GlobalIPv6Address": "fd00::2", "Aliases": ["api"]},
        "back": {"IPAddress": "10.90.1.2", "Aliases": []},
    }
    several = {**CONTAINER, "NetworkSettings": {"Ports": {}, "IPAddress": "", "Networks": networks}}
    overview = "\n".join(texts(container_tabs(several), "Overview"))
    assert "shop  10.90.0.2  fd00::2  as api\n" in overview
    assert "back  10.90.1.2\n" in overview


def test_a_container_s_facts() -> None:
    tabs = container_tabs(CONTAINER)
    overview = "\n".join(texts(tabs, "Overview"))
    assert "exited with 137, out of memory" in overview
    assert "2026-11-24 10:00:00 UTC" in overview
    assert "0001" not in overview
    assert "0.0.0.0:8080 → 80/tcp, reached from all networks of this host" in overview
    assert "\x1b" not in overview
    assert "processes" not in overview
    assert texts(tabs, "Env") == ["A  1=1", "B  2", "C  "]
    assert texts(tabs, "Mounts, ports") == [
        "/etc/nginx  bind   ro  /etc/web", "",
        "ports         0.0.0.0:8080 → 80/tcp, reached from all networks of this host",
    ]  # fmt: skip
    assert texts(tabs, "Health")[0] == "no health check"
    assert "labels        tier=front" in overview


def test_the_last_health_checks_are_told() -> None:
    log = [{"End": "2026-11-24T10:00:00Z", "ExitCode": code, "Output": f"said {code}\n"}
           for code in (0, 7)]  # fmt: skip
    health = {"Status": "unhealthy", "FailingStreak": 1, "Log": log}
    state = {"Status": "running", "Running": True, "Pid": 1, "Error": "", "OOMKilled": False,
             "StartedAt": "", "FinishedAt": "", "Health": health}  # fmt: skip
    tabs = container_tabs({**CONTAINER, "State": state})
    lines = texts(tabs, "Health")
    assert lines[0] == "health        unhealthy, 1 failure in a row"
    assert [line.split("  ")[-1] for line in lines if "UTC" in line] == ["failed with 7", "passed"]
    assert "  said 7" in lines


def test_an_image_s_facts() -> None:
    step = LayerInfo("sha256:1", "", 0, 5000, 1, "RUN /bin/sh -c set -x   && y # buildkit", 0)
    tabs = image_tabs(IMAGE, [step, LayerInfo("", "", 0, 0, 0, "", 0, "a comment")], list)
    overview = texts(tabs, "Overview")
    assert overview[:2] == ["names         <none>", "platform      linux/arm64/v8"]
    assert "command       nginx -g 'daemon off;'" in overview
    assert [line.split("  ")[-1].strip() for line in texts(tabs, "History")] == [
        "a comment", "RUN set -x && y",
    ]  # fmt: skip
    assert texts(tabs, "Env") == ["no environment"]
    assert step_words(step) == "RUN set -x && y"


def test_usage_is_counted_between_readings() -> None:
    meter = Meter(kept=10)
    assert plain(meter.lines(80, Glyphs())[0]) == "it does not run"
    for second in range(20):
        meter.take(Usage(second * 500_000_000, 64_000_000, 128_000_000, 3, 0), 100.0 + second)
    lines = [plain(line) for line in meter.lines(80, Glyphs())]
    assert "50.0% of one processor" in lines[0]
    assert len(lines[1].strip()) == 10
    assert "64MB of 128MB" in lines[3]
    assert set(lines[4].strip()) <= set("▄▅")
    meter.take(None)
    assert len(meter.lines(80, Glyphs())) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=4), JSON))
def test_an_open_tree_has_a_line_for_every_value(document: dict[str, object]) -> None:
    def count(value: object) -> int:
        inner = (
            list(value.values())
            if isinstance(value, dict)
            else value
            if isinstance(value, list)
            else []
        )
        return len(inner) + sum(map(count, inner))

    folds: set[tuple[str | int, ...]] = set()
    while True:
        found = rows(document, folds)
        closed = {r.path for r in found if isinstance(r.value, dict | list) and r.value
                  and not r.is_open}  # fmt: skip
        if not closed:
            break
        folds ^= closed
    assert len(found) == count(document)


def shown(screen: DetailScreen) -> str:
    pane = next(pane for pane in screen.query(LineList) if pane.display)
    return "\n".join(pane.render_line(y).text.rstrip() for y in range(pane.size.height))


def edge(screen: DetailScreen, name: str) -> str:
    return screen.query_one(f"#{name}", StatusLine).render_line(0).text


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_tabs_graphs_tree_and_copying(size: tuple[int, int]) -> None:
    spent = iter(range(0, 10**12, 10**7))
    screen = DetailScreen(
        "web-12",
        lambda: container_tabs(CONTAINER),
        lambda: Usage(next(spent), 1000, 0, 2, 0),
        usage_every_s=0.2,
    )
    async with ScreenHost(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: "web-12" in shown(screen))
        await pilot.press("]")
        await until(pilot, lambda: bool(set(BARS) & set(shown(screen))))
        await pilot.press("3", "j", "y")
        assert pilot.app.clipboard == "B  2"
        assert "copied 1 line" in edge(screen, "foot")
        await pilot.press("Y")
        assert pilot.app.clipboard == "A  1=1\nB  2\nC  "
        await pilot.press("[", "[", "[")
        await until(pilot, lambda: "Created  2026" in shown(screen))
        await pilot.press("Y")
        assert json.loads(pilot.app.clipboard) == CONTAINER
        await pilot.press("j", "j", "j", "h")
        assert "Args  [ 2 ]" in shown(screen)
        await pilot.press("l", "l", "l", "y")
        assert pilot.app.clipboard == "-c"
        await pilot.press("h", "enter")
        assert "Args  [ 2 ]" in shown(screen)
        await pilot.click("#tree", offset=(1, 3))  # its sign
        assert "Args\n" in shown(screen)
        await pilot.click("#tree", offset=(8, 3), times=2)
        assert "Args  [ 2 ]" in shown(screen)
        await pilot.press("escape")
        assert not screen.is_current


async def test_what_goes_wrong_is_shown_and_what_was_read_stays() -> None:
    answers: list[list[Tab]] = [container_tabs(CONTAINER)]

    def read() -> list[Tab]:
        if not answers:
            raise NotFound("there is no container web-12", hint="ps -a")
        return answers.pop()

    screen = DetailScreen("web-12", read, read_every_s=0.2)
    async with ScreenHost(screen).run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "there is no container" in edge(screen, "head"))
        assert "exited with 137" in shown(screen)
        second = DetailScreen("x", read)
        await pilot.app.push_screen(second)
        await until(pilot, lambda: "ps -a" in shown(second))
        await pilot.press("y", "Y", "]", "5", "j", "escape")
        assert not second.is_current


async def test_a_tab_is_read_only_while_it_is_looked_at_and_keys_act() -> None:
    reads: list[str] = []
    done: list[str] = []

    def load() -> list[list[tuple[str, str]]]:
        reads.append("read")
        if len(reads) > 1:
            raise NotFound("it is gone")
        return [[("pid 1", "")], [("pid 2", "")]]

    screen = DetailScreen(
        "web",
        lambda: [Tab("Overview", ([("hello", "")],)), Tab("Processes", load=load)],
        keys={"l": OwnKey("logs", lambda: done.append("logs"))},
        read_every_s=60,
    )
    async with ScreenHost(screen).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "hello" in shown(screen))
        assert not reads
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "pid 1" in shown(screen))
        assert reads == ["read"]
        await pilot.press("l")
        assert done == ["logs"]
        await pilot.press("left_square_bracket", "right_square_bracket")
        await until(pilot, lambda: "it is gone" in shown(screen))


def test_bars_are_as_high_as_their_values() -> None:
    assert chart([0, 4, 8, 16, 99], 16, 2) == ["   ██", " ▄███"]
    assert chart([0, 8], 16, 1) == ["▁▅"]


def test_health_is_told() -> None:
    health = {"Status": "unhealthy", "FailingStreak": 3, "Log": [{"Output": "no\n answer"}]}
    document = {**CONTAINER, "State": {**CONTAINER["State"], "Health": health}}  # type: ignore[dict-item]
    overview = "\n".join(texts(container_tabs(document), "Overview"))
    assert "health        unhealthy, 3 failures in a row" in overview
    assert "last check    no answer" in overview


def test_the_past_is_shown_at_once() -> None:
    meter = Meter()
    meter.seed([Sample(100.0 + n, n * 250_000_000, 64_000_000, 1) for n in range(30)])
    meter.take(Usage(8_000_000_000, 64_000_000, 128_000_000, 3, 0), 130.0)
    assert "at most 25.0%" in plain(meter.lines(80, Glyphs())[0])


def test_a_day_shows_its_peaks() -> None:
    now = 1_700_000_000.0
    samples = [Sample(now - 86_000 + 60 * n, n * 6_000_000_000, 1_000_000, 1) for n in range(1430)]
    samples[700] = samples[700].replace(memory_bytes=500_000_000)
    lines = [plain(line) for line in day_lines(samples, now, Glyphs())]
    assert "at most 10.0% of one processor" in lines[0]
    assert "at most 500MB" in lines[6]
    assert len([bar for bar in lines[7] if bar != " "]) == 1
    assert "nothing was kept" in plain(day_lines([], now, Glyphs())[0])
