"""Command lines that are about the app itself: leaving, screens by name, the theme."""

from __future__ import annotations

from core.commands.keys import APP_WORDS, CONTAINERS, IMAGES, REGISTRIES, TABLES
from core.commands.scan import split
from tui.addresses import SCREENS, go
from tui.theme import THEMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.engine import Engine
    from tui.app import LimpetApp
    from tui.screens.pick import Picked

LEAVING = ("q", "quit", "exit")
COMPARE = "compare"


def completions(engine: Engine, line: str) -> dict[str, str]:
    """Return what the end of a line with one of these words may become, with meanings."""
    *before, typed = line.split(" ")
    if not before:
        return {
            word: words for word, words in APP_WORDS.items() if typed and word.startswith(typed)
        }
    from core.commands import load_all
    from tui.views.listings import LISTINGS

    pool: dict[str, str] = {}
    if before[0] in TABLES and (before[0] != IMAGES or len(before) > 1):
        before = ["go", *before]  # the address alone goes there, too
    if before == ["go"]:
        pool = {verb.word: verb.summary for verb in load_all().values() if not verb.changes}
        pool |= dict.fromkeys((*TABLES, "jobs", "events", *LISTINGS), "")
    elif before == ["go", "containers"]:
        pool = {info.name: info.state for info in engine.containers.list()}
    elif before == ["go", "registries"]:
        pool = {info.host: info.state for info in engine.registries.known()}
    elif before == ["go", "images"]:
        pool = {tag: "" for info in engine.images.list() for tag in info.tags}
    elif before[0] == "go" and len(before) == 3:
        pool = dict.fromkeys(SCREENS.get(before[1], ()), "")
    elif before[0] == COMPARE and len(before) < 3:
        pool = {tag: "" for info in engine.images.list() for tag in info.tags}
        pool |= {info.name: info.state for info in engine.containers.list()}
    elif before == ["help"]:
        pool = {verb.word: verb.summary for verb in load_all().values()}
    elif before == ["theme"]:
        pool = {theme.name: "" for theme in THEMES}
    elif before[0] == "cancel":
        pool = {str(job.id): job.title for job in engine.jobs.all() if not job.finished}
    return {word: words for word, words in pool.items() if word.startswith(typed)}


def carry_out(app: LimpetApp, line: str) -> bool:
    """Do what a line means for the app; False when it is an ordinary command line."""
    words = line.split()
    if not words:
        return True
    first, rest = words[0], words[1:]
    if first in LEAVING:
        app.action_leave()
    elif first == "help" and not rest:
        app.action_help()
    elif first in ("help", "man"):
        _help(app, line, rest)
    elif first == "pane" and rest:
        app.session.run_in_pane(line.partition(" ")[2].strip())
    elif first == "clear":
        app.dashboard.output.clear()
    elif first == "tour":
        app.action_tour()
    elif first in ("jobs", "networks", "volumes", "disk", "events") and not rest:
        return app.open_listing(first)
    elif first == "go":
        _say(app, line, go(app, split(line)[1:]))
    elif _is_address(words):
        _say(app, line, go(app, split(line)))
    elif first == "image" and (address := _browser(app, split(line))):
        _say(app, line, go(app, address))
    elif first in ("back", "forward"):
        app.action_travel(-1 if first == "back" else 1)
    elif first == "theme":
        _say(app, line, _theme(app, rest))
    elif first == "cancel":
        _say(app, line, _cancel(app, rest))
    else:
        return False
    return True


def _is_address(words: Sequence[str]) -> bool:
    """Tell whether a line is a screen's address: `images` and options are a command."""
    place, *rest = words
    if place == IMAGES:
        return len(rest) == 2 and rest[1] in SCREENS[IMAGES]
    return place in TABLES or (place == COMPARE and len(rest) == 2)


def _browser(app: LimpetApp, words: Sequence[str]) -> list[str]:
    """Return where the whole of what `image browse` would print can be looked at; [] for less."""
    match words:
        case ["image", "browse", "--remote", name] if name[:1] != "-":
            return [REGISTRIES, name, "layers"]
        case ["image", "browse", name] if name[:1] != "-":
            tags = {tag for info in app.bridge.latest.images for tag in info.tags}
            is_image = bool({name, f"{name}:latest"} & tags) or not app.has_container(name)
            return [IMAGES if is_image else CONTAINERS, name, "layers"]
    return []


def _say(app: LimpetApp, line: str, problem: str) -> None:
    if problem:
        number = app.dashboard.output.begin(line)
        app.dashboard.output.finish(number, [[(problem, "warn")]])
        app.dashboard.show_pane()


def _help(app: LimpetApp, line: str, words: Sequence[str]) -> None:
    """Show the help of one command, or why there is none."""
    from core.commands import find
    from core.commands.help import verb_help
    from core.errors import UsageError
    from tui.answers import failure

    number = app.dashboard.output.begin(line)
    app.dashboard.show_pane()
    try:
        text = verb_help(find(words)[0])
    except UsageError as error:
        app.dashboard.output.finish(number, failure(error), note="failed", tone="bad")
        return
    app.dashboard.output.finish(number, [[(shown, "")] for shown in text.splitlines()])


def _theme(app: LimpetApp, words: Sequence[str]) -> str:
    known = [theme.name for theme in THEMES]
    if words and words[0] in app.available_themes:
        app.choose_theme(words[0])
        return ""
    names = [*known, *sorted(set(app.available_themes) - set(known))]
    if words:
        return f"there is no theme {words[0]}; there are {', '.join(names)}"
    from tui.screens.pick import Choice, PickScreen

    def act(picked: Picked | None) -> None:
        if picked is not None:
            app.choose_theme(names[picked.number])

    choices = [Choice(name, "*" if name == app.theme else "") for name in names]
    app.push_screen(PickScreen("theme", choices, at=names.index(app.theme)), act)
    return ""


def _cancel(app: LimpetApp, words: Sequence[str]) -> str:
    jobs = {str(job.id): job for job in app.engine.jobs.all()}
    for word in words:
        if word not in jobs:
            return f"there is no job {word}"
        jobs[word].cancel()
    return "" if words else "cancel NUMBER: jobs shows the numbers"
