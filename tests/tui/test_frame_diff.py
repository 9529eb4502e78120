"""What the terminal shows is the same with and without the frame diff, in fewer bytes."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from contextlib import nullcontext

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import set_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import Compositor
from textual.app import App
from textual.events import Resize
from textual.geometry import Size
from textual.strip import Strip

from tests.screen_cells import cells
from tests.tui.conftest import RecordingDriver, facts
from tests.tui.screen_host import until
from tui import app
from tui.app import LimpetApp
from tui.tty.frame_diff import Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.screen_cells import Cells

WIDTH, HEIGHT = 12, 3
STYLES = [Style.parse(words) for words in (
    "", "red on blue", "green on blue", "bold green on blue", "#102030 on #405060",
    "bold", "reverse red on black", "underline", "on blue",
)]  # fmt: skip
LETTERS = st.text(alphabet="ab ─●日本語", max_size=WIDTH)
LINES = st.lists(st.tuples(LETTERS, st.sampled_from(STYLES)), min_size=1, max_size=4)
FRAMES = st.lists(st.lists(LINES, min_size=HEIGHT, max_size=HEIGHT), min_size=1, max_size=5)


def strip(parts: list[tuple[str, Style]], width: int = WIDTH) -> Strip:
    return Strip([Segment(text, style) for text, style in parts]).adjust_cell_length(width)


def full(strips: list[Strip], console: Console) -> str:
    return "".join(f"\x1b[{y + 1};1H{s.render(console)}" for y, s in enumerate(strips))


@given(FRAMES)
def test_a_diffed_frame_looks_like_one_that_was_sent_whole(
    frames: list[list[list[tuple[str, Style]]]],
) -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    whole, diffed = (pyte.Screen(WIDTH, HEIGHT) for _ in range(2))
    frame = Frame()
    frame.resize(WIDTH, HEIGHT)
    for lines in frames:
        strips = [strip(parts) for parts in lines]
        whole.reset()
        pyte.Stream(whole).feed(full(strips, console))
        rows = [(0, y, [s]) for y, s in enumerate(strips)]
        pyte.Stream(diffed).feed(frame.update(rows, ColorSystem.TRUECOLOR))
        assert cells(diffed) == cells(whole)


BROAD = 50
STRETCHES = st.one_of(LETTERS, st.integers(1, BROAD).map(lambda count: " " * count))
BROAD_LINES = st.lists(st.tuples(STRETCHES, st.sampled_from(STYLES)), min_size=1, max_size=8)


@given(st.lists(st.lists(BROAD_LINES, min_size=HEIGHT, max_size=HEIGHT), min_size=1, max_size=5))
def test_blanks_that_are_erased_look_like_those_that_were_sent(
    frames: list[list[list[tuple[str, Style]]]],
) -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    whole, diffed = (pyte.Screen(BROAD, HEIGHT) for _ in range(2))
    frame = Frame(erases=True)
    frame.resize(BROAD, HEIGHT)
    for lines in frames:
        strips = [strip(parts, BROAD) for parts in lines]
        whole.reset()
        pyte.Stream(whole).feed(full(strips, console))
        rows = [(0, y, [s]) for y, s in enumerate(strips)]
        pyte.Stream(diffed).feed(frame.update(rows, ColorSystem.TRUECOLOR))
        assert cells(diffed) == cells(whole)


def test_blanks_cost_little_where_the_terminal_erases_them() -> None:
    row = Strip([Segment(f"name{' ' * 40}words{' ' * 40}", STYLES[4])])
    sent = {}
    for erases in (True, False):
        frame = Frame(erases=erases)
        frame.resize(89, 1)
        sent[erases] = frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)
    assert "name\x1b[40X\x1b[40Cwords\x1b[40X" in sent[True]
    assert f"name{' ' * 40}words{' ' * 40}" in sent[False]


def test_underlined_blanks_are_sent() -> None:
    frame = Frame(erases=True)
    frame.resize(20, 1)
    row = Strip([Segment(" " * 20, Style(underline=True))])
    assert " " * 20 in frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)


@pytest.mark.parametrize(
    ("term", "erases"),
    [("xterm-256color", True), ("linux", True), ("screen-256color", False), ("vt100", False),
     ("no-such-terminal", False), ("", False)],
)  # fmt: skip
def test_terminfo_says_whether_a_terminal_erases_to_a_background(term: str, erases: bool) -> None:
    # A process can ask for one terminal only.
    script = f"from tui.tty.pen import can_erase; print(can_erase({term!r}))"
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert asked.stdout.strip() == str(erases), asked.stderr


def test_lines_of_columns_change_colours_once_for_each_column() -> None:
    frame = Frame()
    frame.resize(WIDTH, HEIGHT)
    rows = [(0, y, [strip([(f"a {y}", STYLES[4]), ("b", STYLES[6])])]) for y in range(HEIGHT)]
    sent = frame.update(rows, ColorSystem.TRUECOLOR)
    assert len(re.findall(r"\x1b\[[0-9;]*m", sent)) == 3  # those of `a`, `b` and blanks


TALL = 14
POOL = st.lists(LINES, min_size=4, max_size=30)
WINDOWS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 5), st.integers(0, 8)), max_size=6)
"""First line of the pool that is shown; lines above and below that stay as they were."""


@given(POOL, WINDOWS)
def test_what_is_scrolled_looks_like_what_was_sent_whole(
    pool: list[list[tuple[str, Style]]], windows: list[tuple[int, int, int]]
) -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    whole, diffed = (pyte.Screen(WIDTH, TALL) for _ in range(2))
    frame = Frame()
    frame.resize(WIDTH, TALL)
    numbered = [strip([(f"{n:2}", STYLES[n % 3]), *parts]) for n, parts in enumerate(pool)]
    numbered = [Strip.join([s.crop(0, 6), s.crop(6, WIDTH)]) for s in numbered]
    shown = [strip([("", Style.null())])] * TALL
    for first, above, below in [(0, 0, 0), *windows]:
        for y in range(above, TALL - below):
            shown[y] = numbered[(first + y) % len(numbered)]
        rows = [(0, y, [s]) for y, s in enumerate(shown)]
        sides = [(x, y, [s.crop(x, x + 6)]) for _, y, [s] in rows for x in (0, 6)]
        pieces = (sides if first % 2 else rows) if not first else sides[2 * above :]
        pyte.Stream(diffed).feed(frame.update(pieces, ColorSystem.TRUECOLOR))
        whole.reset()
        pyte.Stream(whole).feed(full(shown, console))
        assert cells(diffed) == cells(whole)


@pytest.mark.parametrize("by", [1, 9, -1, -9])
def test_lines_that_moved_are_not_sent_again(by: int) -> None:
    frame = Frame()
    frame.resize(80, 40)
    lines = [strip([(f"line {n}", STYLES[1])]).adjust_cell_length(80) for n in range(60)]
    for first in (10, 10 + by):
        rows = [(0, y, [lines[first + y]]) for y in range(40)]
        sent = frame.update(rows, ColorSystem.TRUECOLOR)
    assert len(sent) < 40 + 110 * abs(by)


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_box_stays_while_the_lines_around_it_move(is_sent: bool) -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    lines = [strip([(f"line {n}", STYLES[1])]) for n in range(TALL + 3)]
    box = {y: strip([(f"box {y}", STYLES[2])]) for y in range(5, 9)}
    whole, diffed = (pyte.Screen(WIDTH, TALL) for _ in range(2))
    frame = Frame()
    frame.resize(WIDTH, TALL)
    for first in range(3):
        shown = [box.get(y, lines[first + y]) for y in range(TALL)]
        rows = [(0, y, [s]) for y, s in enumerate(shown) if is_sent or not first or y not in box]
        pyte.Stream(diffed).feed(frame.update(rows, ColorSystem.TRUECOLOR))
        pyte.Stream(whole).feed(full(shown, console))
        assert cells(diffed) == cells(whole)


@given(LINES, st.integers(0, WIDTH - 1))
def test_an_update_that_changes_nothing_sends_nothing(
    parts: list[tuple[str, Style]], x: int
) -> None:
    frame = Frame()
    frame.resize(WIDTH, 1)
    row = strip(parts).crop(x)
    assert frame.update([(x, 0, [row])], ColorSystem.TRUECOLOR)
    assert frame.update([(x, 0, [row])], ColorSystem.TRUECOLOR) == ""


@given(st.text(alphabet="a日é\u0301\t\x1b\x07\x85\x9b[J", max_size=WIDTH))
def test_nothing_that_steers_the_terminal_is_sent(text: str) -> None:
    frame = Frame()
    frame.resize(WIDTH, 1)
    sent = frame.update([(0, 0, [Strip([Segment(text)])])], ColorSystem.TRUECOLOR)
    shown = re.sub(r"\x1b\[[0-9;]*[Hm]", "", sent)
    assert not any(unicodedata.category(letter) == "Cc" for letter in shown)


def test_joined_characters_are_placed_one_by_one() -> None:
    frame = Frame()
    frame.resize(WIDTH, 1)
    family = "👨‍👩‍👧"
    row = Strip([Segment(set_cell_size(f"{family}x", WIDTH))])
    sent = frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)
    assert f"{family}\x1b[1;3Hx" in sent
    assert not frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)
    row = Strip([Segment(set_cell_size(f"{family}y", WIDTH))])
    assert f"{family}\x1b[1;3Hy" in frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)


def test_a_forgotten_frame_is_sent_whole() -> None:
    frame = Frame()
    frame.resize(WIDTH, 1)
    row = Strip([Segment("abc" * 4)])
    first = frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)
    frame.forget()
    frame.resize(WIDTH, 1)
    assert frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR) == first


PIECES = st.lists(
    st.tuples(st.integers(0, WIDTH - 1), LETTERS.filter(bool), st.sampled_from(STYLES)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(PIECES)
def test_pieces_of_a_line_look_as_if_each_was_sent_whole(
    pieces: list[tuple[int, str, Style]],
) -> None:
    console = Console(color_system="truecolor", force_terminal=True)
    whole, diffed = (pyte.Screen(WIDTH, 1) for _ in range(2))
    frame = Frame()
    frame.resize(WIDTH, 1)
    for screen in (whole, diffed):
        pyte.Stream(screen).feed("日本語" * 2)
    frame.update([(0, 0, [Strip([Segment("日本語" * 2)])])], ColorSystem.TRUECOLOR)
    for x, text, style in pieces:
        piece = Strip([Segment(text, style)])
        piece = piece.crop(0, min(piece.cell_length, WIDTH - x))
        pyte.Stream(whole).feed(f"\x1b[1;{x + 1}H{piece.render(console)}")
        pyte.Stream(diffed).feed(frame.update([(x, 0, [piece])], ColorSystem.TRUECOLOR))
    assert cells(diffed) == cells(whole)


def test_a_wide_character_is_whole_again_after_half_of_it_was_covered() -> None:
    screen, frame = pyte.Screen(WIDTH, 1), Frame()
    frame.resize(WIDTH, 1)
    for x, text in ((0, "日本"), (1, "a"), (0, "日本")):
        sent = frame.update([(x, 0, [Strip([Segment(text)])])], ColorSystem.TRUECOLOR)
        pyte.Stream(screen).feed(sent)
    assert sent == "\x1b[1;1H日"
    assert screen.display[0].startswith("日本")


@pytest.mark.parametrize("size", [(8, 1), (12, 2)])
def test_another_size_is_sent_whole(size: tuple[int, int]) -> None:
    frame = Frame()
    row = Strip([Segment("abcdefgh")])
    frame.resize(WIDTH, 1)
    frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)
    frame.resize(*size)
    assert "abcdefgh" in frame.update([(0, 0, [row])], ColorSystem.TRUECOLOR)


async def test_what_had_the_terminal_meanwhile_is_painted_over(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(App, "suspend", lambda _: nullcontext())
    app = make_app(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        app.dashboard.take(facts())
        await pilot.pause()
        driver = app._driver
        assert isinstance(driver, RecordingDriver)
        driver.sent.clear()
        app.refresh()
        await pilot.pause()
        assert "web-1" not in "".join(driver.sent)
        with app.suspend():
            pass
        app.refresh()
        await pilot.pause()
        assert "web-1" in "".join(driver.sent)


SESSION = ["j", "j", "space", "2", "j", "1", "G", "g", "slash", "w", "e", "b", "enter", "colon",
           "s", "t", "escape", "escape", "backslash", "backslash", "3", "tab", "exclamation_mark",
           "ctrl+l", "escape"]  # fmt: skip


async def _play(app: LimpetApp, width: int, height: int) -> tuple[Cells, int]:
    async with app.run_test(headless=False, size=(width, height)) as pilot:
        app.dashboard.take(facts(30))
        await pilot.pause()
        for key in SESSION:
            await pilot.press(key)
        app.dashboard.take(facts(12))
        await pilot.resize_terminal(width - 7, height - 2)
        await pilot.pause()
        await pilot.press("j")
        await pilot.pause()
        sent = _sent(app)
    screen = _shown(sent, width, height)
    screen.resize(height - 2, width - 7)
    return cells(screen), len(sent)


def _shown(sent: str, width: int, height: int) -> pyte.Screen:
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(re.sub(r"\x1b\[[<=>?][0-9;]*\$?[a-zA-Z]", "", sent))
    return screen


def _sent(app: LimpetApp) -> str:
    assert isinstance(app._driver, RecordingDriver)
    return "".join(app._driver.sent)


async def test_the_cursor_is_where_the_line_has_it(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        await pilot.press("colon", "p")
        await pilot.resize_terminal(60, 18)
        await pilot.pause()
        cursor = _shown(_sent(app), 60, 18).cursor
        assert (cursor.x, cursor.y) == app.dashboard.bar.line.cursor_screen_offset


async def test_a_terminal_that_had_another_size_for_a_moment_is_painted_anew(
    make_app: Callable[..., LimpetApp],
) -> None:
    app = make_app(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(80, 24)) as pilot:
        await pilot.pause()
        driver = app._driver
        assert isinstance(driver, RecordingDriver)
        for others in ((), ((40, 10),), ((40, 10), (90, 30))):
            driver.sent.clear()
            for size in (*others, (80, 24)):
                app.post_message(Resize(Size(*size), Size(*size)))
            await until(pilot, lambda: _top(app) == (" limpet", "─ 1 Containers"))


def _top(app: LimpetApp) -> tuple[str, str]:
    first, second, *_ = _shown(_sent(app), 80, 24).display
    return first[:7], second[:14]


async def test_a_line_that_was_pasted_steers_nothing(make_app: Callable[..., LimpetApp]) -> None:
    app = make_app(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(160, 50)) as pilot:
        await pilot.pause()
        app.dashboard.output.begin("ps\t-a \x1b[2J")
        await pilot.pause()
        shown = _shown(_sent(app), 160, 50).display
        assert any("ps      -a \\x1b[2J" in line for line in shown)


async def test_the_app_looks_the_same_with_fewer_bytes(
    make_app: Callable[..., LimpetApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second must not open as the first was left.
    monkeypatch.setattr(app, "recall", lambda _: None)
    for width, height in ((80, 24), (160, 50)):
        plain, diffed = (make_app(driver_class=RecordingDriver) for _ in range(2))
        plain.frame_diff = False
        plain.dashboard._compositor = Compositor()
        seen_plain, plain_bytes = await _play(plain, width, height)
        seen_diffed, diffed_bytes = await _play(diffed, width, height)
        assert seen_diffed == seen_plain
        assert diffed_bytes < plain_bytes / 2
