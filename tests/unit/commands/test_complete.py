"""Completion asks only for the kind of names that belongs where the cursor is."""

from __future__ import annotations

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from core.commands.complete import LimpetCompleter
from core.config import Config
from core.engine import Engine
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.model import ContainerInfo, ImageInfo, RegistryInfo


class Noting:
    """Facts of an empty host, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def containers(self) -> Sequence[ContainerInfo]:
        self.asked.append("containers")
        return ()

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
