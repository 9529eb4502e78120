"""The verb `update`: other limits for containers, at once where they run."""

from __future__ import annotations

from core.commands.grammar import positional, verb
from core.commands.options.limit_options import Limits, with_limits
from core.commands.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine


class Update(Limits):
    """Options of `update`."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


@verb(
    "container update",
    Update,
    "Change limits of containers, running or not",
    "update",
    examples=("update --memory 512m --cpus 1.5 web", "update --restart unless-stopped web"),
)
def update(engine: Engine, args: Update) -> Result:
    """Change each."""
    from core.commands.container.container import each
    from core.containers import stored

    if not any(getattr(args, arg.name) is not None for arg in Limits.declared):
        from core.commands.grammar import REGISTRY, usage_error

        raise usage_error(REGISTRY["update"], "nothing to change: say what, e.g. --memory 512m")

    def change(name: str) -> None:
        options = stored.find(engine.database, name).options
        engine.editing.update(name, with_limits(options, args))

    return each(args.containers, change)
