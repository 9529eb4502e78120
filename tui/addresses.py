"""The names of screens: `containers`, `containers web logs`, `images a:1 layers`, `jobs`.

A screen's address is what a person types to go there, what `back` and bookmarks remember,
and what `App.show_screen` was told with it.
"""

from __future__ import annotations

from core.commands.keys import CONTAINERS, IMAGES, REGISTRIES, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tui.open_screens import OpensScreens

TABS = {
    CONTAINERS: ("usage", "processes", "changes", "day", "events", "env", "mounts", "health",
                   "inspect"),
    IMAGES: ("history", "uses", "env", "labels", "inspect"),
}  # fmt: skip
"""Tabs of a container's screen, and of an image's, as addresses call them."""
SCREENS = {
    CONTAINERS: ("logs", "layers", *TABS[CONTAINERS]),
    IMAGES: ("layers", *TABS[IMAGES]),
    REGISTRIES: ("layers",),
}
"""What can stand behind a name."""
WHERE = "go containers|images|registries [NAME [logs|layers|TAB]], jobs, networks, or a command"


def address_of(place: str, name: str, view: str = "") -> str:
    """Return the name of a screen of one thing; `view`: a tab, or another of `SCREENS`."""
    return f"{place} {name} {view}".rstrip()


def go(app: OpensScreens, words: Sequence[str]) -> str:
    """Open a screen by its name; return what is wrong with the name."""
    from core.errors import UsageError

    try:
        return _go(app, words)
    except UsageError as error:
        return f"{error.message}; {WHERE}" if "no command" in error.message else error.message


def _go(app: OpensScreens, words: Sequence[str]) -> str:
    from core.commands.scan import quote

    place, name, view = (*words, "", "", "")[:3]
    if not place:
        return WHERE
    if place in TABLES and not name:
        app.dashboard.go(place)
    elif (opens := _opener(app, place, name, view)) is not None:
        opens()
    elif place == "compare" and view:
        app.open_comparison(name, view)
    elif place == "job" and name.isdecimal():
        return "" if app.open_job(int(name)) else f"there is no job {name}"
    elif place in SCREENS and view:
        return f"{place} {name} has no screen {view!r} but {', '.join(SCREENS[place])}"
    elif name or not app.open_listing(place):
        app.open_answer(" ".join(map(quote, words)))
    return ""


def _opener(app: OpensScreens, place: str, name: str, view: str) -> Callable[[], None] | None:
    """Return what opens the screen of one thing; None for no such screen."""
    if view in TABS.get(place, ()):
        show = app.open_image if place == IMAGES else app.open_container
        return lambda: show(name, view)
    opens: dict[tuple[str, str], Callable[[], None]] = {
        (CONTAINERS, ""): lambda: app.open_container(name),
        (CONTAINERS, "logs"): lambda: app.open_logs(name.split(",")),
        (CONTAINERS, "layers"): lambda: app.open_container_layers(name),
        (IMAGES, ""): lambda: app.open_image(name),
        (IMAGES, "layers"): lambda: app.open_layers(name),
        (REGISTRIES, ""): lambda: app.open_registry(name),
        (REGISTRIES, "layers"): lambda: app.open_remote_layers(name),
    }
    return opens.get((place, view)) if name else None
