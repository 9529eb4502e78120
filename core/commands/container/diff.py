"""The verb `diff`: what a container changed of its image's files."""

from __future__ import annotations

from core.commands.grammar import Args, positional, verb
from core.commands.result import Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine


class Diff(Args):
    """Arguments of `diff`."""

    container: str = positional("name or ID", complete="container")


@verb(
    "container diff",
    Diff,
    "Show which files a container added (A), changed (C) or deleted (D)",
    "diff",
    changes=False,
)
def diff(engine: Engine, args: Diff) -> Result:
    """One line a path, as docker writes it."""
    from core.commands.show import printable

    return Text(
        "\n".join(
            f"{change.kind} {printable(change.path)}"
            for change in engine.files.changes(args.container)
        )
    )
