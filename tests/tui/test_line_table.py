"""The live table: a change touches the lines it changed, and the selection stays put."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from tui.widgets.table.columns import Column, fit
from tui.widgets.table.line_table import HEAD, LineTable
from tui.widgets.table.rows import Row, arrange, changed_lines, matches, window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.geometry import Region

COLUMNS = (Column("name", "NAME", 6, 20), Column("size", "SIZE", 4, 8, 1, right=True))


def row(key: str, size: int = 0, *labels: str) -> Row:
    return Row(key, (key, str(size)), ("", ""), (key, float(size)), key, "", labels)


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 3)), unique_by=lambda pair: pair[0]
).map(lambda pairs: [row(key, size) for key, size in pairs])
WINDOWS = st.tuples(
    ROWS,
    st.integers(0, 5),
    st.integers(0, 6),
    st.sampled_from("abcdef"),
    st.sets(st.sampled_from("abc")),
)


@given(WINDOWS, WINDOWS)
def test_painting_the_changed_lines_gives_the_whole_picture(
    first: tuple[list[Row], int, int, str, set[str]],
    second: tuple[list[Row], int, int, str, set[str]],
) -> None:
    before = window(*first)
    after = window(second[0], second[1], first[2], *second[3:])
    painted = list(before)
    for number in changed_lines(before, after):
        assert painted[number] != after[number]
        painted[number] = after[number]
    assert painted == after


@given(ROWS, st.integers(0, 1), st.booleans())
def test_marked_lists_keep_their_order(rows: list[Row], sort: int, reverse: bool) -> None:
    held = {r.key: place for place, r in enumerate(rows)}
    assert arrange(rows[::-1], "", sort, reverse=reverse, held=held) == rows


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", True), ("WEB", True), ("web-2", False), ("!web", False), ("!api", True), ("!", True),
        ("-f wb1", True), ("-f 1bw", False), ("-l tier", True), ("-l tier=front", True),
        ("-l tier=back", False), ("-l", True),
    ],
)  # fmt: skip
def test_the_filter_reads_words_inverses_letters_and_labels(wanted: str, expected: bool) -> None:
    assert matches(row("web-1", 0, "tier=front"), wanted) is expected


@given(st.lists(st.integers(0, 60), min_size=3, max_size=3), st.integers(1, 120))
def test_columns_fit_the_width_or_only_the_first_is_left(content: list[int], width: int) -> None:
    columns = [Column("a", "A", 6, 20), Column("b", "B", 4, 9, 2), Column("c", "C", 5, 30, 1)]
    widths = fit(columns, content, width, 2)
    kept = [size for size in widths if size]
    assert widths[0]
    assert len(kept) == 1 or sum(kept) + 2 * (len(kept) - 1) <= width
    assert not (widths[1] and not widths[2])  # the higher rank goes first


class TableApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LineTable("rows", COLUMNS, id="rows")


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """Regions that were asked to be painted anew; empty it before the act."""
    regions: list[Region] = []
    original = LineTable.refresh

    def refresh(self: LineTable, *wanted: Region, **options: bool) -> LineTable:
        regions.extend(wanted or [self.size.region])
        return original(self, *wanted, **options)

    monkeypatch.setattr(LineTable, "refresh", refresh)
    return regions


async def test_a_change_paints_its_line_only(painted: list[Region]) -> None:
    app = TableApp()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        rows = [row(f"r{number:04}") for number in range(5000)]
        table.set_rows(rows)
        await pilot.pause()
        painted.clear()
        rows[3] = row("r0003", 7)
        rows[4000] = row("r4000", 7)
        table.set_rows(rows)
        assert [(region.y, region.height) for region in painted] == [(3 + HEAD, 1)]
        painted.clear()
        table.set_rows(list(rows))
        assert painted == []


async def test_the_title_is_painted_when_the_cursor_is_on_another_row_of_many(
    painted: list[Region],
) -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row("r1"), row("r2"), row("other")])
        table.set_filter("r")
        await pilot.pause()
        painted.clear()
        await pilot.press("j")
        assert 0 in [region.y for region in painted]
        table.set_filter("")
        rows = [row(f"r{number}", 20 - number) for number in range(20)]
        table.set_rows(rows)
        table.sort_by(1)
        table.action_end(-1)
        await pilot.pause()
        painted.clear()
        rows[1] = row("r1", 100)
        table.set_rows(rows)
        assert table.place == 1
        assert 0 in [region.y for region in painted]


async def test_the_selection_follows_its_row() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row(key) for key in "bcdefghi"])
        await pilot.press("j", "j")
        assert table.cursor == "d"
        table.set_rows([row(key) for key in "abcdefghi"])
        assert table.cursor == "d"
        table.set_rows([row(key) for key in "abcefghi"])
        assert table.cursor == "e"
        table.set_rows([])
        assert (table.cursor, table.selected, table.chosen) == ("", None, [])


async def test_the_cursor_stays_on_the_screen() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row(f"r{number:02}") for number in range(50)])
        for keys, expected in (
            (["G"], "r49"), (["g"], "r00"), (["pagedown"], "r05"), (["k"], "r04"),
            (["pagedown", "pagedown"], "r14"), (["pageup"], "r09"), (["end", "j"], "r49"),
        ):  # fmt: skip
            await pilot.press(*keys)
            assert table.cursor == expected
            place = table.rows.index(table.selected) if table.selected else -1
            assert 0 <= place - round(table.scroll_y) < table.size.height - HEAD
        table.set_rows([row(f"r{number:02}") for number in range(3)])
        assert round(table.scroll_y) == 0


async def test_marks_survive_the_filter_and_name_what_is_acted_on() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row("web"), row("api"), row("db")])
        await pilot.press("space", "space")
        assert table.chosen == ["web", "api"]
        table.set_filter("db")
        assert table.chosen == ["web", "api"]
        assert [r.key for r in table.rows] == ["db"]
        table.set_filter("")
        table.set_rows([row("api"), row("db")])
        assert table.chosen == ["api"]
        await pilot.press("ctrl+backslash")
        assert table.chosen == ["db"]


async def test_columns_sort_by_key_and_by_click() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row("b", 1), row("a", 3), row("c", 2)])
        await pilot.press("greater_than_sign")
        assert [r.key for r in table.rows] == ["a", "b", "c"]
        await pilot.press("greater_than_sign")
        assert [r.key for r in table.rows] == ["a", "c", "b"]
        await pilot.press("O")
        assert [r.key for r in table.rows] == ["b", "c", "a"]
        await pilot.click(LineTable, offset=(4, 1))
        assert [r.key for r in table.rows] == ["a", "b", "c"]
        await pilot.click(LineTable, offset=(4, HEAD + 2))
        assert table.cursor == "c"


async def test_a_table_that_becomes_lower_shows_the_lines_around_its_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows([row(f"r{number:02}") for number in range(50)])
        await pilot.press("G")
        table.styles.height = 6
        await pilot.pause()
        last = app.screen._compositor.render_strips()[5]
        assert "r49" in last.text
