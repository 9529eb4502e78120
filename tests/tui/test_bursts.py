"""Keys that come in bursts, before the first has been acted upon, and what a pause is for."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest
from textual.events import Key

from core.garbage import WORTH
from tests.tui.conftest import facts
from tests.tui.test_app import until
from tui import app as module
from tui.bar.past_lines import open_history
from tui.screens.pick import PickScreen
from tui.widgets.ask_line import AskInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

    from tui.app import LimpetApp


SIGNS = {"minus": "-", "colon": ":", "slash": "/", "question_mark": "?"}


def burst(app: LimpetApp, keys: str) -> None:
    """Press keys at once, as they come when a link has stood still."""
    for key in keys.split():
        app.post_message(Key(key, key if len(key) == 1 else SIGNS.get(key)))


BURSTS = {
    "colon a b ctrl+c c d": "cd",  # what was there is emptied before the next is typed
    "colon b c home a": "abc",
    "colon a b left x": "axb",
    "colon v e r s tab minus": "version -",
    "colon a b backspace c": "ac",
}


@pytest.mark.parametrize(("keys", "line"), BURSTS.items())
async def test_keys_that_come_at_once_take_effect_in_their_order(
    make_app: Callable[..., LimpetApp], keys: str, line: str
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.dashboard.bar._completer)
        for key in keys.split():
            if key == "tab":
                await until(pilot, lambda: app.dashboard.popup.items)
            burst(app, key)
        await until(pilot, lambda: app.dashboard.bar.line.value == line)


@pytest.mark.parametrize(
    ("typed", "line"),
    {
        "ver": "version ",
        "version": "version ",
        "vx": "vx",
        "v": "version ",
        "run v": "run v",
    }.items(),
)
async def test_a_completion_found_for_an_earlier_line_takes_the_place_of_the_word_as_it_is_now(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch, typed: str, line: str
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        bar = app.dashboard.bar
        await until(pilot, lambda: bar._completer)
        await pilot.press("colon", "v", "e")
        await until(pilot, lambda: bar._offered == "ve")
        monkeypatch.setattr(bar, "_complete", lambda *_: None)  # later than the next key
        bar.line.value = typed
        bar.line.cursor_position = len(typed)
        bar.accept()
        assert bar.line.value == line


async def test_lines_typed_while_the_verbs_are_being_loaded_are_completed(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        bar = app.dashboard.bar
        await until(pilot, lambda: bar._completer)
        completer, bar._completer = bar._completer, None
        await bar.grow("ps\nversi")
        await pilot.pause()
        assert not bar.offers
        bar._completer = completer
        bar._loaded(open_history())
        await until(pilot, lambda: bar.offers)


async def test_a_key_behind_escape_is_for_the_table(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        place = app.dashboard.table.place
        burst(app, "colon a escape j")
        await until(pilot, lambda: app.dashboard.table.place == place + 1)
        assert app.dashboard.bar.line.value == ""


@pytest.fixture
def _no_search_by_itself() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_search_by_itself")
async def test_a_screen_that_was_left_is_gone_when_keys_pause(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGES_EVERY_S", 3600)  # at which it would be searched for too
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not app.dashboard)
        held = app.screen
        left = weakref.ref(held)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await _search(pilot)  # which finds that it is still in use
        del held
        await _search(pilot)
        await until(pilot, lambda: left() is None)


async def _search(pilot: Pilot[int]) -> None:
    """Make much garbage, press a key and pause."""
    rings: list[list[object]] = [[] for _ in range(2 * WORTH)]
    for ring in rings:
        ring.append(ring)
    del rings, ring
    await pilot.press("j")
    await until(pilot, lambda: gc.get_count()[0] < WORTH)


async def test_what_is_typed_before_there_is_a_screen_is_for_what_it_opens(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    app.call_next(lambda: [app.post_message(Key(key, key[:1])) for key in ("colon", *"ver")])
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.dashboard.bar.line.value == "ver")


async def test_what_is_typed_behind_a_key_that_opens_a_list_is_for_the_list(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        burst(app, "m s t o p")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await until(pilot, lambda: getattr(app.screen, "_typed", "") == "stop")
        burst(app, "escape escape colon x y")
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: app.dashboard.bar.line.value == "xy")


async def test_what_is_typed_behind_a_key_that_opens_a_screen_is_for_the_screen(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        burst(app, "question_mark slash s h")
        await until(pilot, lambda: isinstance(app.focused, AskInput))
        await until(pilot, lambda: getattr(app.focused, "value", "") == "sh")


async def test_a_key_gets_past_what_is_stuck(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        stuck = asyncio.Event()
        app.dashboard.table.call_later(stuck.wait)
        try:
            burst(app, "j colon x y")
            deadline = time.monotonic() + 20
            while app.dashboard.bar.line.value != "xy":  # a pilot would wait for what is stuck
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        finally:
            stuck.set()
