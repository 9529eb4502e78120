"""Goes from screen to screen: back, forward, to an address, to a bookmark."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from core.commands.scan import split
from tui.addresses import TABS, address_of, go
from tui.open_screens import OpensScreens
from tui.visits import Visits
from tui.widgets.keys_in_order import KeysInOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from textual.screen import Screen

    from tui.screens.detail.screen import DetailScreen


class Navigates(OpensScreens):
    """An app that knows where the person is and has been."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.visits = Visits()
        self.bookmarks: list[str] = []
        """Addresses, oldest first."""
        self._addresses: WeakKeyDictionary[Screen[Any], str] = WeakKeyDictionary()

    def show_screen(self, screen: Screen[None], address: str) -> None:
        """Show a screen that can be come back to by its address."""
        self._addresses[screen] = address
        self.visits.arrive(address)
        self.push_screen(screen, self._left)

    def on_detail_screen_turned(self, event: DetailScreen.Turned) -> None:
        """Let the address say which tab is shown."""
        place, name, *_ = (*self._addresses.get(self.screen, "").split(), "", "")
        if place in TABS:
            turned = address_of(place, name, event.word)
            self._addresses[self.screen] = turned
            self.visits.turn(turned)

    def _left(self, _: None) -> None:
        self.call_later(self._came_back)

    def _came_back(self) -> None:
        self.visits.arrive(self._addresses.get(self.screen, self.dashboard.place))

    def action_travel(self, by: int) -> None:
        """Go to the screen that was shown before, or after."""
        address = self.visits.neighbour(by)
        if address:
            self.go_to(address)

    def go_to(self, address: str) -> None:
        """Show the screen of an address instead of those that are shown."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.visits.arrive(address)
        problem = go(self, split(address))
        if problem:
            self.dashboard.say(problem)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Take a colon before anybody else, as a line typed in one go is not for the screen.

        Who types into a line has it as a letter, and the tables have a key of their own for it.
        """
        if action == "command":
            typed = isinstance(self.focused, KeysInOrder)
            return not (typed or self.screen is self.dashboard or self.screen.is_modal)
        return super().check_action(action, parameters)

    def action_command(self) -> None:
        """Open the command line; who leaves it with nothing done is back on this screen."""
        self.dashboard.bar_for = self.visits.here if self.screen is not self.dashboard else ""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.dashboard.bar.open()

    def action_bookmark(self) -> None:
        """Keep the address of what is shown, or no longer."""
        from tui.bookmarks import toggle

        toggle(self)

    def action_bookmarks(self) -> None:
        """Choose a bookmark, or what was seen last, to go to."""
        from tui.bookmarks import choose

        choose(self)
