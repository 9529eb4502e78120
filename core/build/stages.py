"""Stages as a graph: what each needs, in which order, and what a target does not need."""

from __future__ import annotations

from core.build.dockerfile.instructions import Arg, Copy, From, Run, Step
from core.build.dockerfile.source import Source, guess
from core.build.dockerfile.words import WordError, expand
from core.errors import NotFound
from core.record import Record

MAX_STAGES = 500
"""Each is a thread, and a chain of them is followed by recursion."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRATCH = "scratch"
MAX_DIGITS = 9
"""Of a stage's number: there are fewer."""


class Stage(Record):
    """One stage: FROM and what follows it."""

    index: int
    name: str
    start: From
    image: str
    """What FROM names, expanded; empty when that is a stage."""
    base: int
    """The stage that FROM names, -1 for an image."""
    platform: str
    steps: tuple[Step, ...]
    sources: tuple[tuple[str, int], ...]
    """What --from and from= name, and the stage that is, -1 for an image."""

    @property
    def title(self) -> str:
        """Its name, or its number."""
        return self.name or f"stage-{self.index}"

    @property
    def needs(self) -> tuple[int, ...]:
        """Stages that are built before this one can end."""
        found = [self.base, *(stage for _, stage in self.sources)]
        return tuple(sorted({stage for stage in found if stage >= 0}))


def global_args(
    source: Source, steps: Sequence[Step], given: Mapping[str, str], predefined: Mapping[str, str],
    escape: str,
) -> dict[str, str]:  # fmt: skip
    """Return the values of the ARGs in front of the first FROM, and the predefined ones."""
    values = dict(predefined)
    for step in steps:
        if isinstance(step, From):
            break
        assert isinstance(step, Arg)
        for name, default in step.names:
            if name in given:
                values[name] = given[name]
            elif default is not None:
                values[name] = expanded(source, step, default, values, escape)
            elif name not in values:
                continue
    return values


def expanded(source: Source, step: Step, text: str, values: Mapping[str, str], escape: str) -> str:
    """Return a word with its variables put in; DockerfileError points at one that cannot be."""

    def missing(name: str) -> None:
        rule = "UndefinedArgInFrom" if isinstance(step, From) else "UndefinedVar"
        source.warn(rule, step.at.line, f"${name} is not defined{guess(name, values)}")

    try:
        return expand(text, values, escape, missing)
    except WordError as error:
        line, column = step.at.place(max(0, step.at.text.find(text)))
        raise source.error(line, column, str(error), width=len(text)) from None


def make_stages(
    source: Source, steps: Sequence[Step], values: Mapping[str, str], escape: str
) -> list[Stage]:
    """Return the stages; DockerfileError for a name given twice, or a stage that needs itself."""
    parts: list[tuple[From, list[Step]]] = []
    for step in steps:
        if isinstance(step, From):
            parts.append((step, []))
        elif parts:
            parts[-1][1].append(step)
    numbers: dict[str, int] = {}
    if len(parts) > MAX_STAGES:
        start = parts[MAX_STAGES][0]
        raise _at(source, start, start.at.keyword, f"more than {MAX_STAGES} stages")
    for index, (start, _) in enumerate(parts):
        if start.name:
            if start.name in numbers:
                raise _at(source, start, start.name, f"a stage {start.name} exists already")
            numbers[start.name] = index
    stages = []
    for index, (start, own) in enumerate(parts):
        image = expanded(source, start, start.image, values, escape)
        if not image:
            raise _at(source, start, start.image, f"FROM {start.image} names no image")
        base = numbers.get(image.lower(), -1)
        base = base if base < index else -1
        platform = expanded(source, start, start.platform, values, escape)
        stages.append(
            Stage(index, start.name, start, "" if base >= 0 else image, base, platform,
                  tuple(own), _sources(source, own, numbers, len(parts)))
        )  # fmt: skip
    _check_cycles(source, stages)
    return stages


def _sources(
    source: Source, steps: Sequence[Step], numbers: Mapping[str, int], count: int
) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for step in steps:
        names: list[str] = []
        if isinstance(step, Copy) and step.stage:
            names = [step.stage]
        elif isinstance(step, Run):
            names = [mount.stage for mount in step.mounts if mount.stage]
        for name in names:
            if "$" in name:
                raise _at(
                    source, step, step.at.keyword,
                    f"from={name}: variables mean nothing here",
                    "a stage: FROM IMAGE AS NAME in front, with the variable in FROM",
                )  # fmt: skip
            if name.isdecimal():
                if len(name) > MAX_DIGITS or int(name) >= count:
                    raise _at(source, step, step.at.keyword, f"there is no stage {name}")
                found[name] = int(name)
            else:
                found[name] = numbers.get(name.lower(), -1)
    return tuple(found.items())


def _check_cycles(source: Source, stages: Sequence[Stage]) -> None:
    done: set[int] = set()

    def visit(index: int, way: list[int]) -> None:
        if index in way:
            round_ = [*way[way.index(index) :], index]
            words = " needs ".join(stages[number].title for number in round_)
            start = stages[index].start
            raise _at(source, start, start.at.keyword, f"stages need each other: {words}")
        if index not in done:
            for needed in stages[index].needs:
                visit(needed, [*way, index])
            done.add(index)

    for stage in stages:
        visit(stage.index, [])


def find_target(stages: Sequence[Stage], target: str) -> int:
    """Return the stage to build: by name or number, the last one for an empty `target`."""
    if not target:
        return len(stages) - 1
    for stage in stages:
        if stage.name == target.lower() or str(stage.index) == target:
            return stage.index
    names = [stage.name for stage in stages if stage.name]
    raise NotFound(
        f"there is no stage {target!r}{guess(target, names)}",
        hint=f"stages: {', '.join(names) or 'none has a name'}", subject=target,
    )  # fmt: skip


def needed(stages: Sequence[Stage], target: int) -> list[Stage]:
    """Return the stages that a target needs and itself, each behind what it needs."""
    order: list[int] = []

    def visit(index: int) -> None:
        if index not in order:
            for below in stages[index].needs:
                visit(below)
            order.append(index)

    visit(target)
    return [stages[index] for index in order]


def _at(source: Source, step: Step, word: str, text: str, expected: str = "") -> Exception:
    place = step.at.text.find(word)
    line, column = step.at.place(place if place >= 0 else -step.at.offset)
    return source.error(line, column, text, expected=expected, width=len(word))
