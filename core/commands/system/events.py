"""The verb `events`: what happens, as it happens."""

from __future__ import annotations

from core.commands.grammar import Args, option, verb
from core.commands.options import values
from core.commands.result import Lines, Result
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from core.engine import Engine
    from core.events import Event

TYPES = ("container", "image", "network", "volume")


class Events(Args):
    """Options of `events`."""

    since: float = option(
        "--since", help="from then on: 10m, or a date; what containers' own times tell",
        default=0.0, metavar="WHEN", convert=values.moment,
    )  # fmt: skip
    until: float = option(
        "--until", help="end then", default=0.0, metavar="WHEN", convert=values.moment
    )
    filter: tuple[str, ...] = option(
        "-f", "--filter", help="type=, event=, container=, image=, label=, network=, volume=",
        many=True, metavar="KEY=VALUE",
    )  # fmt: skip
    format: str = option(
        "--format", help="json, or a Go-like template", metavar="FORMAT", choices=("json",)
    )


@verb(
    "system events",
    Events,
    "Tell what happens to containers, images, networks and volumes",
    "events",
    changes=False,
    examples=("events --since 1h", "events --filter event=die --format json"),
)
def events(engine: Engine, args: Events) -> Result:
    """Stream them, a line an event."""
    from core.events import follow

    fits = chosen(args.filter)
    show = _shower(args.format)

    def lines() -> Iterator[tuple[int, bytes]]:
        for event in follow(engine, args.since, args.until, lambda: False):
            if fits(event):
                yield 1, (show(event) + "\n").encode("utf-8", "surrogateescape")

    return Lines(lines())


def chosen(words: tuple[str, ...]) -> Callable[[Event], bool]:
    """Return a test for filters; of one key any may fit, and all keys must (docker's rule).

    Raises UsageError for a filter that there is not.
    """
    groups: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in ("type", "event", "label", *TYPES):
            raise UsageError(
                f"{word!r} is no filter", hint=f"KEY=VALUE: type, event, label, {', '.join(TYPES)}"
            )
        groups.setdefault(key, []).append(value)
    return lambda event: all(
        any(_fits(event, key, value) for value in wanted) for key, wanted in groups.items()
    )


def _fits(event: Event, key: str, value: str) -> bool:
    facts = dict(event.attributes)
    if key == "type":
        return event.type == value
    if key == "event":
        return event.action == value or event.action.partition(":")[0] == value
    if key == "label":
        name, equals, wanted = value.partition("=")
        return name in facts and (not equals or facts[name] == wanted)
    if key == "image" and event.type == "container":
        return facts.get("image") in (value, f"{value}:latest")
    return event.type == key and (
        facts.get("name") == value or (bool(value) and event.id.startswith(value))
    )


def _shower(format_: str) -> Callable[[Event], str]:
    if not format_:
        return line_of
    if format_ == "json":
        import json

        return lambda event: json.dumps(document_of(event))
    from core.commands.template import Template

    template = Template(format_)
    return lambda event: template.render(document_of(event))


def line_of(event: Event) -> str:
    """Return docker's line: time, type, action, ID, and what belongs to it."""
    from core.commands.show import printable
    from core.containers.log.writer import timestamp

    when = timestamp(int(event.time * 1e9)).decode()
    more = ", ".join(f"{name}={value}" for name, value in event.attributes)
    words = f"{when} {event.type} {event.action} {event.id}"
    return printable(f"{words} ({more})" if more else words)


def document_of(event: Event) -> dict[str, Any]:
    """Return docker's document of an event."""
    return {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": int(event.time),
        "timeNano": int(event.time * 1e9),
    }
