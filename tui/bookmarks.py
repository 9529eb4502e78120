"""Screens a person wants to come back to, by their addresses, and those seen last."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.navigation import Navigates
    from tui.screens.pick import Picked

RECENT = 20


def toggle(app: Navigates) -> None:
    """Keep the address of what is shown, or no longer; show what is kept."""
    here = app.visits.here
    if here in app.bookmarks:
        app.bookmarks.remove(here)
        choose(app, f"no bookmark any more: {here}")
    elif here:
        app.bookmarks.append(here)
        choose(app, f"bookmark kept: {here}")


def choose(app: Navigates, title: str = "go to") -> None:
    """Offer the bookmarks, then what was seen last, and go where the person says."""
    from tui.screens.pick import Choice, PickScreen

    recent = [seen for seen in reversed(app.visits.seen) if seen not in app.bookmarks]
    addresses = [*app.bookmarks, *dict.fromkeys(recent)][: len(app.bookmarks) + RECENT]
    choices = [
        Choice(address, "*" if address in app.bookmarks else "", "") for address in addresses
    ]

    def act(picked: Picked | None) -> None:
        if picked is not None:
            app.go_to(addresses[picked.number])

    app.push_screen(PickScreen(title, choices), act)
