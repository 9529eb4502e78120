"""Which rows of a log are on the screen, compared with a list of all rows."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tui.widgets.log.ring import Kept, LogRing
from tui.widgets.log.rows import STAMP, LogRows
from tui.widgets.log.window import LogWindow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.theme import Tones

HEIGHT, WIDTH = 4, 10
LENGTHS = st.lists(st.integers(0, 35), max_size=30)
SCROLLS = st.lists(st.integers(-40, 40), max_size=12)


def window_on(lengths: list[int], most_lines: int = 1000) -> LogWindow:
    ring = LogRing(1 << 20, most_lines)
    ring.extend([(1, b" " * STAMP + b"x" * length + b"\n") for length in lengths])
    tones: Tones = defaultdict(Style)  # type: ignore[assignment]
    rows = LogRows(ring, tones)
    rows.width, rows.wraps = WIDTH, True
    window = LogWindow(ring, rows)
    window.height = HEIGHT
    return window


def all_rows(window: LogWindow) -> list[int]:
    """Return the line's number of every row there is."""
    ring, rows = window._ring, window._rows
    return [n for n in range(ring.first, ring.end) for _ in rows[n]]


def top_row(window: LogWindow) -> int:
    number, row = window.top
    return all_rows(window).index(number) + row if len(window._ring) else 0


@given(LENGTHS, SCROLLS)
def test_it_scrolls_by_rows_and_stays_within(lengths: list[int], scrolls: list[int]) -> None:
    window = window_on(lengths)
    window.settle()
    whole = all_rows(window)
    last = max(0, len(whole) - HEIGHT)
    at = last
    for by in scrolls:
        window.scroll(by)
        window.settle()
        at = max(0, min(at + by, last))
        assert top_row(window) == at
        assert [number for number, _ in window.shown] == whole[at : at + HEIGHT]
        if not by < 0:
            assert window.following is (at == last)


@given(st.lists(st.integers(0, 35), min_size=1, max_size=30), st.data())
def test_a_line_is_revealed_with_as_little_scrolling_as_it_takes(
    lengths: list[int], data: st.DataObject
) -> None:
    window = window_on(lengths)
    window.scroll(data.draw(st.integers(-40, 0)))
    window.settle()
    before = [number for number, _ in window.shown]
    wanted = data.draw(st.integers(0, len(lengths) - 1))
    window.reveal(wanted)
    window.settle()
    after = [number for number, _ in window.shown]
    assert wanted in after
    if wanted in before:
        assert after == before
    elif before and wanted > before[-1]:
        assert after[-1] == wanted or after == all_rows(window)[:HEIGHT]
    else:
        assert after[0] == wanted


def test_it_stays_on_its_words_until_they_fall_out() -> None:
    window = window_on([1] * 10, most_lines=10)
    window.go_first()
    window.scroll(3)
    window.settle()
    ring = window._ring
    for number, top in ((10, 3), (11, 3), (12, 3), (13, 4), (14, 5)):
        ring.extend([(1, b" " * STAMP + b"new\n")])
        window.settle()
        assert (number, window.top) == (ring.end - 1, (top, 0))
    window.following = True
    window.settle()
    assert window.last == 14


def test_of_kept_lines_it_shows_no_others() -> None:
    window = window_on(list(range(30)))
    window.kept = Kept(window._ring, lambda text: len(text.rstrip()) % 10 == 5, STAMP)
    window.kept.scan()
    window.height = 20
    window.settle()
    assert list(dict.fromkeys(number for number, _ in window.shown)) == [5, 15, 25]
    assert [window.place(number) for number in (4, 5, 16, 26)] == [0, 0, 2, 3]
    assert [window.number(place) for place in (-1, 1, 9)] == [5, 15, 25]
