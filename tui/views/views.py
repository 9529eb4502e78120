"""Makes the screens that show one thing in full, and ties them to the engine.

The screens know no engine: they are given what to call in their threads.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from textual.screen import Screen

    from core.engine import Engine
    from core.event_stream import Event
    from core.jobs import Job
    from core.model import LayerInfo
    from tui.session.build_watch import BuildWatch
    from tui.views.details import Line, Tab

    Keys = Mapping[str, tuple[str, Callable[[], None]]]

EVENTS_S = 24 * 3600
"""How far back events are told."""
LOG_TAIL = 50_000
"""Lines of the past that a log is opened with."""


def layers(engine: Engine, image: str) -> Screen[None]:
    """Return the browser of an image's layers and files."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import ImageSource

    return LayersScreen(ImageSource(engine, image))


def container_layers(engine: Engine, container: str) -> Screen[None]:
    """Return the browser of a container's layers: its image's, and what it wrote, live."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import ContainerSource

    return LayersScreen(ContainerSource(engine, container))


def remote_layers(engine: Engine, image: str) -> Screen[None]:
    """Return the browser of an image that is in a registry: `HOST/NAME:TAG`."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import RemoteSource

    return LayersScreen(RemoteSource(engine, image))


def compare(engine: Engine, old: str, new: str) -> Screen[None]:
    """Return how one image, container or layer differs from another."""
    from tui.screens.compare import CompareScreen, Side

    def side(name: str) -> Side:
        return Side(
            engine.files.tree(name), lambda layer, path: engine.files.open(layer, path, name)
        )

    return CompareScreen((old, new), lambda: (side(old), side(new)))


def container(engine: Engine, name: str, keys: Keys, tab: str = "") -> Screen[None]:
    """Return everything about a container; `tab`: the one to begin with."""
    from tui.screens.detail import DetailScreen
    from tui.views.details import Tab, container_tabs

    def day() -> list[Line]:
        from tui.theme import glyphs
        from tui.views.usage_day import DAY_S, day_lines

        return day_lines(engine.containers.history(name, DAY_S), time.time(), glyphs())

    def happened() -> list[Line]:
        from core.event_stream import look, past

        events = past(look(engine), 0, time.time())
        mine = (event for event in events if ("name", name) in event.attributes)
        return [[(event_line(event), "")] for event in mine]

    def read() -> list[Tab]:
        first, *others = container_tabs(engine.containers.inspect(name))
        answers = [
            *answer_tab(engine, "Processes", ("top", name)),
            *answer_tab(engine, "Changes", ("diff", name)),
            Tab("Day", load=day),
            Tab("Events", load=happened),
        ]
        return [first, *answers, *others]

    return DetailScreen(
        name,
        read,
        lambda: engine.containers.usage(name),
        keys=keys,
        tab=tab,
        history=lambda: engine.containers.history(name, 240),
        usage_every_s=engine.config["tui", "refresh_s"],
    )


def answer_tab(engine: Engine, title: str, words: Sequence[str]) -> list[Tab]:
    """Return a tab that shows what a command answers; none where there is no such command."""
    from core.commands import find
    from core.commands.grammar import parse
    from core.errors import UsageError
    from tui.answers import answer
    from tui.views.details import Tab

    try:
        verb, rest = find(words)
    except UsageError:
        return []
    return [Tab(title, load=lambda: answer(verb.run(engine, parse(verb, rest))))]


def events(engine: Engine) -> Screen[None]:
    """Return what happens to containers, images, networks and volumes, as a log that grows."""
    from core.event_stream import follow
    from tui.screens.logs import LogsScreen

    def source(stopped: Callable[[], bool]) -> Iterator[tuple[int, bytes]]:
        for event in follow(engine, time.time() - EVENTS_S, 0, stopped):
            yield 1, (event_line(event) + "\n").encode("utf-8", "surrogateescape")

    screen = LogsScreen("events", source)
    screen.view.rows.stamps = True
    return screen


