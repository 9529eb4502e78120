"""The verbs that keep the image store in order: prune what nothing needs, check what is there."""

from __future__ import annotations

from core.commands.grammar import Listing, Removing, flag, option, positional, verb
from core.commands.options import values
from core.commands.result import Column, Plan, Result, Running, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.images.fsck import Finding


class Prune(Removing):
    """Options of `image prune`."""

    all: bool = flag(
        "-a", "--all",
        help="images with a name too, if no container uses them, and downloads that were cut short",
    )  # fmt: skip
    until: float = option(
        "--until", help="only what was made, and came here, before: 24h, 2024-05-01", default=0.0,
        metavar="TIME", convert=values.moment,
    )  # fmt: skip
    keep: int = option(
        "--keep", help="as --all, but the newest N of every repository stay", default=0,
        metavar="N", convert=values.count,
    )  # fmt: skip
    filter: tuple[tuple[str, str], ...] = option(
        "--filter", help="label=, label!= or until=", many=True, metavar="KEY=VALUE",
        convert=lambda word: prune_filter(word),
    )  # fmt: skip
    force: bool = flag("-f", "--force", "-y", "--yes", help="do not ask")


class Fsck(Listing):
    """Options of `image fsck`."""

    repair: bool = flag("--repair", help="mend it: unpack again, fetch from the registry")
    quick: bool = flag("--quick", help="sizes, owners and modes only, not the contents")
    images: tuple[str, ...] = positional(
        "only what these need; none: everything", default=(), many=True, metavar="IMAGE",
        complete="image",
    )  # fmt: skip


def prune_filter(word: str) -> tuple[str, str]:
    """Parse KEY=VALUE of `image prune --filter`; ValueError for a key that is none."""
    key, equals, value = word.partition("=")
    if key.removesuffix("!") not in ("label", "until") or not equals or key == "until!":
        raise ValueError(f"{word!r}: there are label=, label!= and until=")
    if key == "until":
        values.moment(value)
    return key, value


@verb(
    "image prune",
    Prune,
    "Remove images that nothing needs, and what interrupted work has left",
    examples=("image prune", "image prune --all --until 720h", "image prune --keep 3"),
)
def prune(engine: Engine, args: Prune) -> Result:
    """Plan it: a line a thing, with the reason."""
    from core.commands.image.filters import label_test
    from core.commands.show import counted, size
    from core.images.prune import PruneOptions, apply_prune, plan_prune

    before, tests = args.until, []
    for key, value in args.filter:
        if key == "until":
            moment = values.moment(value)
            before = min(before, moment) if before else moment
        else:
            has = label_test(engine, value)
            tests.append(has if key == "label" else lambda image, has=has: not has(image))
    asked = PruneOptions(args.all, args.keep, before, tuple(tests), downloads=args.all)
    plan = plan_prune(engine.store, engine.paths, engine.images.list(), asked)
    if not plan.lines:
        return Text("Total reclaimed space: 0B")

    def apply() -> Result:
        engine.trash.sweep()
        bin_ = engine.trash.open("image prune")
        done = apply_prune(engine.store, plan, bin_)
        lines = [*done.lines]
        if bin_ is not None and plan.removal.images:
            span = counted(max(1, engine.config["storage", "trash_s"] // 60), "minute")
            lines.append(f"undo brings the images back for {span}, trash empty gives their space")
        return Text("\n".join([*lines, f"Total reclaimed space: {size(done.bytes_back)}"]))

    title = "remove what nothing needs"
    return Plan(title, plan.lines, apply, plan.bytes_back, ask=not args.force).unless(args.dry_run)


@verb(
    "image fsck",
    Fsck,
    "Check every blob, layer, index and name of the store",
    examples=("image fsck", "image fsck --repair", "image fsck --quick web"),
)
def fsck(engine: Engine, args: Fsck) -> Result:
    """Start the job; the exit code is 1 while something is wrong."""

    def show(found: list[Finding]) -> Result:
        if not found and not args.format and not args.quiet:
            return Text("all is well")
        rows = tuple(
            {"Kind": one.kind, "Subject": one.subject, "Problem": one.problem,
             "State": one.state, "Images": ", ".join(one.images)}
            for one in found
        )  # fmt: skip
        bad = any(one.state == "wrong" for one in found)
        return Table(
            FSCK_COLUMNS, rows, args.format, "Subject" if args.quiet else "", full=True,
            code=1 if bad else 0,
        )  # fmt: skip

    return Running(engine.images.fsck(args.images, repair=args.repair, quick=args.quick), show)


FSCK_COLUMNS = (
    Column("State", "STATE"),
    Column("Kind", "KIND"),
    Column("Subject", "SUBJECT", "id"),
    Column("Problem", "PROBLEM"),
    Column("Images", "IMAGES"),
)
