"""What makes the app pleasant: screens by name, themes, keys of one's own, notices, the tour."""

from __future__ import annotations

import re

import pytest
from textual.events import Key as KeyEvent
from textual.events import Paste

from core.commands.keys import TABLES, Key
from core.commands.result import Column, Plan, Running, Table, Text
from core.config import Config
from core.containers.lifecycle import Containers
from core.engine import Engine
from core.errors import Unreachable
from core.jobs import Job
from core.paths import Paths
from tests.tui.conftest import RecordingDriver, facts
from tests.tui.test_app import answered, screen_text, session, until
from tests.tui.test_detail import CONTAINER
from tui.addresses import TABS
from tui.app import LimpetApp
from tui.bar.script import Script
from tui.own_words import carry_out
from tui.screens.confirm import ConfirmScreen
from tui.screens.dashboard.screen import DashboardScreen
from tui.screens.detail.screen import DetailScreen
from tui.screens.listing import ListingScreen, columns_of, rows_of
from tui.screens.logs import LogsScreen
from tui.screens.pick import PickScreen
from tui.screens.tour import PAGES, TourScreen
from tui.theme import Tones
from tui.tty.ascii_only import INSTEAD
from tui.tty.notify import notification
from tui.views.listings import LISTINGS
from tui.visits import MOST, Visits
from tui.widgets.ask_line import AskInput
from tui.widgets.line_list import LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LimpetApp]

SIZES = [(80, 24), (160, 50)]


@pytest.mark.parametrize("size", SIZES)
async def test_what_commands_list_has_screens(make_app: Make, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.submit("networks")
        await until(pilot, lambda: "bridge" in screen_text(app))
        assert isinstance(app.screen, ListingScreen)
        await pilot.press("slash", *"none", "enter")
        await until(pilot, lambda: [row.name for row in app.screen.table.rows] == ["none"])  # type: ignore[attr-defined]
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == "none")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_jobs_are_listed_and_cancelled(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:

        def work(job: Job) -> None:
            job.progress("layer", 40, 100, "downloading")
            while not job.cancelled:
                job.wait(0.01)
            job.check()

        job = app.engine.jobs.start("pull x", work)
        await pilot.press("J")
        await until(pilot, lambda: "pull x 40%" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: job.finished)
        app.submit("cancel 99")
        await until(pilot, lambda: "there is no job 99" in session(app))


async def test_an_action_runs_for_the_chosen_rows() -> None:
    table = Table((Column("Name", "VOLUME"), Column("Size", "SIZE", "size")),
                  ({"Name": "b c", "Size": 5}, {"Name": "a", "Size": 7000}))  # fmt: skip
    assert [column.right for column in columns_of(table)] == [False, True]
    assert [row.cells for row in rows_of(table)] == [("b c", "5B"), ("a", "7kB")]
    lines: list[str] = []
    screen = ListingScreen(
        "volumes", lambda: table, empty="none",
        keys=(Key("volumes", "d", "volume rm {names}", "rm"),), run=lines.append,
    )  # fmt: skip
    from textual.app import App

    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(screen)
        for _ in range(200):
            if screen.table.total == 2:
                break
            await pilot.pause(0.02)
        await pilot.press("space", "space", "d")
        await pilot.pause()
        assert lines == ["volume rm 'b c' a"]
        assert not screen.is_current


async def test_why_a_table_is_empty_is_read_whole(make_app: Make) -> None:
    hint = "limpet registry ls --probe shows which registries answer"

    def refuse() -> Table:
        raise Unreachable("localhost:5055: connection refused", hint=hint)

    app = make_app()
    async with app.run_test(size=(60, 18)) as pilot:
        app.push_screen(ListingScreen("localhost:5055", refuse, empty="none", run=lambda _: None))
        await until(pilot, lambda: "answer" in " ".join(screen_text(app).split("\n")[2:]))
        body = " ".join(screen_text(app).split("\n")[2:-1])
        assert "localhost:5055: connection refused" in body
        assert hint in " ".join(body.split())


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("go containers web-1", DetailScreen),
        ("go containers web-1 logs", LogsScreen),
        ("go networks", ListingScreen),
        ("tour", TourScreen),
    ],
)
async def test_screens_have_names(make_app: Make, line: str, kind: type[object]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit(line)
        await until(pilot, lambda: isinstance(app.screen, kind))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_what_browsing_would_print_has_screens(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)):
        app.bridge.latest = facts()
        for line, address in (
            ("image browse starter", "images starter layers"),
            ("image browse web-1", "containers web-1 layers"),
            ("image browse gone:1", "images gone:1 layers"),
            ("image browse --remote h:5/p:1", "registries h:5/p:1 layers"),
        ):
            app.submit(line)
            assert (line, app.visits.here) == (line, address)
        for line in ("image browse starter /etc", "image browse --depth 1 starter",
                     "image browse starter | head", "image ls"):  # fmt: skip
            assert not carry_out(app, line)


