"""The filters of `ps` and `container prune`, with docker's meaning of several.

Of one key any may fit, of labels all must; between keys all must fit.
"""

from __future__ import annotations

from core.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.containers.stored import Row
    from core.engine import Engine
    from core.model import ContainerInfo

    Test = Callable[[ContainerInfo], bool]

STATES = ("created", "running", "paused", "restarting", "crash-looping", "exited", "dead",
          "removing")  # fmt: skip
HEALTH = ("starting", "healthy", "unhealthy", "none")


def select(
    engine: Engine, found: Sequence[ContainerInfo], words: Sequence[str]
) -> list[ContainerInfo]:
    """Return those that fit filters such as `status=running`.

    Raises UsageError for a filter or a value that there is not.
    """
    groups: dict[str, list[Test]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in FILTERS:
            raise _unknown(word, key)
        groups.setdefault(key, []).append(FILTERS[key](engine, value))
    return [
        info
        for info in found
        if all(
            (all if key.startswith("label") else any)(test(info) for test in tests)
            for key, tests in groups.items()
        )
    ]


def names_states(words: Sequence[str]) -> bool:
    """Return whether filters ask for states, so that those that do not run count too."""
    return any(word.partition("=")[0] in ("status", "exited", "is-task") for word in words)


def _unknown(word: str, key: str) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(key, list(FILTERS), 1)
    guess = f", did you mean {near[0]}=?" if near else ""
    return UsageError(
        f"{word!r} is no filter{guess}", hint=f"filters are KEY=VALUE: {', '.join(FILTERS)}"
    )


def _pattern(text: str) -> Callable[[str], bool]:
    """Return a search for a regular expression, as docker's filters by name are."""
    import re

    try:
        search = re.compile(text).search
    except re.error:
        return lambda value: text in value
    return lambda value: search(value) is not None


def _name(engine: Engine, value: str) -> Test:
    fits = _pattern(value)
    # docker's names begin with a slash, and its users' patterns too.
    return lambda info: fits(info.name) or fits(f"/{info.name}")


def _id(engine: Engine, value: str) -> Test:
    fits = _pattern(value)
    return lambda info: info.id.startswith(value) or fits(info.id)


def _status(engine: Engine, value: str) -> Test:
    if value not in STATES:
        raise UsageError(
            f"status={value}: there is no such state", hint=f"one of {', '.join(STATES)}"
        )
    # A crash loop is a way of restarting that docker has no word for.
    wanted = (value, "crash-looping") if value == "restarting" else (value,)
    return lambda info: info.state in wanted


def _health(engine: Engine, value: str) -> Test:
    if value not in HEALTH:
        raise UsageError(
            f"health={value}: there is no such health", hint=f"one of {', '.join(HEALTH)}"
        )
    return lambda info: (info.health or "none") == value


def _exited(engine: Engine, value: str) -> Test:
    if not value.isdecimal():
        raise UsageError(f"exited={value}: an exit code is a number")
    return lambda info: info.state == "exited" and info.exit_code == int(value)


def _label(engine: Engine, value: str) -> Test:
    name, equals, wanted = value.partition("=")
    return lambda info: any(
        label == name and (not equals or text == wanted) for label, text in info.labels
    )


def _not_label(engine: Engine, value: str) -> Test:
    has = _label(engine, value)
    return lambda info: not has(info)


def _ancestor(engine: Engine, value: str) -> Test:
    """Fits containers of an image, and of images that begin with its layers."""
    try:
        image = engine.store.resolve(value)
    except NotFound:
        return lambda info: value in (info.image, info.image_digest)
    layers = engine.store.lowerdirs(image.digest)
    known: dict[str, bool] = {}

    def descends(info: ContainerInfo) -> bool:
        digest = info.image_digest
        if digest not in known:
            try:
                # The uppermost comes first.
                own = engine.store.lowerdirs(digest)
                known[digest] = own[len(own) - len(layers) :] == layers
            except NotFound:
                known[digest] = False
        return known[digest]

    return lambda info: info.image_digest == image.digest or descends(info)


def _before(engine: Engine, value: str) -> Test:
    other = engine.containers.resolve(value)
    return lambda info: info.created < other.created


def _since(engine: Engine, value: str) -> Test:
    other = engine.containers.resolve(value)
    return lambda info: info.created > other.created


def _until(engine: Engine, value: str) -> Test:
    from core.commands.options.values import moment

    try:
        when = moment(value)
    except ValueError as error:
        raise UsageError(f"until={value}: {error}") from error
    return lambda info: info.created < when


def _network(engine: Engine, value: str) -> Test:
    return lambda info: value in info.networks


def _volume(engine: Engine, value: str) -> Test:
    rows = _rows(engine)

    def uses(info: ContainerInfo) -> bool:
        row = rows.get(info.id)
        mounts = row.document.get("mounts", ()) if row else ()
        wanted = value.rstrip("/") or value
        return any(
            wanted in (mount["source"], mount["target"], mount["target"].rstrip("/"))
            for mount in mounts
        )

    return uses


def _rows(engine: Engine) -> dict[str, Row]:
    from core.containers import stored

    return {row.id: row for row in stored.all_rows(engine.database)}


def _port_range(key: str, value: str) -> tuple[range, str]:
    numbers, _, protocol = value.partition("/")
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal() and protocol in ("", "tcp", "udp", "sctp")):
        raise UsageError(f"{key}={value} is not PORT[-PORT][/PROTOCOL]")
    return range(int(first), int(last) + 1), protocol or "tcp"


def _publish(engine: Engine, value: str) -> Test:
    ports, protocol = _port_range("publish", value)
    return lambda info: any(
        port.protocol == protocol and (port.host_port in ports or port.container_port in ports)
        for port in info.ports
    )


def _expose(engine: Engine, value: str) -> Test:
    ports, protocol = _port_range("expose", value)

    def exposes(info: ContainerInfo) -> bool:
        named = engine.containers.inspect(info.id)["Config"]["ExposedPorts"] or {}
        found = [word.partition("/") for word in named]
        return any(
            int(number) in ports and (kind or "tcp") == protocol for number, _, kind in found
        )

    return exposes


def _is_task(engine: Engine, value: str) -> Test:
    return lambda info: value.lower() in ("false", "0")  # there is no swarm here


FILTERS: dict[str, Callable[[Engine, str], Test]] = {
    "id": _id, "name": _name, "label": _label, "label!": _not_label, "status": _status,
    "exited": _exited, "health": _health, "ancestor": _ancestor, "image": _ancestor,
    "before": _before, "since": _since, "until": _until, "volume": _volume,
    "network": _network, "publish": _publish, "expose": _expose, "is-task": _is_task,
}  # fmt: skip
