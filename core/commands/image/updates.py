"""The verbs that ask registries for newer images, and take them into use."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, flag, positional, verb
from core.commands.result import Column, Plan, Result, Running, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.edit.upgrading import Upgraded
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

    return Running(engine.updates.check(), show)


class Containers(Listing):
    """Options of `container updates`."""


class Upgrade(Args):
    """Arguments of `container upgrade`."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


@verb(
    "container updates",
    Containers,
    "Show for which running containers there are newer images",
    changes=False,
)
def container_updates(engine: Engine, args: Containers) -> Result:
    """Start the job: one request an image."""

    def show(found: list[Update]) -> Result:
        rows = tuple(
            {
                "Name": update.name,
                "State": update.state,
                "Image": update.image,
                "Digest": update.digest,
                "Upstream": update.upstream,
                "Cause": update.cause,
            }
            for update in found
        )
        return Table(CONTAINER_COLUMNS, rows, args.format, "Name" if args.quiet else "")

    return Running(engine.updates.check(containers_only=True), show)


@verb(
    "container upgrade",
    Upgrade,
    "Pull the images of containers and make those anew that got another one",
    examples=("container upgrade web", "container edit --undo web"),
)
def upgrade(engine: Engine, args: Upgrade) -> Result:
    """Ask the registries, and plan what they say; options, name and volumes stay."""

    def plan(found: list[Update]) -> Result:
        newer = [update for update in found if update.state != "current"]
        if not newer:
            return Text("\n".join(f"{update.name} is current" for update in found))
        lines = [_step(update) for update in newer]
        count = f"{len(lines)} container{'s' * (len(lines) != 1)}"
        lines.append("what they wrote is put aside: container edit --undo NAME goes back")
        return Plan(f"make {count} anew with newer images", tuple(lines), carry_out)

    def carry_out() -> Result:
        return Running(engine.updates.upgrade(args.containers), show)

    def show(found: list[Upgraded]) -> Result:
        lines = [
            f"{one.name}: {one.before[7:19]} -> {one.after[7:19]}; "
            f"container edit --undo {one.name} goes back"
            if one.after != one.before
            else f"{one.name} is current"
            for one in found
        ]
        return Text("\n".join(lines))

    return Running(engine.updates.check(args.containers), plan)


def _step(update: Update) -> str:
    """Return what happens to a container, or why that is not known yet."""
    if update.state == "unknown":
        return f"{update.name}: {update.image} is pulled, if it can be: {update.cause}"
    return (
        f"{update.name}: {update.image} {update.digest[7:19]} -> {update.upstream[7:19]},"
        " stopped and started again if it runs"
    )


CONTAINER_COLUMNS = (
    Column("Name", "NAME"),
    Column("State", "STATE"),
    Column("Image", "IMAGE"),
    Column("Digest", "HERE", "id"),
    Column("Upstream", "UPSTREAM", "id"),
    Column("Cause", "CAUSE"),
)
UPDATE_COLUMNS = (
    Column("Kind", "KIND"),
    Column("Name", "NAME"),
    Column("State", "STATE"),
    Column("Digest", "HERE", "id"),
    Column("Upstream", "UPSTREAM", "id"),
    Column("Cause", "CAUSE"),
)
