"""The verbs `container prune` and `system prune`: what is unused is planned, shown, removed."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, verb
from core.commands.result import Plan, Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.engine import Engine
    from core.model import ContainerInfo
    from core.trash_bin import Bin

PRUNED = ("created", "exited", "dead")
FILTERS = ("until", "label", "label!")


class ContainerPrune(Args):
    """Options of `container prune`."""

    force: bool = flag("-f", "--force", help="do not ask")
    filter: tuple[str, ...] = option(
        "--filter", help="until=24h (made before), label=NAME[=VALUE], label!=…", many=True,
        metavar="KEY=VALUE",
    )  # fmt: skip


@verb(
    "container prune",
    ContainerPrune,
    "Remove the containers that do not run",
    examples=("container prune", "container prune -f --filter until=24h"),
)
def prune(engine: Engine, args: ContainerPrune) -> Result:
    """Plan it: a line a container, with what it wrote."""
    from core.commands.show import size

    found = stopped(engine, args.filter)
    sizes = {info.id: engine.container_size(info.id)[0] for info in found}
    lines = tuple(f"{line_of(info)}, {size(sizes[info.id])}" for info in found)
    if not found:
        return Text("Total reclaimed space: 0B")

    def apply() -> Result:
        engine.trash.sweep()
        bin_ = engine.trash.open("container prune")
        done = remove(engine, found, bin_)
        freed = sum(sizes[info.id] for info in done)
        return Text("\n".join([*(info.id for info in done), *closing(engine, bin_, freed)]))

    title = f"remove {len(found)} container{'s' * (len(found) != 1)}, {size(sum(sizes.values()))}"
    return Plan(title, lines, apply, sum(sizes.values()), ask=not args.force)


def stopped(engine: Engine, filters: Sequence[str]) -> list[ContainerInfo]:
    """Return the containers that a prune takes; UsageError for a filter it does not have."""
    from core.commands.container_filters import select
    from core.errors import UsageError

    for word in filters:
        if word.partition("=")[0] not in FILTERS:
            raise UsageError(f"{word!r} is no filter of prune", hint="until=, label= and label!=")
    found = [info for info in engine.containers() if info.state in PRUNED]
    return select(engine, found, filters)


def line_of(info: ContainerInfo) -> str:
    """Return how a plan names a container."""
    return f"container {info.name} ({info.id[:12]}, {info.image}, {info.state})"


def remove(engine: Engine, found: Sequence[ContainerInfo], bin_: Bin | None) -> list[ContainerInfo]:
    """Remove containers and return them; those that were started or removed meanwhile stay."""
    from core.errors import Conflict, NotFound

    done = []
    for info in found:
        try:
            engine.lifecycle.rm(info.id, bin_=bin_)
        except (Conflict, NotFound):
            continue
        done.append(info)
    return done


def closing(engine: Engine, bin_: Bin | None, freed: int) -> list[str]:
    """Return the last lines of a prune: how to take it back, and what it gave."""
    from core.commands.show import size

    lines = [f"Total reclaimed space: {size(freed)}"]
    if bin_ is not None:
        minutes = max(1, engine.config["storage", "trash_s"] // 60)
        lines.insert(0, f"undo brings it back for {minutes} minutes, trash empty gives its space")
    return lines
