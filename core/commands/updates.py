"""The verb that asks registries for newer images."""

from __future__ import annotations

from core.commands.grammar import Listing, flag, verb
from core.commands.result import Column, Result, Running, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.registry.updates import Update


class Updates(Listing):
    """Options of `image updates`."""

    newer: bool = flag("-n", "--newer", help="only what is not current")


@verb(
    "image updates",
    Updates,
    "Compare images and running containers with their registries",
    "updates",
    changes=False,
)
def updates(engine: Engine, args: Updates) -> Result:
    """Start the job: one request a name."""

    def show(found: list[Update]) -> Result:
        rows = tuple(
            {
                "Kind": update.kind,
                "Name": update.name,
                "Image": update.image,
                "State": update.state,
                "Digest": update.digest,
                "Upstream": update.upstream,
                "Cause": update.cause,
            }
            for update in found
            if not args.newer or update.state != "current"
        )
        return Table(UPDATE_COLUMNS, rows, args.format, "Name" if args.quiet else "")

    return Running(engine.check_updates(), show)


UPDATE_COLUMNS = (
    Column("Kind", "KIND"),
    Column("Name", "NAME"),
    Column("State", "STATE"),
    Column("Digest", "HERE", "id"),
    Column("Upstream", "UPSTREAM", "id"),
    Column("Cause", "CAUSE"),
)
