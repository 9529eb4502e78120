"""Completion asks only for the kind of names that belongs where the cursor is."""

from __future__ import annotations

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from core.commands.complete import LimpetCompleter
from core.config import Config
from core.engine import Engine
from core.paths import Paths
from tests.unit.front_ends.test_opening import container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.model import ContainerInfo, ImageInfo, RegistryInfo


class Noting:
    """Facts of a host with some containers, and what was asked for."""

    def __init__(self, found: Sequence[ContainerInfo] = ()) -> None:
        self.asked: list[str] = []
        self._found = found

    def containers(self) -> Sequence[ContainerInfo]:
        self.asked.append("containers")
        return self._found

    def images(self) -> Sequence[ImageInfo]:
        self.asked.append("images")
        return ()

    def registries(self) -> Sequence[RegistryInfo]:
        self.asked.append("registries")
        return ()


def test_only_the_kind_that_is_wanted_is_read(tmp_path: Path) -> None:
    facts = Noting()
    engine = Engine(Paths(str(tmp_path / "data"), str(tmp_path / "run")), Config({}))
    completer = LimpetCompleter(engine, facts)
    for line, asked in (
        ("rmi ", ["images"]), ("rmi w", []), ("rm ", ["containers"]), ("stop ", []),
        ("network rm ", []), ("volume rm ", []), ("registry catalog ", ["registries"]),
        ("ps --filter ", []), ("kill -s ", []),
    ):  # fmt: skip
        facts.asked.clear()
        list(completer.get_completions(Document(line), CompleteEvent()))
        assert (line, facts.asked) == (line, asked)
    names = [found.text for found in completer.get_completions(
        Document("network inspect "), CompleteEvent())]  # fmt: skip
    assert {"bridge", "none"} <= set(names)


def test_a_verb_is_offered_the_containers_that_it_can_do_something_to(tmp_path: Path) -> None:
    states = ("created", "running", "paused", "crash-looping", "exited")
    facts = Noting([container(state, "nginx", state) for state in states])
    engine = Engine(Paths(str(tmp_path / "data"), str(tmp_path / "run")), Config({}))
    completer = LimpetCompleter(engine, facts)
    for verb, offered in (
        ("stop", {"running", "paused", "crash-looping"}), ("start", {"created", "exited"}),
        ("pause", {"running"}), ("unpause", {"paused"}), ("restart", set(states)),
    ):  # fmt: skip
        found = completer.get_completions(Document(f"{verb} "), CompleteEvent())
        assert (verb, {one.text for one in found}) == (verb, offered)
