"""Completion for the command bar and the line-mode shell, on prompt_toolkit's interface."""

from __future__ import annotations

import os
import time
from math import inf
from sys import intern
from typing import Protocol

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from core.commands import MODULES, load_all
from core.commands.far_names import FarNames
from core.commands.grammar import assign
from core.commands.keys import SOURCES, has_state
from core.commands.lines import last_part, split_pipe
from core.commands.scan import expected, find_verb, quote
from core.containers.signals import SIGNALS
from core.errors import Error
from core.network.definition import MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from core.commands.grammar import Arg, Verb
    from core.commands.scan import Expected
    from core.engine import Engine
    from core.model import ContainerInfo, ImageInfo, RegistryInfo

MOST = 200
"""More are of no use to a person and cost time to draw."""
KEEP_S = 1.0
SHORT_ID = 12
CONTAINERS = SOURCES["containers"]
"""Sources whose names are containers'."""
KINDS = {**dict.fromkeys(CONTAINERS, "container"), "remote-image": "image"}
"""Sources whose names are read together with another's."""
HAVE_FILES = (*CONTAINERS, "image", "remote-image")
"""Sources of names of what paths lie in."""


class Facts(Protocol):
    """Who tells which names there are: `Asking`, or somebody who has just asked."""

    def containers(self) -> Sequence[ContainerInfo]:
        """Return all containers."""

    def images(self) -> Sequence[ImageInfo]:
        """Return all images."""

    def registries(self) -> Sequence[RegistryInfo]:
        """Return the known registries."""


class Asking:
    """Asks the engine each time."""

    def __init__(self, engine: Engine) -> None:
        self.containers = engine.containers.list
        self.images = engine.images.list
        self.registries = engine.registries.known


class Known:
    """Whether a word names a container: by its name, its ID, or the ID's first twelve digits."""

    def __init__(self, names: Mapping[str, str], ids: Set[str]) -> None:
        self._names = names
        self._ids = ids

    def __contains__(self, word: object) -> bool:
        """Tell whether it does."""
        if word in self._names or word in self._ids:
            return True
        return (
            isinstance(word, str)
            and len(word) == SHORT_ID
            and any(one.startswith(word) for one in self._ids)
        )


class Names:
    """The names that exist now, by completion source; each kind is read at most once a second."""

    def __init__(self, engine: Engine, facts: Facts | None = None) -> None:
        """Ask `facts`, where somebody has read them already, or else the engine."""
        self._engine = engine
        self._facts: Facts = facts or Asking(engine)
        self._read: dict[str, float] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._known: dict[str, Known] = {}
        self._containers: Sequence[ContainerInfo] = ()
        self._images: Sequence[ImageInfo] = ()

    def get(self, source: str) -> dict[str, str]:
        """Return names with what to say about each; empty for a source without names."""
        kind = KINDS.get(source, source)
        if time.monotonic() - self._read.get(kind, -inf) > KEEP_S:
            self._names |= self._names_of(kind)
            self._read[kind] = time.monotonic()
        return self._names.get(source, {})

    def known(self) -> dict[str, Known]:
        """Return the names by source for `core.commands.scan.scan`, unique ID starts included."""
        self.get("container")
        if not self._known:
            ids = frozenset(info.id for info in self._containers)
            self._known = {source: Known(self._names[source], ids) for source in CONTAINERS}
        return self._known

    def _names_of(self, kind: str) -> dict[str, dict[str, str]]:
        """Return the names by source of one kind of things, nothing when they are the same."""
        if kind == "container":
            containers = self._facts.containers()
            if containers is self._containers and kind in self._read:
                return {}
            self._containers, self._known = containers, {}
            return _containers(containers)
        if kind == "image":
            images = self._facts.images()
            if images is self._images and kind in self._read:
                return {}
            self._images = images
            return _images(images)
        return {kind: self._others(kind)}

    def _others(self, kind: str) -> dict[str, str]:
        if kind == "network":
            return dict.fromkeys((*MODES, *(one.name for one in self._engine.network.all())), "")
        if kind == "volume":
            return {volume.name: "" for volume in self._engine.volumes.list()}
        if kind == "registry":
            return {info.host: info.state for info in self._facts.registries()}
        if kind == "container-filter":
            from core.commands.container.filters import FILTERS

            return {f"{key}=": "" for key in FILTERS}
        if kind == "signal":
            return {name: f"signal {number}" for name, number in SIGNALS.items()}
        return {}


def _containers(containers: Sequence[ContainerInfo]) -> dict[str, dict[str, str]]:
    said = {info.name: intern(f"{info.state}, {info.image}") for info in containers}
    states = {info.state for info in containers}
    fitting = {name: {one for one in states if has_state(name, one)} for name in CONTAINERS}
    return {
        source: {info.name: said[info.name] for info in containers if info.state in fits}
        for source, fits in fitting.items()
    }


