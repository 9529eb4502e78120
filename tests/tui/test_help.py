"""The help: made from the keymap and the grammar in force."""

from __future__ import annotations

import re

import pytest

from core.commands import load_all
from core.commands.read_only import FILES, PROGRAMS
from tests.tui.screen_host import ScreenHost
from tests.tui.test_app import screen_text, session, until
from tui.keymap import Keymap
from tui.screens.help import HelpScreen, key_sections, verb_section
from tui.screens.logs import LogsScreen
from tui.widgets.line_list import LineList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.app import LimpetApp

    Make = Callable[..., LimpetApp]

CHANGED = {"containers.x": "", "Z": "system df"}


def host() -> ScreenHost:
    verbs = verb_section(load_all(), Keymap().keys)
    return ScreenHost(HelpScreen(key_sections(Keymap(CHANGED)), [verbs]))


async def everything(app: ScreenHost, size: tuple[int, int]) -> list[str]:
    found: list[str] = []
    async with app.run_test(size=size) as pilot:
        pane = app.shown.query_one(LineList)
        for _ in range(40):
            found += [pane.render_line(y).text.rstrip() for y in range(pane.size.height)]
            if not pane.below:
                break
            await pilot.press("pagedown")
        await pilot.press("question_mark")
        assert not app.shown.is_current
    return found


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_it_names_keys_in_force_and_every_command(size: tuple[int, int]) -> None:
    lines = await everything(host(), size)
    text = "\n".join(lines)
    assert all(verb.word in text for verb in load_all().values())
    assert "system df" in text
    assert "kill {names}" not in text
    assert "enter" in text


async def test_wide_screens_have_two_columns() -> None:
    first = (await everything(host(), (160, 50)))[0]
    assert "keys on a container" in first
    assert "commands" in first


async def test_a_read_only_app_offers_no_key_that_it_refuses(make_app: Make) -> None:
    app = make_app(read_only=True)
    async with app.run_test(size=(100, 40)) as pilot:
        keys = " ".join(row[1] for one in key_sections(app.dashboard.keymap) for row in one.rows)
        assert "logs" in keys
        assert not {"kill", "undo", "starter"} & set(keys.split())
        app.open_listing("volumes")
        await until(pilot, lambda: "inspect" in screen_text(app))
        assert "prune" not in screen_text(app)
        await pilot.press("P")
        assert "prune changes things" in screen_text(app)
        await pilot.press("question_mark")
        await until(pilot, lambda: "keys here" in screen_text(app))
        assert "prune" not in screen_text(app)


async def test_a_read_only_app_writes_no_file_and_starts_no_program(make_app: Make) -> None:
    app = make_app(read_only=True)
    async with app.run_test(size=(100, 40)) as pilot:
        app.dashboard.bar.open("ps")
        await pilot.press("f4")
        await until(pilot, lambda: PROGRAMS in screen_text(app))
        await pilot.press("escape", "escape")
        app.push_screen(LogsScreen("web", lambda _: iter(())))
        await pilot.press("S")
        await until(pilot, lambda: FILES in screen_text(app))
        await pilot.press("q")
        app.submit("save -o /tmp/x app")
        await until(pilot, lambda: "writes no files" in session(app))


async def test_every_screen_tells_its_own_keys(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(100, 40)) as pilot:
        app.open_listing("volumes")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = screen_text(app)
        assert "keys here" in text
        assert "Read again" in text
        assert re.search(r"^ +/ +Filter", text, re.MULTILINE)
        assert re.search(r"^ +alt\+left +The screen before", text, re.MULTILINE)
        assert "Scroll Left" not in text
        await pilot.press("question_mark")
        assert not isinstance(app.screen, HelpScreen)


async def test_the_keys_of_the_table_at_hand_come_first_and_a_command_can_follow(
    make_app: Make,
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.go("images")
        await pilot.press("question_mark")
        await until(pilot, lambda: "keys on an image" in screen_text(app))
        await pilot.press("colon", "v")
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: app.dashboard.bar.line.value == "v")
        await pilot.press("escape")
        assert app.dashboard.place == "images"