async def test_a_wrong_name_and_a_theme(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("go nowhere")
        await until(pilot, lambda: "go containers|images" in session(app))
        app.submit("containers web lgos")
        await until(pilot, lambda: "web has no screen 'lgos' but logs," in session(app))
        app.submit("go images")
        assert app.dashboard.place == "images"
        app.submit("theme limpet-light")
        assert app.theme == "limpet-light"
        app.submit("theme mauve")
        await until(pilot, lambda: "there is no theme mauve; there are limpet, " in session(app))
        app.submit("theme")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"contr", "enter")
        await until(pilot, lambda: app.theme == "limpet-contrast")


@pytest.mark.parametrize(
    "theme", ["limpet", "limpet-light", "limpet-contrast", "nord", "ansi-dark"]
)
async def test_every_theme_paints(paths: Paths, theme: str) -> None:
    app = LimpetApp(Engine(paths, Config({("tui", "theme"): theme})))
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        assert "web-1" in screen_text(app)


async def test_in_every_theme_good_and_bad_are_told_apart(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("theme nord")
        app.submit("theme")
        await until(pilot, lambda: bool(app.screen.query(LineList)))
        assert app.screen.query_one(LineList).cursor > 0  # on the one in use
        tones = Tones(app.dashboard.table)
        for theme in sorted(app.available_themes):
            app.theme = theme
            if app.native_ansi_color:
                continue
            good, bad = (tones[tone].color.get_truecolor() for tone in ("good", "bad"))  # type: ignore[union-attr]
            assert good.green > good.red, theme
            assert bad.red > max(bad.green, bad.blue) + 20, theme
            assert abs(good.red - bad.red) + abs(good.blue - bad.blue) > 60, theme


async def test_ascii_only_sends_nothing_else(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPET_ASCII", "0")
    app = LimpetApp(Engine(paths, Config({("tui", "ascii"): True})))
    async with app.run_test(size=(160, 50)) as pilot:
        app.dashboard.take(facts(5))
        await pilot.press("colon", *"ru")
        await until(pilot, lambda: app.dashboard.popup.display)
        assert screen_text(app).isascii()
        await pilot.press("escape", "question_mark")
        await pilot.pause()
        assert screen_text(app).isascii()
    assert all(len(there) == 1 and ord(there) < 128 for there in INSTEAD.values())


def test_notices_suit_the_terminal_and_hide_what_is_hostile() -> None:
    assert notification("a", "b\x1b]0;x\x07", {}) == "\x1b]9;a: b]0;x\x07"
    assert notification("a;b", "c", {"TERM": "foot"}) == "\x1b]777;notify;a,b;c\x07"
    assert notification("a", "b", {"TMUX": "1"}) == "\x1bPtmux;\x1b\x1b]9;a: b\x07\x1b\\"


async def test_the_end_of_a_long_job_is_announced(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    app = LimpetApp(Engine(paths, Config({("tui", "notify_s"): 0.1})))
    async with app.run_test(size=(80, 24)) as pilot:
        driver = app._driver
        assert driver is not None
        monkeypatch.setattr(driver, "write", sent.append)
        job = app.engine.jobs.start("pull x", lambda job: job.wait(0.3))
        answered(app, "pull x", Running(job, lambda _: Text("done well")))
        await until(pilot, lambda: "done well" in session(app))
        assert any("limpet: pull x: done" in data for data in sent)


@pytest.mark.parametrize("size", SIZES)
async def test_the_tour_fits_and_ends(make_app: Make, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("f1")
        for title, lines in PAGES:
            await until(pilot, lambda title=title: title in screen_text(app))  # type: ignore[misc]
            text = screen_text(app)
            assert "more below" not in text
            assert all(part in text for line in lines for part in line.split("\t"))
            await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_volumes_are_removed_only_after_typing_their_name(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        done: list[str] = []

        def apply() -> Text:
            done.append("gone")
            return Text("gone")

        plan = Plan("remove 1 volume", ("volume data (3 files, 5MB)",), apply)
        answered(app, "volume rm data", plan)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "type data, enter" in screen_text(app)
        await pilot.press("y", "enter")
        assert not done
        await pilot.press("backspace", *"data", "enter")
        await until(pilot, lambda: "gone" in session(app))
        plan = Plan("prune", ("volume a", "volume b", "image c"), apply)
        answered(app, "prune", plan)
        await until(pilot, lambda: "type 2 volumes, enter" in screen_text(app))
        await pilot.press(*"nqj", "escape")
        await until(pilot, lambda: "not done" in session(app))
        assert done == ["gone"]


async def test_there_is_a_way_back_and_forward(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("go networks")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await until(pilot, lambda: "bridge" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await until(pilot, lambda: '"Subnet"' in screen_text(app) or "Subnet" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        app.dashboard.go("images")
        await pilot.press("alt+left")
        await until(pilot, lambda: app.dashboard.place == "containers")
        app.submit("forward")
        await until(pilot, lambda: app.dashboard.place == "images")
        app.submit("go doctor && back")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert app.dashboard.place == "images"
        await pilot.press("alt+right")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))


ADDRESSES = (
    "containers", "images", "registries", "containers web", "containers web logs",
    "containers web,db logs", "containers web layers",
    *(f"containers web {tab}" for tab in TABS["containers"]),
    "images app:1", "images app:1 layers", *(f"images app:1 {tab}" for tab in TABS["images"]),
    "registries r.lan:5000", "registries r.lan:5000/a/b", "registries r.lan:5000/a:1",
    "registries r.lan:5000/a:1 layers", "compare a:1 b:2", "jobs", "events", *LISTINGS,
    "image find 'a b'", "network inspect bridge", "info", "container ls -a",
)  # fmt: skip


TYPED = ("containers web logs", "images app:1 layers", "registries r.lan:5000", "compare a:1 b:2")
"""Go there without a word before them."""


async def test_every_screen_is_come_to_by_its_name_and_says_it(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for address in ADDRESSES:
            app.action_command()
            assert carry_out(app, address if address in TYPED else f"go {address}")
            await pilot.pause()
            assert app.visits.here == address
            assert (app.screen is app.dashboard) is (address in TABLES)
        for address in ADDRESSES[-2::-1]:
            app.action_travel(-1)
            await pilot.pause()
            assert app.visits.here == address
        for address in ADDRESSES[1:]:
            app.action_travel(1)
            await pilot.pause()
            assert app.visits.here == address
        app.go_to("job 77")
        await until(pilot, lambda: "there is no job 77" in screen_text(app))


def test_visits_go_to_neighbours_and_forget_what_lay_ahead() -> None:
    visits = Visits()
    for address in ("a", "b", "c", "b"):
        visits.arrive(address)
    assert (visits.neighbour(-1), visits.here, visits.neighbour(1)) == ("a", "b", "c")
    visits.arrive("d")
    assert (visits.neighbour(-1), visits.here, visits.neighbour(1)) == ("b", "d", "")
    for number in range(1000):
        visits.arrive(str(number))
    assert visits.neighbour(-1) == "998"
    assert visits.seen == tuple(map(str, range(1000 - MOST, 1000)))


async def test_what_a_command_answers_has_a_screen(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("version")
        await until(pilot, lambda: "limpet 0" in session(app))
        app.dashboard.output.focus()
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await until(pilot, lambda: "limpet 0" in screen_text(app))
        await pilot.press("escape")
        app.submit("go info")
        await until(pilot, lambda: "KernelVersion" in screen_text(app))
        await pilot.press("escape")
        app.submit("go rm web-1")
        await until(pilot, lambda: "rm changes things" in session(app))
        job = app.engine.jobs.start("made up", lambda job: job.say("half way"))
        job.wait()
        app.submit("jobs")
        await until(pilot, lambda: "made up" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await pilot.press("2")
        await until(pilot, lambda: "half way" in screen_text(app))


async def test_bookmarks_lead_back_and_are_kept(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        app.submit("go volumes")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await pilot.press("alt+m")
        await until(pilot, lambda: "bookmark kept: volumes" in screen_text(app))
        await pilot.press("escape", "escape", "apostrophe")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await pilot.press("escape")
        app.submit("registries")
        assert app.dashboard.place == "registries"
    again = make_app()
    async with again.run_test(size=(80, 24)):
        assert again.bookmarks == ["volumes"]


async def test_the_command_line_opens_on_every_screen(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Containers, "inspect", lambda *_: CONTAINER)
    app = make_app()

    def shows(kind: type[object], words: str) -> bool:
        return isinstance(app.screen, kind) and words in screen_text(app)

    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("containers web env")
        await until(pilot, lambda: shows(DetailScreen, "A  1=1"))
        await pilot.press("colon", *"xy")
        await until(pilot, lambda: app.dashboard.is_current and shows(DashboardScreen, "xy"))
        await pilot.press("ctrl+u", "escape")
        await until(pilot, lambda: shows(DetailScreen, "A  1=1"))
        assert app.visits.here == "containers web env"
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: app.visits.here == "containers web mounts")


@pytest.mark.parametrize("settings", [{"TERM": "screen"}, {"NO_COLOR": "1"}], ids=str)
async def test_a_terminal_of_few_colours_or_none_has_its_own(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    if "TERM" in settings:
        monkeypatch.delenv("COLORTERM")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    app = make_app(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("colon", *"ps nosuch", "escape", "d")
        app.push_screen(ConfirmScreen("remove it", ["container web"], "go on"))
        await until(pilot, lambda: "container web" in screen_text(app))
        await pilot.pause()
        driver = app._driver
        assert isinstance(driver, RecordingDriver)
        codes = re.findall(r"\x1b\[([0-9;]*)m", "".join(driver.sent))
    numbers = {int(number or 0) for code in codes for number in code.split(";")}
    assert not numbers & {38, 48}
    assert 7 in numbers  # the cursor's row is turned round
    colours = {number for number in numbers if 30 <= number % 60 <= 47} - {39}
    assert bool(colours) is ("TERM" in settings)


async def test_lines_are_painted_on_no_ground_in_the_terminals_own_colours(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.choose_theme("limpet-terminal")
        await pilot.press("colon", "p", "s", "ctrl+j", "p")
        script = app.query_one(Script)
        for node in script.ancestors_with_self:
            node.styles.background = "transparent"
        await pilot.pause()
        assert "ps" in "".join(script.render_line(y).text for y in range(2))


async def test_lines_that_are_gone_are_not_painted_until_the_rest_is_laid_out(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon", "p", "s", "ctrl+j", "p")
        script = app.query_one(Script)
        where = script.region.offset
        compositor = app.screen._compositor
        assert compositor.get_widget_at(*where)[0] is script
        with monkeypatch.context() as patch:
            patch.setattr(app.screen, "_refresh_layout", lambda *_, **__: None)
            await script.remove()
            assert compositor.get_widget_at(*where)[0] is script
            compositor.render_full_update().render_segments(app.console)
            assert not compositor.get_style_at(*where)


async def test_lines_that_do_not_fit_can_be_undone(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon", "p", "s", "ctrl+j")
        script = app.query_one(Script)
        app.post_message(Paste("line\n" * 40))
        await until(pilot, lambda: script.document.line_count > 40)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: script.document.line_count < 3)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: script.document.line_count > 40)


async def test_a_line_typed_in_one_go_on_a_screen_is_a_line(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.submit("volumes")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        for name in ("colon", *"version", "enter"):
            app.post_message(KeyEvent(name, {"colon": ":", "enter": "\r"}.get(name, name)))
        await until(pilot, lambda: "limpet 0." in session(app))
        app.submit("volumes")
        await until(pilot, lambda: isinstance(app.screen, ListingScreen))
        await pilot.press("slash", "colon")
        assert isinstance(app.screen, ListingScreen)
        assert app.screen.query_one(AskInput).value == ":"


async def test_lines_that_come_when_the_app_has_been_left_are_nobodys(make_app: Make) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        bar = app.dashboard.bar
    await bar.grow("two\nlines")
    assert bar.script is None