def _images(images: Sequence[ImageInfo]) -> dict[str, dict[str, str]]:
    named = {
        tag: f"{info.platform}, {info.layers} layer{'s' * (info.layers != 1)}"
        for info in images
        for tag in info.tags
    }
    return {"image": named, "remote-image": named}


class LimpetCompleter(Completer):
    """Completes verbs, flags, values and names of the grammar."""

    def __init__(self, engine: Engine, facts: Facts | None = None) -> None:
        """Complete with the names of `facts`, see `Names`."""
        self.names = Names(engine, facts)
        self._aliases = engine.config.aliases
        self._far = FarNames(engine)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield at most 200 completions of the word before the cursor, best first."""
        line = last_part(document.text_before_cursor)
        if line.startswith("!") or split_pipe(line)[1] is not None:
            return  # the host's shell knows better
        at_end = expected(line)
        typed = at_end.word.text.removeprefix(at_end.prefix)
        if at_end.verb is None:
            pool = _verbs(at_end.before)
            if not at_end.before:
                pool |= {name: f"= {text}" for name, text in self._aliases.items()}
        elif at_end.arg is None or (typed.startswith("-") and not at_end.prefix):
            pool = _flags(at_end.verb)
        else:
            pool = self._values(at_end, typed)
        start = at_end.word.start - len(line)
        for text, meaning in _ranked(pool, typed)[:MOST]:
            home, rest = ("~/", text[2:]) if text.startswith("~/") else ("", text)
            yield Completion(
                at_end.prefix + home + quote(rest),
                start_position=start,
                display=text,
                display_meta=meaning,
            )

    def _values(self, at_end: Expected, typed: str) -> dict[str, str]:
        arg = at_end.arg
        if arg is None:
            return {}
        if arg.choices:
            return dict.fromkeys(arg.choices, "")
        if arg.complete == "path":
            return dict(_paths(typed))
        if arg.complete == "copy-end":
            names = self._named("container")
            name, colon, path = typed.partition(":")
            if colon and name in names:
                inside = self._far.in_container(name, path or "/")
                return {f"{name}:{found}": "" for found in inside}
            return {**{f"{name}:": said for name, said in names.items()}, **dict(_paths(typed))}
        if arg.complete == "remote-image":
            return {**self._named("image"), **self._far.remote(typed)}
        if arg.complete == "inside":
            return self._paths_inside(at_end, typed) if typed.startswith("/") else {}
        return self._named(arg.complete)

    def _paths_inside(self, at_end: Expected, typed: str) -> dict[str, str]:
        holder, name = _holder(at_end)
        if holder is None:
            return {}
        in_container = holder.complete in CONTAINERS
        return (self._far.in_container if in_container else self._far.in_image)(name, typed)

    def _named(self, kind: str) -> dict[str, str]:
        try:
            return self.names.get(kind)
        except Error:
            return {}  # the store cannot be read; running the command will say why


def _holder(at_end: Expected) -> tuple[Arg | None, str]:
    """Return the container or the image that a line has named already, and by which argument."""
    verb, count = find_verb(at_end.before)
    if verb is None:
        return None, ""
    places = ((role.arg, role.value) for role in assign(verb, at_end.before[count:]))
    holders = ((arg, name) for arg, name in places if arg and arg.complete in HAVE_FILES)
    return next(((arg, name) for arg, name in holders if not arg.flags), (None, ""))


def _verbs(before: tuple[str, ...]) -> dict[str, str]:
    verbs = load_all()
    if before:
        start = before[0] + " "
        return {
            name.removeprefix(start): verb.summary
            for name, verb in verbs.items()
            if name.startswith(start) and len(before) == 1
        }
    return {word: verbs[word].summary if word in verbs else f"{word} …" for word in MODULES}


def _flags(verb: Verb) -> dict[str, str]:
    return {
        name: arg.help
        for arg in verb.args.declared
        for name in arg.flags
        if name.startswith("--") or len(arg.flags) == 1
    }


def _ranked(pool: dict[str, str], typed: str) -> list[tuple[str, str]]:
    """Return those that begin with what is typed, then those that contain it."""
    begins = sorted(item for item in pool.items() if item[0].startswith(typed))
    if typed.startswith("-") or not typed:
        return begins
    return begins + sorted(
        item for item in pool.items() if typed in item[0][1:] and not item[0].startswith(typed)
    )


def _paths(typed: str) -> Iterator[tuple[str, str]]:
    folder, _, _ = typed.rpartition("/")
    prefix = folder + "/" if "/" in typed else ""
    try:
        with os.scandir(os.path.expanduser(prefix) or ".") as entries:
            for entry in entries:
                yield prefix + entry.name + ("/" if entry.is_dir() else ""), ""
    except OSError:
        return
