"""Keys of one's own in the app, and those that its widgets keep."""

from __future__ import annotations

from core.commands.key_changes import LISTS, MOVING
from core.config import Config
from core.engine import Engine
from core.paths import Paths
from tests.tui.test_app import screen_text, until
from tui.app import LimpetApp
from tui.screens.listing import ListingScreen
from tui.widgets.table.line_table import LineTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.dom import DOMNode


async def test_bad_keys_are_told_at_the_start(paths: Paths) -> None:
    app = LimpetApp(Engine(paths, Config({}, {"keys": {"x": "strat"}})))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "x = 'strat': 'strat' is no command" in screen_text(app))


def test_what_is_told_to_be_kept_is_what_the_widgets_keep() -> None:
    assert set(MOVING) == _own_keys(LineTable)
    assert set(LISTS) == _own_keys(ListingScreen)


def _own_keys(widget: type[DOMNode]) -> set[str]:
    return {key for binding in widget.BINDINGS for key in binding.key.split(",")}  # type: ignore[union-attr]
