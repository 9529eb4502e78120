"""The verbs of what was removed: bring it back, look at it, give its space back."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, Removing, positional, verb
from core.commands.result import Column, Plan, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine


class Undo(Args):
    """Arguments of `undo`."""

    batch: str = positional(
        "an ID that trash ls shows; none: the last command's", default="", metavar="ID"
    )


class Empty(Removing):
    """Options of `trash empty`."""


@verb(
    "trash restore",
    Undo,
    "Bring back what the last removal took: containers, images, names",
    "undo",
    examples=("undo",),
)
def undo(engine: Engine, args: Undo) -> Result:
    """Bring back one command's removals."""
    batch = engine.trash.undo(args.batch)
    return Text("\n".join(f"Brought back: {name}" for name in batch.names))


@verb("trash ls", Listing, "List what can be brought back", "trash list", changes=False)
def ls(engine: Engine, args: Listing) -> Result:
    """One row a command, the latest first."""
    until = engine.config["storage", "trash_s"]
    rows = tuple(
        {
            "ID": batch.id,
            "Command": batch.command,
            "Removed": batch.removed,
            "Until": batch.removed + until,
            "Size": batch.bytes,
            "Holds": ", ".join(batch.names),
        }
        for batch in engine.trash.batches()
    )
    return Table(COLUMNS, rows, args.format, "ID" if args.quiet else "", full=True)


@verb("trash empty", Empty, "Remove for good what could still be brought back")
def empty(engine: Engine, args: Empty) -> Result:
    """Plan it: one line a thing.  HostError names what is there still in the end."""
    batches = engine.trash.batches()
    if not batches:
        return Text("") if args.dry_run else _emptied(engine, 0)
    lines = tuple(name for batch in batches for name in batch.names)

    def apply() -> Result:
        return _emptied(engine, engine.trash.empty())

    total = sum(batch.bytes for batch in batches)
    return Plan("empty the trash", lines, apply, total).unless(args.dry_run)


def _emptied(engine: Engine, freed: int) -> Text:
    from core.commands.show import size

    stuck = engine.trash.stuck()
    if stuck:
        from core.errors import HostError

        path, cause = stuck[0]
        raise HostError(
            f"{path} cannot be removed: {cause}",
            hint=f"chattr -R -i {path}, umount what findmnt shows there; then limpet trash empty",
        )
    return Text(f"Total reclaimed space: {size(freed)}")


COLUMNS = (
    Column("ID", "ID"),
    Column("Command", "COMMAND"),
    Column("Removed", "REMOVED", "age"),
    Column("Size", "SIZE", "size"),
    Column("Holds", "HOLDS"),
)