def event_line(event: Event) -> str:
    """Return an event as a person reads it: time, what happened to whom, what belongs to it."""
    from core.commands.show import printable, short
    from core.containers.log.writer import timestamp

    facts = dict(event.attributes)
    name = facts.pop("name", "") or short(event.id)
    more = "  ".join(f"{key}={value}" for key, value in facts.items())
    when = timestamp(int(event.time * 1e9)).decode()
    return printable(f"{when} {event.type:<9} {event.action:<10} {name}  {more}".rstrip())


def job(running: Job, watch: BuildWatch | None = None) -> Screen[None]:
    """Return how far a job is, what it said, and why it failed; of a build its steps.

    Of a build that is watched, those that follow it are shown, too.
    """
    if running.board is not None:
        from tui.screens.build import BuildScreen

        return BuildScreen(running, running.board, watch)
    from tui.answers import failure, progress, visible
    from tui.screens.detail import DetailScreen
    from tui.theme import glyphs
    from tui.views.details import Tab

    def read() -> list[Tab]:
        view = running.snapshot()
        tone = {"done": "good", "failed": "bad"}.get(view.state, "accent")
        head: list[Line] = [
            [("state         ", "dim"), (view.state, tone)],
            [("time          ", "dim"), (f"{view.seconds:.0f} s", "")],
            [],
        ]
        error = failure(view.error) if view.error else []
        said: list[Line] = [[(visible(line), "")] for line in running.log]
        return [
            Tab("Progress", (*head, *error, *progress(view, glyphs()))),
            Tab("Log", tuple(said or [[("it said nothing", "dim")]])),
        ]

    keys = {"c": ("cancel", running.cancel)}
    return DetailScreen(f"job {running.id}  {running.title}", read, keys=keys, read_every_s=0.5)


def image(engine: Engine, name: str, keys: Keys, tab: str = "") -> Screen[None]:
    """Return everything about an image; `tab`: the one to begin with."""
    from core.commands.image.image import inspect_image
    from tui.screens.detail import DetailScreen
    from tui.views.details import image_tabs

    def read() -> list[Tab]:
        history = engine.images.history(name)
        document = inspect_image(engine, name)
        return image_tabs(document, history, lambda: uses(engine, name, history))

    return DetailScreen(name, read, keys=keys, tab=tab)


def uses(engine: Engine, name: str, history: Sequence[LayerInfo]) -> list[Line]:
    """Return the containers made of an image, and the images built upon it."""
    digest = engine.store.resolve(name).digest
    own = [step.diff_id for step in history if step.diff_id]
    lines: list[Line] = [
        [("container  ", "dim"), (info.name, ""), (f"  {info.state}", "dim")]
        for info in engine.containers.list()
        if info.image_digest == digest
    ]
    for image in engine.images.list():
        if image.digest == digest or image.layers <= len(own):
            continue
        layers = [step.diff_id for step in engine.store.history(image.digest) if step.diff_id]
        if layers[: len(own)] == own:
            words = ", ".join(image.tags) or image.config_digest
            more = f"  {len(layers) - len(own)} more layers"
            lines.append([("image      ", "dim"), (words, ""), (more, "dim")])
    return lines or [[("nothing uses it", "dim")]]


def logs(engine: Engine, containers: Sequence[str]) -> Screen[None]:
    """Return the log of a container, or of several as one, followed."""
    from tui.screens.logs import LogsScreen
    from tui.views.merged_log import MergedLog

    def source(name: str) -> Callable[[Callable[[], bool]], Iterator[tuple[int, bytes]]]:
        return lambda stopped: engine.containers.logs(
            name, follow=True, tail=LOG_TAIL, timestamps=True, stopped=stopped
        )

    max_bytes = engine.config["tui", "log_max_bytes"]
    if len(containers) == 1:
        return LogsScreen(containers[0], source(containers[0]), max_bytes=max_bytes)
    merged = MergedLog([(name, source(name)) for name in containers])
    title = ", ".join(containers)
    return LogsScreen(title, merged, named=merged.named, max_bytes=max_bytes)
