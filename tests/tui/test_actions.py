"""Everything that can be done with a row is in its menu and within reach of the mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Offset

from core.commands import load_all
from core.commands.help import verb_help
from core.commands.keys import (
    ACTION,
    ALIVE,
    APP_WORDS,
    CONTAINERS,
    DEFAULT,
    IMAGES,
    SHOWS,
    SOURCES,
    has_state,
    sign,
    verb_of,
)
from tests.tui.conftest import facts
from tests.tui.test_app import screen_text, session, until
from tui.app import LimpetApp
from tui.bar.completion_popup import CompletionPopup
from tui.keymap import Keymap
from tui.screens.dashboard.screen import DashboardScreen
from tui.screens.pick import PickScreen
from tui.user_state import state_directory
from tui.views.menu import all_entries, command_of, entries
from tui.widgets.status import hint_parts, sign_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commands.grammar import Verb

    Make = Callable[..., LimpetApp]


def test_every_verb_that_takes_a_thing_is_in_the_things_menu() -> None:
    verbs = set(load_all().values())
    for kind in (CONTAINERS, IMAGES):
        shown = {
            entry.word
            for state in ("running", "paused", "exited")
            for entry in entries(kind, state, DEFAULT, verbs, read_only=False)
        }
        for verb in verbs:
            sources = {arg.complete for arg in verb.args.declared if not arg.flags}
            if sources & set(SOURCES[kind]):
                assert verb.word in shown or verb.word == "logs", verb.word


@pytest.mark.parametrize("state", ["running", "paused", "restarting", "created", "exited"])
def test_a_key_is_offered_in_the_states_that_its_command_is_for(state: str) -> None:
    verbs, keymap = load_all(), Keymap()
    for name in {key.key for key in DEFAULT if key.place == CONTAINERS}:
        key = keymap.find(CONTAINERS, name, state)
        verb = verb_of(key.command, verbs) if key else None
        if key and verb:
            sources = [arg.complete for arg in verb.args.declared if not arg.flags]
            wanted = [has_state(one, state) for one in sources if one in SOURCES[CONTAINERS]]
            assert key.is_offered(state) is all(wanted), (key, state)
    assert (("e", "exec") in keymap.hints(CONTAINERS, state)) is (state in ALIVE)


async def test_the_screen_of_a_container_offers_what_can_be_done_with_it(make_app: Make) -> None:
    app = make_app()
    app.bridge.latest = facts()
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "web-1" in screen_text(app))
        app.open_container("web-1")
        await until(pilot, lambda: screen_text(app).startswith(" web-1 "))
        offered = screen_text(app).splitlines()[-1]
        assert all(f" {words} " in offered for words in ("exec", "attach", "stop"))
        await pilot.press("escape")
        app.open_container("db")
        await until(pilot, lambda: screen_text(app).startswith(" db "))
        offered = screen_text(app).splitlines()[-1]
        assert not any(f" {words} " in offered for words in ("exec", "attach", "stop"))
        assert " start " in offered


def test_a_key_and_the_help_of_its_command_name_each_other() -> None:
    verbs = load_all()
    for key in DEFAULT:
        command = SHOWS.get(key.command, key.command).removeprefix("pane ")
        verb = verb_of(command, verbs)
        if verb is not None:
            assert f"{sign(key.key)}" in key_line(verb), (key, verb.word)
        else:
            assert command.startswith((ACTION, "!")) or command.split()[0] in APP_WORDS, key
    for verb in set(verbs.values()):
        assert key_line(verb), f"{verb.word}: no key, and in no menu"


def key_line(verb: Verb) -> str:
    lines = [line for line in verb_help(verb).splitlines() if line.startswith("key: ")]
    return lines[0] if lines else ""


def test_a_menu_offers_what_the_state_and_read_only_allow() -> None:
    verbs = set(load_all().values())
    words = {e.word for e in entries(CONTAINERS, "exited", DEFAULT, verbs, read_only=False)}
    assert "start" in words
    assert not {"stop", "exec", "pause", "unpause"} & words
    assert {"restart", "cp"} <= words
    for state, other in (("running", "unpause"), ("paused", "pause"), ("restarting", "pause")):
        shown = {e.word for e in entries(CONTAINERS, state, DEFAULT, verbs, read_only=False)}
        assert {"stop", "kill"} <= shown
        assert other not in shown
    reading = {e.word for e in entries(CONTAINERS, "running", DEFAULT, verbs, read_only=True)}
    assert "inspect" in reading
    assert not {"rm", "stop", "kill", "rename", "terminal in a pane"} & reading


def test_commands_have_places_for_names() -> None:
    verbs = load_all()
    assert command_of(verbs["rename"], CONTAINERS, "exited") == "rename {name} …"
    assert command_of(verbs["rm"], CONTAINERS, "exited") == "rm {names}"
    assert command_of(verbs["pull"], CONTAINERS, "running") == ""
    assert "key:   s on containers" in verb_help(verbs["stop"])


def test_all_commands_are_in_one_menu() -> None:
    verbs = load_all()
    found = {entry.word: entry for entry in all_entries(DEFAULT, verbs, read_only=False)}
    assert found.keys() == {verb.word for verb in verbs.values()}
    assert found["network create"].command == "network create …"
    assert found["network create"].key == "n on networks"
    assert found["system prune"].command == "system prune …"
    assert found["info"].command == "info"
    reading = {entry.word for entry in all_entries(DEFAULT, verbs, read_only=True)}
    assert reading == {verb.word for verb in verbs.values() if not verb.changes}


async def test_the_menu_of_all_commands_opens_anywhere(make_app: Make, lines: list[str]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_listing("volumes")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"system info", "enter")
        await until(pilot, lambda: lines == ["info"])
        await pilot.press("M", *"volume create", "enter")
        await until(pilot, lambda: app.dashboard.bar.line.value == "volume create ")
        await pilot.press("escape", "m")
        await until(pilot, lambda: "all commands" in screen_text(app))


async def test_the_screen_of_a_container_has_the_keys_of_its_row(
    make_app: Make, lines: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        app.bridge.latest = facts()
        app.open_container("web-1")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await pilot.press("x")
        await until(pilot, lambda: lines == ["kill web-1"])
        assert app.screen is app.dashboard
        app.open_container("web-1")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await pilot.press("s")
        await until(pilot, lambda: lines == ["kill web-1", "stop web-1"])


async def test_a_menu_is_typed_into_and_runs_or_edits(make_app: Make, lines: list[str]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("space", "space", "m")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await until(pilot, lambda: "pane exec -it api sh" in screen_text(app))
        assert "2 marked" in screen_text(app)
        await pilot.press(*"restart", "enter")
        await until(pilot, lambda: lines == ["restart web-1 web-2"])
        await pilot.press("escape", "m", *"rena", "tab")
        await until(pilot, lambda: app.dashboard.bar.line.value.startswith("rename api "))


async def test_groups_fold_mark_and_come_back(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"label tier", "enter")
        table = app.dashboard.table
        await until(pilot, lambda: table.group == "label tier")
        assert [row.cells[0] for row in table.rows if row.heads >= 0] == ["back", "front"]
        await pilot.press("G", "k", "k", "enter")
        assert len(table.rows) == 8
        await pilot.press("space")
        assert sorted(table.chosen) == ["web-1", "web-2"]
        app.dashboard.take(facts())
        assert len(table.rows) == 8
        await pilot.press("escape", "comma")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("down", "space", "escape")
        assert table.hidden == {"state"}
        await until(pilot, lambda: "STATE" not in screen_text(app))
        app.choose_theme("limpet-light")
        app.dashboard.go(IMAGES)
    again = make_app()
    async with again.run_test(size=(80, 24)):
        assert again.dashboard.tables[CONTAINERS].group == "label tier"
        assert again.dashboard.tables[CONTAINERS].hidden == {"state"}
        assert (again.theme, again.dashboard.place) == ("limpet-light", IMAGES)


@pytest.mark.parametrize("broken", ["{", "[]", '{"place": "images", "tables": {}}'])
async def test_a_broken_memory_is_passed_over(make_app: Make, broken: str) -> None:
    write_memory(broken)
    async with make_app().run_test(size=(80, 24)) as pilot:
        await pilot.pause()


def write_memory(text: str) -> None:
    path = Path(state_directory(), "app.json")
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_keys_are_found_under_the_mouse() -> None:
    parts = hint_parts([("enter", "details"), ("[ ]", "tabs"), ("?", "help")], 80)
    text = "".join(text for text, _ in parts)
    assert sign_at(parts, text.index("details")) == "enter"
    assert sign_at(parts, text.index("[")) == "["
    assert sign_at(parts, text.index("]")) == "]"
    assert sign_at(parts, text.index("tabs")) == "]"
    assert sign_at(parts, text.index("help")) == "?"
    assert sign_at([(" limpet ", "bold"), ("  2 Images 1", "dim")], 14) == "2"
    assert sign_at(parts, 79) == ""


async def test_the_mouse_reaches_tables_hints_menus_and_answers(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        header = screen_text(app).splitlines()[0]
        await pilot.click("#header", offset=(header.index("Images"), 0))
        await until(pilot, lambda: app.dashboard.place == IMAGES)
        await pilot.click("#header", offset=(header.index("Containers"), 0))
        await until(pilot, lambda: app.dashboard.place == CONTAINERS)
        await pilot.click("#containers", offset=(6, 3), button=3)
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await until(pilot, lambda: "web-2" in screen_text(app))
        await pilot.press("escape")
        app.submit("help rm")
        await until(pilot, lambda: "Remove containers" in session(app))
        await pilot.click("#output", offset=(4, 1))
        await until(pilot, lambda: "folded" in session(app))
        hints = app.dashboard.query_one("#hints")
        text = hints.render_line(0).text
        app.dashboard.table.focus()
        await pilot.pause()
        text = hints.render_line(0).text
        await pilot.click("#hints", offset=(text.index("help"), 0))
        await until(pilot, lambda: app.screen is not app.dashboard)


async def test_a_click_on_what_has_just_gone_does_no_harm(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        gone = CompletionPopup(id="gone")
        monkeypatch.setattr(
            DashboardScreen, "get_widget_and_offset_at", lambda *_: (gone, Offset(0, 0))
        )
        await pilot.click(offset=(10, 5))
        assert app.is_running
